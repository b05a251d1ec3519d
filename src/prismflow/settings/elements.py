"""Settings of candidate enhancers, and what the configuration must have for them.

Nothing heavy is imported here: it runs while the workflow plans.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from prismflow.errors import InputError
from prismflow.settings import yaml_files


@dataclass(frozen=True)
class ElementSettings:
    """How candidates are chosen.

    Attributes:
        peaks: modality of kind peaks (BED or narrowPeak) that the candidates come from.
        width_bp: width around a summit (the peak's middle where the file has none).
        sequence_bp: bases around an element's centre that a model reads.
        n_nearest: most candidates per gene, nearest first.
        max_distance_bp: largest distance to the TSS.
        promoter_bp: candidates that overlap ``tss +- promoter_bp / 2`` are the promoter itself.
        activity: the tracks whose geometric mean is the activity.
        contacts: modality of kind contacts, or None for the power law of the distance.
        blacklist: BED of regions that can't be trusted, or None.
    """

    peaks: str
    width_bp: int = 500
    sequence_bp: int = 2000
    n_nearest: int = 60
    max_distance_bp: int = 100_000
    promoter_bp: int = 1000
    activity: tuple[str, ...] = ("h3k27ac", "dnase")
    contacts: str | None = "hic"
    blacklist: str | None = None

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> ElementSettings:
        """From a configuration's mapping.

        Raises:
            InputError: an unknown key or a length that is not positive.
        """
        known = [field.name for field in fields(cls)]
        unknown = [key for key in values if key not in known]
        if unknown or "peaks" not in values:
            raise InputError(
                f"elements: expected peaks and any of {', '.join(known)}, found "
                f"{', '.join(values) or 'nothing'}."
            )
        settings = cls(**{**values, "activity": tuple(values.get("activity", cls.activity))})
        for name in ("width_bp", "sequence_bp", "n_nearest", "max_distance_bp"):
            if getattr(settings, name) < 1:
                raise InputError(
                    f"elements: expected {name} of at least 1, found {getattr(settings, name)}."
                )
        return settings


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
    wanted = [(entry["peaks"], "peaks"), *((name, "signal") for name in entry["activity"])]
    if entry["contacts"]:
        wanted.append((entry["contacts"], "contacts"))
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
        if lacking and kind != "contacts":
            raise InputError(
                f"{where}: expected a track {modality!r} for every cell of the dataset, found none "
                f"for {', '.join(lacking)}; add it to {values['sheets']['tracks']}."
            )
