"""K562's amplified 22q11: what models predict where every count is multiplied, promoter or not.

    python benchmarks/natural_experiment.py FOLDER_OF_REAL_DATA [--seeds 5]
    python benchmarks/natural_experiment.py FOLDER_OF_REAL_DATA --networks [--models NAME ...]
    ... [--trained outside inside]

Trains boosting outside the amplification and tests inside (and the reverse), and does the same with
the same genes in GM12878, whose 22q11 is not amplified. Networks (three seeds, the sizes of
config/confounding.yaml) are trained outside unless asked: inside there are 74 training genes.
Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

from prismflow.data.genome import index_genome
from prismflow.data.steps import define_windows
from prismflow.data.store import Store
from prismflow.data.store_builder import build_store
from prismflow.evaluation.scenarios import evaluate_run
from prismflow.settings.architectures import class_of
from prismflow.training.run import train_run

WINDOW_BP = 1000
REGIONAL_BP = [1500, 10_000]
TRACKS = {
    "K562": {"h3k27ac": "K562_H3K27ac.chr22.APPROX.bw", "dnase": "K562_accessibility.chr22.bw"},
    "GM12878": {"dnase": "GM12878_accessibility.chr22.bw"},
}
MODELS = {
    "both signals": ("gbm", ["h3k27ac", "dnase"], {}),
    "H3K27ac": ("gbm", ["h3k27ac"], {}),
    "accessibility": ("gbm", ["dnase"], {}),
    "accessibility / its local level": ("gbm_regional", ["h3k27ac", "dnase"], {"removal": "unit"}),
    "regional background removed": ("gbm_regional", ["h3k27ac", "dnase"], {}),
}

SMALL = {"d_model": 16, "n_layers": 1, "d_state": 4}
TRAINING = {
    "steps": 300, "warmup_steps": 30, "batch_size": 16, "learning_rate": 0.01,
    "initial_learning_rate": 0.001, "final_learning_rate": 0.001, "validations_per_epoch": 1,
}  # fmt: skip
BACKGROUND = {
    "context_modalities": ["dnase"], "intervention_average": "prediction", "reported": "backdoor",
}  # fmt: skip
NETWORKS = {
    "n = 0, both signals": ("prism", ["h3k27ac", "dnase"], {"n_contexts": 0}),
    "n = 2, both signals": ("prism", ["h3k27ac", "dnase"], {"n_contexts": 2}),
    "n = 1, both signals": ("prism", ["h3k27ac", "dnase"], {"n_contexts": 1}),
    "n = 4, both signals": ("prism", ["h3k27ac", "dnase"], {"n_contexts": 4}),
    "caduceus_signals": ("caduceus_signals", ["h3k27ac", "dnase"], {}),
    "contexts of the background": ("prism", ["h3k27ac", "dnase"], BACKGROUND),
    "sampled contexts": ("prism", ["h3k27ac", "dnase"], BACKGROUND | {"context_source": "sampled"}),
    "n = 0, H3K27ac": ("prism", ["h3k27ac"], {"n_contexts": 0}),
    "prism_regional, unit": ("prism_regional", ["h3k27ac", "dnase"], {"removal": "unit"}),
    "prism_regional, two_stage": ("prism_regional", ["h3k27ac", "dnase"], {}),
    "n = 0, accessibility": ("prism", ["dnase"], {"n_contexts": 0}),
    "n = 2, accessibility": ("prism", ["dnase"], {"n_contexts": 2}),
}


def stores(data: Path, folder: Path) -> dict[str, Path]:
    """A store per cell; both signals of K562 and the one of GM12878, with regional levels."""
    fasta = data / "genome/chr22.fa.gz"
    index_genome(fasta, folder / "sizes.tsv", folder / "index")
    table = pd.read_csv(data / "genes/genes_K562_chr22.tsv", sep="\t")
    inside = table["K562_amplified_22q11"].astype(bool)
    # Validation: every fifth gene of the part that trains, by position.
    for name, trains in (("outside", ~inside), ("inside", inside)):
        order = np.flatnonzero(trains)
        roles = np.where(trains, "train", "test").astype(object)
        roles[order[2::5]] = "valid"
        table[name] = roles
    genes = folder / "genes_with_folds.tsv"
    table.to_csv(genes, sep="\t", index=False)
    found = {}
    for cell, tracks in TRACKS.items():
        paths = {name: folder / f"{cell}.{name}.tsv" for name in ("genes", "dropped", "splits")}
        settings = {
            "cells": [cell],
            "genes": {
                "columns": {"gene_id": "symbol", "chrom": "chr", "tss": "tss", "strand": "strand"},
                "features": [],
                "promoter_activity": "none",
                "missing": "error",
            },
            "label": {
                "column": "{cell}_TSSseq_pm192", "transform": "log10p1", "missing": "error",
            },
            "window_bp": WINDOW_BP,
            "splits": {
                "by": "column", "folds": ["outside", "inside"], "shared_sequence": "keep",
            },
            "chrom_aliases": {},
            "blacklist": None,
            "drop_blacklisted": False,
            "max_n_fraction": 1.0,
        }  # fmt: skip
        define_windows(
            settings, genes=genes, fasta=fasta, sizes=folder / "sizes.tsv",
            index=folder / "index",
            outputs={**paths, "windows": folder / f"{cell}.windows.bed.gz"},
        )  # fmt: skip
        build_store(
            folder / cell, dataset="real_chr22", cell=cell, genes_path=paths["genes"],
            fasta=fasta, fasta_index=folder / "index", window_bp=WINDOW_BP,
            label_column="{cell}_TSSseq_pm192",
            tracks=[
                {"modality": name, "kind": "signal", "path": str(data / "signals" / file),
                 "regional_bp": REGIONAL_BP}
                for name, file in tracks.items()
            ],
        )  # fmt: skip
        found[cell] = folder / cell
    return found


def tested(store: Path, model: str, fold: str, seed: int, folder: Path) -> pd.DataFrame:
    """Observed and predicted values of the genes on the other side, one row per gene."""
    architecture, modalities, hyperparameters = (MODELS | NETWORKS)[model]
    regional = ["dnase_regional"] if architecture.endswith("_regional") else []
    if model in NETWORKS:
        hyperparameters = hyperparameters | SMALL
    settings = {
        "model": architecture, "architecture": architecture, "class": class_of(architecture),
        "hyperparameters": hyperparameters, "loss": {}, "modalities": modalities,
        "window_bp": WINDOW_BP, "transforms": dict.fromkeys(modalities, "raw"),
        "gene_features": regional, "training": TRAINING if model in NETWORKS else {},
    }  # fmt: skip
    run = folder / "run"
    run.mkdir(exist_ok=True)
    splits = store.parent / f"{store.name}.splits.tsv"
    weights, record = run / "model.safetensors", run / "model.json"
    device = {"device": "cpu", "threads": 1}
    train_run(store, splits, fold, seed, settings, weights, record, run / "history.tsv", **device)
    evaluate_run(
        store, splits, weights, record, {"full": {}}, run / "predictions.tsv",
        run / "metrics.tsv", run / "extras.safetensors", **device,
    )  # fmt: skip
    return pd.read_csv(run / "predictions.tsv", sep="\t")


def summary(predictions: pd.DataFrame) -> SimpleNamespace:
    """Bias, error and rank correlation, with the bias's 95 % bootstrap interval over genes."""
    gap = (predictions["predicted"] - predictions["observed"]).to_numpy()
    rng = np.random.default_rng(1)
    means = rng.choice(gap, (2000, gap.size)).mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    rank = predictions["predicted"].corr(predictions["observed"], method="spearman")
    return SimpleNamespace(
        bias=gap.mean(), low=low, high=high, mse=(gap**2).mean(), spread=gap.var(), rank=rank,
        n=gap.size, r=predictions["predicted"].corr(predictions["observed"]),
    )  # fmt: skip


