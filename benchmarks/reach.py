"""The claim on input beyond 10 kb, judged where distal signal helps and where it does not.

    python benchmarks/reach.py FOLDER [--genes 1000] [--window 60000]

Written down before any run: gradient boosting on H3K27ac and DNase, three seeds, one cell, bins of
500 bp. Where enhancers have no effect the claim must not be supported; where the effect of their
sum is 1.5 (per sd, in log10 expression; default 0.25) it must not be contradicted. What it says is
printed, whatever it is. Verdicts come from the code and the rule that judge real runs.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

from prismflow.data.steps import define_windows
from prismflow.data.store_builder import build_store
from prismflow.evaluation.claims import judge
from prismflow.evaluation.predictions_file import gather_predictions, read_gathered
from prismflow.evaluation.scenarios import evaluate_run
from prismflow.settings.architectures import class_of
from prismflow.settings.claims import read_claims
from prismflow.settings.scenarios import scenarios_beyond
from prismflow.simulate import simulate
from prismflow.training.run import train_run

EFFECTS = (0.0, 1.5)
SEEDS = (1, 2, 3)
SIGNALS = ("h3k27ac", "dnase")
SCENARIO = "beyond_10000bp_all_both_exchange"


def dataset(window_bp: int) -> dict[str, object]:
    """Settings of windows and splits."""
    return {
        "cells": ["simA"], "window_bp": window_bp, "max_n_fraction": 1.0, "blacklist": None,
        "genes": {"columns": {}, "features": [], "promoter_activity": "{cell}_promoter_activity"},
        "label": {"column": "{cell}_cage", "transform": "log10p1", "missing": "error"},
        "drop_blacklisted": False, "chrom_aliases": {},
        "splits": {"by": "chromosome", "folds": ["fold11"], "shared_sequence": "keep"},
    }  # fmt: skip


def model(window_bp: int) -> dict[str, object]:
    """Resolved settings of the model."""
    return {
        "model": "gbm", "architecture": "gbm", "class": class_of("gbm"), "loss": {},
        "hyperparameters": {"bin_bp": 500}, "modalities": list(SIGNALS), "window_bp": window_bp,
        "transforms": dict.fromkeys(SIGNALS, "raw"), "gene_features": ["promoter_activity"],
        "training": {},
    }  # fmt: skip


def world(folder: Path, effect: float, n_genes: int, window_bp: int) -> pd.DataFrame:
    """Simulate, train, test and judge."""
    settings = {"n_genes": n_genes, "cells": ["simA"], "distal_effect": effect,
                "resolutions_bp": [5000]}  # fmt: skip
    simulate(folder, settings, seed=1)
    results = folder / "results" / "world"
    define_windows(
        dataset(window_bp), genes=folder / "genes.tsv", fasta=folder / "genome.fa",
        sizes=folder / "chrom.sizes",
        outputs={name: results / f"{name}.tsv" for name in ("genes", "dropped", "splits", "blocks")}
        | {"windows": results / "windows.bed.gz"},
    )  # fmt: skip
    store = results / "simA" / "store"
    build_store(
        store, dataset="world", cell="simA", genes_path=results / "genes.tsv",
        fasta=folder / "genome.fa", window_bp=window_bp, features=[], simulated=True,
        promoter_activity="{cell}_promoter_activity", signal_dtype="float16",
        tracks=[{"modality": name, "path": str(folder / f"simA.{name}.bw"), "kind": "signal"}
                for name in SIGNALS],
    )  # fmt: skip
    runs = [("simA", "gbm", "fold11", seed) for seed in SEEDS]
    tested = {"full": {}, SCENARIO: scenarios_beyond([10_000], False)[SCENARIO]}
    for _, name, fold, seed in runs:
        own = results / "simA" / name / f"{fold}_seed{seed}"
        files = [own / file for file in ("model.safetensors", "model.json", "history.tsv")]
        splits = results / "splits.tsv"
        train_run(store, splits, fold, seed, model(window_bp), *files, device="cpu", threads=1)
        outputs = (own / file for file in ("predictions.tsv.gz", "metrics.tsv", "e.safetensors"))
        evaluate_run(store, splits, *files[:2], tested, *outputs, device="cpu", threads=1)
    gathered = results / "predictions.safetensors"
    gather_predictions("world", runs, results / "blocks.tsv", gathered, folder / "results")
    content = read_claims(Path(__file__).parents[1] / "config" / "claims.yaml")
    content["claims"] = {"distal_used": content["claims"]["distal_used"]}
    context = {"dataset": f"effect {effect}", "simulated": True}
    return judge(content, read_gathered(gathered), {"reach": {"runs": runs}}, context, {})


def main() -> None:
    """Print the verdict in both worlds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--genes", type=int, default=1000)
    parser.add_argument("--window", type=int, default=60_000)
    chosen = parser.parse_args()
    print("effect of distal signal\tverdict\tdifference\tlow\thigh\trelative\tbound\ttest genes")
    for effect in EFFECTS:
        found = world(chosen.folder / f"effect_{effect:g}", effect, chosen.genes, chosen.window)
        row = found.iloc[0]
        numbers = "\t".join(f"{row[name]:.4f}" for name in ("effect", "low", "high", "relative",
                                                            "bound"))  # fmt: skip
        print(f"{effect:g}\t{row['verdict']}\t{numbers}\t{row['n_genes']:.0f}")


if __name__ == "__main__":
    main()
