"""What the configuration must have for the transform `s3norm`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from prismflow.errors import InputError
from prismflow.settings import yaml_files
from prismflow.settings.kinds import KINDS


def check_s3norm(
    values: Mapping[str, Any],
    tracks: Collection[tuple[str, str]],
    models: Mapping[str, Mapping[str, Any]],
    files: Sequence[str],
) -> None:
    """Check that each reference exists, and that no transform asks for one that isn't named.

    Args:
        values: the validated configuration.
        tracks: (cell, modality) of every row of the tracks sheet.
        models: the models.
        files: YAML files, for messages.

    Raises:
        InputError: another kind than signals, a reference without a track or outside of a dataset
            to run, or the transform without a reference.
    """
    for name, modality in values["modalities"].items():
        if modality.get("s3norm"):
            _check_reference(values, tracks, name, files)
    used = [
        (name, modality["transform"], files, ("modalities", name, "transform"))
        for name, modality in values["modalities"].items()
    ]
    for model, entry in models.items():
        for name, transform in (entry.get("transforms") or {}).items():
            own = [*files, values["sheets"]["models"]]
            used.append((name, transform, own, (model, "transforms", name)))
    for name, transform, places, place in used:
        known = values["modalities"].get(name, {})
        if transform.partition(":")[0] == "s3norm" and not known.get("s3norm"):
            raise InputError(
                f"{yaml_files.where(places, place)}: the transform {transform!r} of {name!r} needs "
                f"a reference, found none; name a cell in modalities.{name}.s3norm.reference."
            )


def _check_reference(
    values: Mapping[str, Any],
    tracks: Collection[tuple[str, str]],
    name: str,
    files: Sequence[str],
) -> None:
    modality = values["modalities"][name]
    cell = modality["s3norm"]["reference"]
    where = yaml_files.where(files, ("modalities", name, "s3norm"))
    if not KINDS[modality["kind"]].levelled:
        kinds = ", ".join(repr(kind) for kind, row in KINDS.items() if row.levelled)
        raise InputError(
            f"{where}: expected s3norm for a modality of kind {kinds}, found "
            f"{modality['kind']!r}; remove it."
        )
    if (cell, name) not in tracks:
        having = sorted(c for c, m in tracks if m == name)
        raise InputError(
            f"{where}: expected a cell with a track {name!r} as reference, found {cell!r}; cells "
            f"with one are {', '.join(having) or 'none'}; correct it or add a row to "
            f"{values['sheets']['tracks']}."
        )
    for dataset in values["run"]["datasets"]:
        entry = values["datasets"].get(dataset, {})
        if cell not in entry.get("cells", [cell]):
            raise InputError(
                f"{where}: expected a reference among the cells of the dataset {dataset!r} "
                f"({', '.join(entry['cells'])}), found {cell!r}; add the cell there or choose "
                "another."
            )
