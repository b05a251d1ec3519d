"""A small store on disk with a planted signal, for tests of training and evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from prismflow.data.store import ELEMENT_FILES
from prismflow.data.store_writer import finish_store, new_store
from prismflow.files import read_json, write_array, write_json, write_tsv

FEATURES = ("utr5_length", "cds_gc", "promoter_activity")
ROLES = ("train", "valid", "test")


def make_store(
    folder: Path,
    n_genes: int = 60,
    window_bp: int = 256,
    seed: int = 0,
    cell: str = "cellA",
    peaks: bool = False,
    features: tuple[str, ...] = FEATURES,
    dtype: str = "float32",
) -> tuple[Path, Path]:
    """Write ``folder/store`` and ``folder/splits.tsv`` (fold ``fold11``); returns both paths.

    The label is 1 + 0.5 x (level of h3k27ac at the TSS) + 0.3 x (first gene feature) + noise;
    dnase and contacts are noise. The last two genes are in no role.
    """
    store = folder / "store"
    store.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    level = rng.gamma(2.0, 1.0, n_genes)
    position = np.arange(window_bp) - window_bp / 2
    peak = np.exp(-((position / (window_bp / 8)) ** 2))
    signals = {
        "h3k27ac": level[:, None] * peak + rng.exponential(0.1, (n_genes, window_bp)),
        "dnase": rng.exponential(0.5, (n_genes, window_bp)),
    }
    values = rng.normal(size=(n_genes, len(features))).astype(np.float32)
    noise = rng.normal(0, 0.05, n_genes)
    labels = 1 + 0.5 * level + (0.3 * values[:, 0] if features else 0.0) + noise
    start = 100_000 + 10_000 * np.arange(n_genes)
    arrays = {
        "sequence": rng.integers(0, 5, (n_genes, window_bp)).astype(np.uint8),
        **{name: array.astype(dtype) for name, array in signals.items()},
        "hic": rng.exponential(2.0, (n_genes, 2)).astype(np.float32),
        "gene_features": values,
        "labels": labels.astype(np.float32),
    }
    modalities = {
        "h3k27ac": _entry("signal", "h3k27ac", dtype, missing="zero", n_missing_bases=0),
        "dnase": _entry("signal", "dnase", dtype, missing="zero", n_missing_bases=0),
        "hic": _entry(
            "contacts", "hic", "float32", resolution_bp=5000, normalisation="VC", n_bins=2
        ),
    }
    if peaks:
        arrays["peaks"] = (peak > 0.5).astype(np.uint8)[None].repeat(n_genes, axis=0)
        modalities["peaks"] = _entry("peaks", "peaks", "uint8")
    for name, array in arrays.items():
        np.save(store / f"{name}.npy", array)
    genes = pd.DataFrame(
        {
            "gene_id": [f"gene{i:03d}" for i in range(n_genes)],
            "chrom": "chr1",
            "tss": start + window_bp // 2,
            "strand": ["+-"[i % 2] for i in range(n_genes)],
            "window_start": start,
            "window_end": start + window_bp,
            "pad_left": 0,
            "pad_right": 0,
            "label": labels.astype(np.float32),
        }
    )
    write_tsv(genes, store / "genes.tsv")
    write_json(
        {
            "format_version": 1,
            "dataset": "tiny",
            "cell": cell,
            "window_bp": window_bp,
            "n_genes": n_genes,
            "modalities": modalities,
            "modality_order": list(modalities),
            "gene_features": list(features),
            "label": {"column": "expression", "transform": "raw"},
            "simulated": True,
            "digests": {},
        },
        store / "store.json",
    )
    roles = np.array(["train", "train", "valid", "test", "train"])[np.arange(n_genes) % 5]
    roles[-2:] = "none"
    splits = folder / "splits.tsv"
    write_tsv(pd.DataFrame({"gene_id": genes["gene_id"], "fold11": roles}), splits)
    return store, splits


def write_store(
    path: Path,
    *,
    dataset: str,
    cell: str,
    window_bp: int,
    genes: pd.DataFrame,
    sequence: np.ndarray,
    signals: Mapping[str, np.ndarray],
    contacts: Mapping[str, tuple[np.ndarray, int]],
    peaks: Mapping[str, np.ndarray],
    gene_features: pd.DataFrame,
) -> None:
    """Write a store from arrays in memory by the writer's own last step, which opens it.

    ``genes`` has the columns ``GENE_COLUMNS``, ``sequence``, ``signals`` and ``peaks`` are (N, L),
    ``contacts`` holds (float32 (N, K), resolution in bp) and ``gene_features`` is (N, features).
    """
    entries: dict[str, dict[str, object]] = {}
    arrays: dict[str, np.ndarray] = {"sequence": np.asarray(sequence, dtype=np.uint8)}
    for name, values in signals.items():
        entries[name] = _entry("signal", name, values.dtype.name, missing="zero")
        arrays[name] = values
    for name, (values, resolution_bp) in contacts.items():
        bins = {"resolution_bp": resolution_bp, "n_bins": values.shape[1]}
        entries[name] = _entry("contacts", name, "float32", normalisation="NONE", **bins)
        arrays[name] = values.astype(np.float32)
    for name, values in peaks.items():
        entries[name] = _entry("peaks", name, "uint8")
        arrays[name] = values.astype(np.uint8)
    manifest = {
        "dataset": dataset,
        "cell": cell,
        "window_bp": window_bp,
        "modalities": entries,
        "modality_order": list(entries),
        "label": {"column": "label", "transform": "raw"},
        "simulated": True,
    }
    with new_store(path) as folder:
        for name, values in arrays.items():
            write_array(values, folder / f"{name}.npy")
        finish_store(folder, manifest, genes, gene_features)


def _entry(kind: str, name: str, dtype: str, **more: object) -> dict[str, object]:
    return {"kind": kind, "file": f"{name}.npy", "dtype": dtype, **more}


def settings(architecture: str = "cnn", **changes: object) -> dict[str, object]:
    """Resolved model settings for the store of :func:`make_store`."""
    from named import class_of, model_class

    training = {
        "steps": 12,
        "batch_size": 8,
        "eval_batch_size": 16,
        "learning_rate": 3e-3,
        "initial_learning_rate": 1e-4,
        "final_learning_rate": 1e-4,
        "warmup_steps": 2,
    }
    base = {
        "model": f"{architecture}_tiny",
        "architecture": architecture,
        "class": class_of(architecture),
        "hyperparameters": dict(model_class(architecture).TINY),
        "loss": {},
        "modalities": ["h3k27ac", "dnase", "hic"],
        "window_bp": 128,
        "transforms": {"h3k27ac": "raw", "dnase": "raw", "hic": "log10p1"},
        "gene_features": list(FEATURES),
        "training": training,
    }
    training.update(changes.pop("training", {}))
    return {**base, **changes}


def add_elements(store: Path, element_bp: int = 400, seed: int = 1) -> None:
    """Give every gene of :func:`make_store` two candidates, 80 and 2000 bp behind its TSS."""
    rng = np.random.default_rng(seed)
    manifest = read_json(store / "store.json")
    genes = pd.read_csv(store / "genes.tsv", sep="\t")
    n, tss = len(genes), genes["tss"].to_numpy()
    centre = np.concatenate([tss, tss + 80, tss + 2000])
    half = np.repeat([64, 20, 20], n)
    table = pd.DataFrame(
        {
            "chrom": "chr1", "start": centre - half, "end": centre + half,
            "activity": rng.gamma(2.0, 1.0, 3 * n).round(3),
            "kind": ["promoter"] * n + ["candidate"] * (2 * n),
        }
    )  # fmt: skip
    index = np.full((n, 4), -1, np.int32)
    index[:, :3] = np.arange(3 * n).reshape(3, n).T
    features = np.zeros((n, 4, 3), np.float32)
    features[:, 1:3, 0] = [0.08, 2.0]
    features[:, :3, 1] = rng.random((n, 3))
    features[:, :3, 2] = table["activity"].to_numpy()[index[:, :3]]
    codes = rng.integers(0, 4, (3 * n, element_bp)).astype(np.uint8)
    for name, array in (("sequence", codes), ("index", index), ("features", features)):
        np.save(store / ELEMENT_FILES[name], array)
    write_tsv(table, store / ELEMENT_FILES["table"])
    entry = {"n_nearest": 3, "n_elements": 3 * n, "sequence_bp": element_bp, "peaks": "peaks",
             "activity": ["h3k27ac", "dnase"], "contacts": "hic"}  # fmt: skip
    write_json({**manifest, "elements": entry}, store / "store.json")