def shown(r: dict[str, Any]) -> str:
    """A line of the table."""
    return (
        f"| {r['trained']} | {r['model']} | {r['cell']} | {r['n']} | {r['bias']:+.2f} "
        f"[{r['low']:+.2f}, {r['high']:+.2f}] | {r['mse']:.2f} | {r['spread']:.2f} "
        f"| {r['r']:.2f} | {r['rank']:.2f} |"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--seeds", type=int, help="5 for boosting, 3 for networks")
    parser.add_argument("--networks", action="store_true", help="networks, not boosting")
    parser.add_argument("--models", nargs="+", help="only these of them")
    parser.add_argument("--trained", nargs="+", choices=("outside", "inside"))
    parser.add_argument("--json", type=Path, help="write the numbers here, too")
    chosen = parser.parse_args()
    known = NETWORKS if chosen.networks else MODELS
    n_seeds = chosen.seeds or (3 if chosen.networks else 5)
    folds = chosen.trained or (["outside"] if chosen.networks else ["outside", "inside"])
    rows = []
    columns = "trained | model | cell | genes tested | bias [95 %] | MSE | MSE without bias"
    print(f"| {columns} | Pearson | Spearman |\n{'|---' * 9}|")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        built = stores(chosen.data, folder)
        for fold in folds:
            for model in [name for name in known if name in (chosen.models or known)]:
                _, modalities, _ = known[model]
                for cell, store in built.items():
                    if not set(modalities) <= set(Store.open(store).modalities):
                        continue
                    seeds = [tested(store, model, fold, seed, folder) for seed in range(n_seeds)]
                    mean = seeds[0].assign(predicted=np.mean([s["predicted"] for s in seeds], 0))
                    row = {"trained": fold, "model": model, "cell": cell, **vars(summary(mean))}
                    rows.append(row)
                    print(shown(row), flush=True)
    if chosen.json:
        chosen.json.write_text(json.dumps(rows, indent=1, default=float))


if __name__ == "__main__":
    main()
