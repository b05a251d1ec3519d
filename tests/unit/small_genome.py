"""A genome whose bases can be guessed from their neighbours, and files of a pretraining on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from prismflow.files import write_tsv

SIZES = {"d_model": 8, "n_layers": 1, "d_state": 2}
CHROMS = {"chr1": "train", "chr2": "train", "chr3": "valid", "chr4": "test"}


def write_genome(folder: Path, seed: int = 0, changed: str | None = None) -> Path:
    """Four chromosomes of repeats of ACGT with one base in ten exchanged; writes ``genome.fa``.

    Args:
        folder: where.
        seed: of the exchanged bases.
        changed: a chromosome that has other ones.
    """
    lines = []
    for number, chrom in enumerate(CHROMS):
        rng = np.random.default_rng([seed, number, int(chrom == changed)])
        codes = np.arange(4096) % 4
        codes = np.where(rng.random(4096) < 0.1, rng.integers(0, 4, 4096), codes)
        lines += [f">{chrom}", "".join("ACGT"[code] for code in codes)]
    path = folder / "genome.fa"
    path.write_text("\n".join(lines) + "\n")
    return path


def write_genes(folder: Path, chroms: dict[str, str] | None = None) -> tuple[Path, Path]:
    """A gene per chromosome and its split; writes ``genes.tsv`` and ``splits.tsv``."""
    roles = CHROMS if chroms is None else chroms
    names = [f"gene{number}" for number in range(len(roles))]
    write_tsv(pd.DataFrame({"gene_id": names, "chrom": list(roles)}), folder / "genes.tsv")
    write_tsv(pd.DataFrame({"gene_id": names, "fold11": list(roles.values())}),
              folder / "splits.tsv")  # fmt: skip
    return folder / "genes.tsv", folder / "splits.tsv"


def pretraining(architecture: str = "caduceus", **changes: Any) -> dict[str, Any]:
    """Settings of a pretraining of 30 steps."""
    from named import class_of

    training = {
        "steps": 30, "batch_size": 4, "learning_rate": 0.02, "initial_learning_rate": 0.001,
        "final_learning_rate": 0.001, "warmup_steps": 3,
    }  # fmt: skip
    training.update(changes.pop("training", {}))
    return {
        "name": "repeats",
        "model": architecture,
        "class": class_of(architecture),
        "hyperparameters": SIZES,
        "window_bp": 128,
        "masked_share": 0.15,
        "most_unknown": 0.5,
        "seed": 1,
        "training": training,
        **changes,
    }
