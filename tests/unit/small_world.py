"""A small simulated genome with two cells, and models that are trained in the first."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from make_store import settings

from prismflow.data.annotation import FEATURES as OWN_FEATURES
from prismflow.data.steps import define_windows
from prismflow.data.store_builder import build_store
from prismflow.evaluation.scenarios import evaluate_run
from prismflow.simulate import simulate
from prismflow.training.run import train_run

FEATURES = [*OWN_FEATURES, "promoter_activity"]
SMALL = {"n_genes": 80, "resolutions_bp": [5000]}
WINDOW_BP = 600


@dataclass(frozen=True)
class World:
    """Files of a simulated genome, stores of its cells and trained runs."""

    folder: Path

    @property
    def fasta(self) -> Path:
        return self.folder / "genome.fa"

    @property
    def genes(self) -> Path:
        return self.folder / "genes.tsv"

    @property
    def splits(self) -> Path:
        return self.folder / "results" / "splits.tsv"

    def store(self, cell: str) -> Path:
        return self.folder / "results" / cell / "store"

    def model(self, name: str) -> Path:
        return self.folder / "results" / "simA" / name

    def tracks(self, cell: str) -> dict[str, Path]:
        contacts = "mcool" if cell == "simA" else "hic"
        return {
            "h3k27ac": self.folder / f"{cell}.h3k27ac.bw",
            "dnase": self.folder / f"{cell}.dnase.bw",
            "hic": self.folder / f"{cell}.{contacts}",
        }


def dataset() -> dict[str, Any]:
    return {
        "cells": ["simA", "simB"],
        "genes": {
            "columns": {}, "features": FEATURES[:-1],
            "promoter_activity": "{cell}_promoter_activity",
        },
        "label": {"column": "{cell}_cage", "transform": "log10p1", "missing": "error"},
        "window_bp": WINDOW_BP, "max_n_fraction": 1.0, "blacklist": None,
        "drop_blacklisted": False, "chrom_aliases": {},
        "splits": {"by": "chromosome", "folds": ["fold11"], "shared_sequence": "drop"},
    }  # fmt: skip


def make_world(folder: Path) -> World:
    """Simulate, build stores, train and test prism and gbm with two seeds each."""
    found = World(folder)
    simulate(found.folder, SMALL, seed=5)
    results = found.folder / "results"
    define_windows(
        dataset(), genes=found.genes, fasta=found.fasta, sizes=found.folder / "chrom.sizes",
        outputs={name: results / f"{name}.tsv" for name in ("genes", "dropped", "splits")}
        | {"windows": results / "windows.bed.gz"},
    )  # fmt: skip
    for cell in ("simA", "simB"):
        kinds = {"hic": {"kind": "contacts", "resolution_bp": 5000, "normalisation": "NONE"}}
        build_store(
            found.store(cell), dataset="sim", cell=cell, genes_path=results / "genes.tsv",
            fasta=found.fasta, window_bp=WINDOW_BP, features=FEATURES[:-1],
            promoter_activity="{cell}_promoter_activity", simulated=True,
            tracks=[{"modality": name, "path": str(path), "kind": "signal", **kinds.get(name, {})}
                    for name, path in found.tracks(cell).items()],
        )  # fmt: skip
    for name in ("prism", "gbm"):
        for seed in (2, 22):
            folder = found.model(name) / f"fold11_seed{seed}"
            train_run(
                found.store("simA"), found.splits, "fold11", seed,
                settings(name, window_bp=200, gene_features=FEATURES),
                folder / "model.safetensors", folder / "model.json", folder / "history.tsv",
                device="cpu", threads=1,
            )  # fmt: skip
            evaluate_run(
                found.store("simA"), found.splits, folder / "model.safetensors",
                folder / "model.json", {"full": {}, "other": {"cell": "simB"}},
                folder / "predictions.tsv.gz", folder / "metrics.tsv",
                folder / "extras.safetensors", device="cpu", threads=1,
                other_stores=[found.store("simB")],
            )  # fmt: skip
    return found
