"""What a prediction costs beside its forward passes; see docs/benchmarks.md.

    python benchmarks/predict.py GENES.tsv GENOME.fa H3K27AC.bw DNASE.bw [N_AT_PAPER_SIZE]

All genes go through a small CNN (time and memory of everything but the model), the first N
through Prism of the paper's size (time per gene of bare forward passes). CPU seconds of one thread.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from prismflow.data.store import Store
from prismflow.predict import predictions
from prismflow.predict.bundle import finish_bundle
from prismflow.predict.ranges import BINS
from prismflow.settings.architectures import class_of as path_of
from prismflow.training.batches import GeneBatches
from prismflow.training.inference import autocast, build_model, save_weights
from prismflow.training.record import open_inputs

SMALL = {"channels": 4, "n_layers": 1}
FEATURES = ["utr5_length", "cds_length", "intron_length", "utr3_length", "orf_exon_density"]


def settings_of(architecture: str, hyperparameters: dict) -> dict:
    return {
        "model": architecture, "architecture": architecture, "class": path_of(architecture),
        "hyperparameters": hyperparameters, "loss": {}, "modalities": ["h3k27ac", "dnase"],
        "window_bp": 2000, "transforms": {"h3k27ac": "raw", "dnase": "raw"},
        "gene_features": FEATURES, "training": {},
    }  # fmt: skip


def make_bundle(folder: Path, settings: dict) -> Path:
    """An untrained model as a bundle of one run."""
    made = folder / "made"
    torch.manual_seed(2)
    save_weights(
        build_model(settings).state_dict(), made / "members" / "fold11_seed2" / "model.safetensors"
    )
    n = 2 * BINS + len(FEATURES) + 2
    signal = {"kind": "signal", "missing": "zero", "dtype": "float32"}
    finish_bundle(
        made,
        {
            "dataset": "d", "cell": "c", "label": {"column": "x", "transform": "raw"},
            "simulated": False, "settings": settings, "window_bp": 2000,
            "members": {"fold11_seed2": {"fold": "fold11", "seed": 2}},
            "modalities": {"h3k27ac": signal, "dnase": signal}, "promoter_activity": "none",
            "scale": None, "features": {},
            "ranges": {"folds": {"fold11": {"low": [0.0] * n, "high": [1.0] * n}}, "limit": 0.1},
        },
        folder / "bundle",
    )  # fmt: skip
    return folder / "bundle"


def forward(store: Path, settings: dict, rows: np.ndarray) -> float:
    """CPU seconds of bare forward passes."""
    model = build_model(settings).eval()
    batches = GeneBatches(open_inputs(Store.open(store), settings), rows, "cpu")
    with torch.inference_mode(), autocast(batches.device, "fp32"):
        model(batches.batch(np.arange(min(2, len(rows)))))  # kernels are compiled or read
        start = time.process_time()
        for batch in batches.in_order(64):
            model(batch)
    return time.process_time() - start


def main(genes: str, fasta: str, h3k27ac: str, dnase: str, n_paper: int) -> None:
    torch.set_num_threads(1)
    table = pd.read_csv(genes, sep="\t", usecols=["gene_id", "chrom", "tss", "strand"])
    paper = settings_of("prism", {"n_contexts": 2})
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        table.assign(**dict.fromkeys(FEATURES, 0.5)).to_csv(
            folder / "genes.tsv", sep="\t", index=False
        )
        small = settings_of("cnn", SMALL)
        inner: dict[str, float] = {}
        original = predictions.predict_genes

        def predicting(bundle, inputs, rows, **options):  # type: ignore[no-untyped-def]
            found = original(bundle, inputs, rows, **options)
            inner["small"] = forward(inputs.store.path, small, rows)
            inner["paper"] = forward(inputs.store.path, paper, rows[:n_paper]) / n_paper
            return found

        some = folder / "some.tsv"
        pd.read_csv(folder / "genes.tsv", sep="\t").head(n_paper).to_csv(
            some, sep="\t", index=False
        )
        tracks = {"h3k27ac": h3k27ac, "dnase": dnase}
        predictions.write_predictions(
            make_bundle(folder / "paper", paper), some, fasta, tracks, folder / "some_out.tsv",
            device="cpu", threads=1,
        )  # fmt: skip
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        print(
            f"memory of a prediction at the paper's size, {n_paper} genes: {memory:.2f} GB",
            flush=True,
        )
        predictions.predict_genes = predicting
        before = time.process_time()
        predictions.write_predictions(
            make_bundle(folder, small), folder / "genes.tsv", fasta,
            tracks, folder / "out.tsv", device="cpu", threads=1,
        )  # fmt: skip
        total = time.process_time() - before
    n = len(table)
    overhead = total - 2 * inner["small"] - n_paper * inner["paper"]
    passes = n * inner["paper"]
    print(f"{n} genes")
    print(f"everything beside forward passes: {overhead:.1f} CPU s")
    print(f"bare forward pass at the paper's size: {1000 * inner['paper']:.1f} CPU ms per gene")
    print(f"prediction / bare forward passes: {(overhead + passes) / passes:.4f}")


if __name__ == "__main__":
    main(*sys.argv[1:5], int(sys.argv[5]) if len(sys.argv) > 5 else 128)
