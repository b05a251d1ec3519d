"""Settings of candidate enhancers, and what the configuration must have for them.

Nothing heavy is imported here: it runs while the workflow plans.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Any

from pydantic.dataclasses import dataclass

from prismflow.errors import InputError
from prismflow.settings import yaml_files
from prismflow.settings.definitions import build
from prismflow.settings.keys import EVEN, STRICT, UNIQUE, Whole, setting

#: Key of `elements` -> kind of the modalities that it names, whose files are read for it.
KINDS_READ = {"peaks": "peaks", "activity": "signal", "contacts": "contacts"}


@dataclass(frozen=True, config=STRICT)
class ElementKeys:
    """How a dataset's candidates are chosen.

    Attributes:
        peaks: modality of kind peaks (BED or narrowPeak) that the candidates come from.
        width_bp: width around a summit (the peak's middle if it has none).
        sequence_bp: bases around an element's centre that a model reads.
        n_nearest: most candidates per gene, nearest first.
        max_distance_bp: largest distance to the TSS.
        promoter_bp: candidates that overlap ``tss +- promoter_bp / 2`` are the promoter itself.
        activity: signals whose geometric mean is the activity.
        contacts: modality of kind contacts; null for the power law of the distance.
    """

    peaks: str = setting()
    width_bp: Whole = setting(500, ge=1)
    sequence_bp: Whole = setting(2000, **EVEN)
    n_nearest: Whole = setting(60, ge=1)
    max_distance_bp: Whole = setting(100000, ge=1)
    promoter_bp: Whole = setting(1000, ge=0)
    activity: Annotated[tuple[str, ...], UNIQUE] = setting(("h3k27ac", "dnase"), min_length=1)
    contacts: str | None = setting("hic")


@dataclass(frozen=True, config=STRICT)
class ElementSettings(ElementKeys):
    """What a job knows of candidates: their keys, and the dataset's blacklist.

    Attributes:
        blacklist: BED of regions that can't be trusted, or null.
    """

    blacklist: str | None = setting(None)

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> ElementSettings:
        """From a configuration's mapping.

        Raises:
            InputError: an unknown key or a value out of range.
        """
        return build(cls, values, "elements")


def check_elements(
    values: Mapping[str, Any],
    tracks: Collection[tuple[str, str]],
    name: str,
    files: Sequence[str],
) -> None:
    """Check that a dataset's `elements` name modalities that its cells have.

    Args:
        values: the validated configuration.
        tracks: (cell, modality) of every row of the tracks sheet.
        name: the dataset.
        files: YAML files, for messages.

    Raises:
        InputError: a modality of another kind, or a cell without a track that is needed.
    """
    dataset = values["datasets"][name]
    entry = dataset["elements"]
    if entry is None:
        return
    named = {"peaks": [entry["peaks"]], "activity": entry["activity"]}
    if entry["contacts"]:
        named["contacts"] = [entry["contacts"]]
    wanted = [(name, KINDS_READ[key]) for key, names in named.items() for name in names]
    where = yaml_files.where(files, ("datasets", name, "elements"))
    for modality, kind in wanted:
        found = values["modalities"].get(modality, {}).get("kind", "none of that name")
        if found != kind:
            raise InputError(
                f"{where}: expected {modality!r} to be a modality of kind {kind!r}, found "
                f"{found!r}; correct it or declare it in `modalities`."
            )
        # The power law stands in for contacts that a cell doesn't have.
        lacking = [c for c in dataset["cells"] if (c, modality) not in tracks]
        if lacking and modality != entry["contacts"]:
            raise InputError(
                f"{where}: expected a track {modality!r} for every cell of the dataset, found none "
                f"for {', '.join(lacking)}; add it to {values['sheets']['tracks']}."
            )
