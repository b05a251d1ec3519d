"""What training and evaluation share: a run's data, its identity, and ``model.json``.

A run is one model, cell, fold and seed. ``model.json`` beside the weights says what was trained on
what; evaluation refuses a store or a split that does not agree with it.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from prismflow.data.inputs import GeneInputs
from prismflow.data.layouts import layout_of
from prismflow.data.store import ELEMENT_FILES, Store
from prismflow.errors import InputError
from prismflow.files import read_json, read_tsv
from prismflow.models import class_of

FORMAT_VERSION = 1
ROLES = ("train", "valid", "test")
Fitted = tuple[list[dict[str, Any]], dict[str, Any]]
"""Rows of a training's history, and the arguments of :func:`model_record` that it decides."""

_MODALITY_IDENTITY = (
    "kind", "resolution_bp", "normalisation", "missing", "pseudocount", "double_padding",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Split:
    """Store rows of one fold, each in the store's gene order.

    Attributes:
        fold: name of the column of ``splits.tsv``.
        rows: int64 rows by role (train, valid, test).
        digest: of gene names and roles; equal digests mean equal splits.
    """

    fold: str
    rows: dict[str, np.ndarray]
    digest: str

    @classmethod
    def read(cls, path: str | Path, fold: str, store: Store) -> Split:
        """Read one fold of ``splits.tsv`` (gene_id, then a column per fold).

        Raises:
            InputError: no such fold, genes other than the store's, an unknown role, or an empty
                role.
        """
        table = read_tsv(path, dtype=str)
        folds = [column for column in table.columns if column != "gene_id"]
        if "gene_id" not in table.columns or fold not in folds:
            raise InputError(
                f"{path}: expected the columns gene_id and {fold}; it has the folds: "
                f"{', '.join(folds) or 'none'}."
            )
        genes = store.genes["gene_id"].astype(str).to_numpy()
        if table["gene_id"].tolist() != genes.tolist():
            raise InputError(
                f"{path} has {len(table)} genes and {store.path / 'genes.tsv'} has {len(genes)}; "
                "expected the same genes in the same order: build windows and store again."
            )
        roles = table[fold].fillna("none").to_numpy()
        unknown = sorted(set(roles) - {*ROLES, "none"})
        if unknown:
            line = int(np.flatnonzero(roles == unknown[0])[0]) + 2
            raise InputError(
                f"{path}: line {line}: expected train, valid, test or none in column {fold}, "
                f"found {unknown[0]!r}."
            )
        rows = {role: np.flatnonzero(roles == role).astype(np.int64) for role in ROLES}
        for role in ROLES:
            if rows[role].size == 0:
                raise InputError(
                    f"{path}: fold {fold} has no {role} genes, expected at least one; "
                    + ", ".join(f"{name} {rows[name].size}" for name in ROLES)
                    + "."
                )
        text = "\n".join(f"{gene}\t{role}" for gene, role in zip(genes, roles, strict=True))
        return cls(fold, rows, hashlib.sha256(text.encode()).hexdigest()[:16])


def extras_of(architecture: Any, store: Store) -> tuple[str, ...]:
    """Further inputs of an architecture: those it needs, and those it takes where there are any."""
    needs = tuple(getattr(architecture, "needs", ()))
    return needs + (tuple(getattr(architecture, "takes", ())) if store.has_elements else ())


def open_inputs(
    store: Store, settings: Mapping[str, Any], extras: tuple[str, ...] = ()
) -> GeneInputs:
    """The inputs that resolved model settings ask for, checked against the store.

    Raises:
        InputError: a modality or gene feature that the store lacks, or a window longer than the
            store's.
    """
    window_bp = settings["window_bp"]
    if window_bp > store.window_bp:
        raise InputError(
            f"model {settings['model']!r} needs windows of {window_bp} bp, the store {store.path} "
            f"has windows of {store.window_bp} bp; build the dataset with a longer window or "
            "shorten the model's."
        )
    transforms = {}
    for name in settings["modalities"]:
        if name not in store.modalities:
            raise InputError(
                f"model {settings['model']!r} needs the modality {name!r}, the store {store.path} "
                f"of cell {store.manifest['cell']!r} has: {', '.join(store.modalities) or 'none'}."
            )
        default = layout_of(store.modality(name)).default_transform
        transforms[name] = settings.get("transforms", {}).get(name, default)
    absent = [f for f in settings["gene_features"] if f not in store.manifest["gene_features"]]
    if absent:
        raise InputError(
            f"model {settings['model']!r} needs the gene features {', '.join(absent)}, the store "
            f"{store.path} has: {', '.join(store.manifest['gene_features']) or 'none'}."
        )
    return GeneInputs(
        store=store,
        modalities=tuple(settings["modalities"]),
        transforms=transforms,
        gene_features=tuple(settings["gene_features"]),
        window_bp=window_bp,
        extras=extras,
    )


def verify_files(inputs: GeneInputs, settings: Mapping[str, Any]) -> None:
    """Compare the store's files that a run reads with the digests in ``store.json``.

    Raises:
        InputError: a file was changed after the store was built.
    """
    entries = inputs.store.manifest["modalities"]
    files = {"genes.tsv", "labels.npy", "gene_features.npy"}
    files |= {entries[name]["file"] for name in inputs.modalities}
    if not class_of(settings).tabular:
        files.add("sequence.npy")
    if "peak_mask" in inputs.extras:
        files |= {entries[name]["file"] for name in inputs.store.peaks}
    if "elements" in inputs.extras:
        files |= set(ELEMENT_FILES.values())
    inputs.store.verify(files)


def check_finite(inputs: GeneInputs, split: Split) -> None:
    """Refuse labels and gene features that are not numbers.

    Raises:
        InputError: names the first gene.
    """
    genes = inputs.store.genes["gene_id"].to_numpy()
    for role in ROLES:
        rows = split.rows[role]
        for what, values in (
            ("label", inputs.labels(rows)[:, None]),
            *((f"gene feature {f}", inputs.features(rows)[:, [i]])
              for i, f in enumerate(inputs.gene_features)),
        ):  # fmt: skip
            bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
            if bad.size:
                raise InputError(
                    f"{inputs.store.path}: expected a finite {what} for every {role} gene, found "
                    f"{values[bad[0], 0]} for {genes[rows[bad[0]]]} ({bad.size} such genes)."
                )


def store_identity(store: Store, settings: Mapping[str, Any]) -> dict[str, Any]:
    """What of a store a trained model depends on, apart from the numbers themselves."""
    manifest = store.manifest
    # A change of elements doesn't concern models that don't read them.
    reads_elements = "elements" in extras_of(class_of(settings), store)
    return {
        **({"elements": manifest["elements"]} if reads_elements else {}),
        "dataset": manifest["dataset"],
        "cell": manifest["cell"],
        "label": manifest["label"],
        "modalities": {
            name: {k: v for k, v in store.modality(name).items() if k in _MODALITY_IDENTITY}
            for name in settings["modalities"]
        },
        "gene_features": list(settings["gene_features"]),
        "simulated": manifest["simulated"],
    }


def model_record(
    store: Store,
    split: Split,
    settings: Mapping[str, Any],
    seed: int,
    best: Mapping[str, Any],
    n_parameters: int,
    device: str,
    packages: tuple[str, ...],
) -> dict[str, Any]:
    """Content of ``model.json``.

    Args:
        best: ``step`` and ``valid_mse`` of the state that was kept.
        packages: distributions whose versions are recorded.
    """
    return {
        "format_version": FORMAT_VERSION,
        "settings": dict(settings),
        "inputs": {
            "modalities": list(settings["modalities"]),
            "gene_features": list(settings["gene_features"]),
            "n_gene_features": len(settings["gene_features"]),
            "window_bp": settings["window_bp"],
        },
        "store": store_identity(store, settings),
        "fold": split.fold,
        "split": {"digest": split.digest, **{f"n_{r}": int(split.rows[r].size) for r in ROLES}},
        "seed": seed,
        "best": dict(best),
        "n_parameters": n_parameters,
        "device": device,
        "versions": {
            "python": platform.python_version(),
            **{package: metadata.version(package) for package in ("prismflow", *packages)},
        },
    }


def read_model_record(path: str | Path) -> dict[str, Any]:
    """Read ``model.json``.

    Raises:
        InputError: not the description of a trained model.
    """
    record = read_json(path)
    needed = ("format_version", "settings", "store", "fold", "seed")
    absent = [key for key in needed if not isinstance(record, dict) or key not in record]
    if absent or record["format_version"] != FORMAT_VERSION:
        raise InputError(
            f"{path}: expected the description of a trained model (format_version "
            f"{FORMAT_VERSION}, keys {', '.join(needed)}), found "
            + (f"no {', '.join(absent)}." if absent else f"version {record['format_version']}.")
        )
    return record


def check_agreement(
    record: Mapping[str, Any],
    where: str | Path,
    store: Store,
    split: Split,
    other_cell: bool = False,
) -> None:
    """Refuse to evaluate a model on data that differ from those it was trained on.

    With ``other_cell`` the store is meant to be of another cell: the cell and the label's column
    may differ, everything else may not.

    Raises:
        InputError: names what differs, and both sides.
    """
    open_inputs(store, record["settings"])
    found = store_identity(store, record["settings"])
    differing = [
        (key, expected, found.get(key))
        for key, expected in record["store"].items()
        if found.get(key) != expected and not (other_cell and key in ("cell", "label"))
    ]
    transforms = [side.get("label", {}).get("transform") for side in (record["store"], found)]
    if other_cell and transforms[0] != transforms[1]:
        differing.append(("transform of the label", *transforms))
    expected_split = record.get("split", {}).get("digest")
    if record["fold"] != split.fold:
        differing.append(("fold", record["fold"], split.fold))
    elif expected_split not in (None, split.digest):
        differing.append((f"genes of fold {split.fold}", expected_split, split.digest))
    if differing:
        raise InputError(
            f"{where} and {store.path} do not agree: "
            + "; ".join(f"{key}: the model has {a!r}, the store {b!r}" for key, a, b in differing)
            + ". Train the model on this store, or evaluate it on its own."
        )
