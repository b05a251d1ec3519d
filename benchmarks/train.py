"""Time whole training steps of a model at the paper's sizes, through the project's own loop.

    python benchmarks/train.py --device cuda --steps 600
    python benchmarks/train.py --device cpu --steps 6 --genes 64

Data are random windows with a planted signal, held on the device as in a real run. Every variant
starts from the same weights and sees the same genes, so their loss curves can be compared.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from prismflow.data.contact_bins import bins_per_window
from prismflow.data.store import GENE_COLUMNS, Store
from prismflow.settings.architectures import class_of
from prismflow.settings.fields import parse_settings
from prismflow.training import loop
from prismflow.training.batches import GeneBatches
from prismflow.training.devices import choose_device
from prismflow.training.inference import build_model
from prismflow.training.record import open_inputs

FULL_RUN_STEPS = 50_000
MODALITIES = ("h3k27ac", "dnase", "hic")


def make_store(folder: Path, n_genes: int, window_bp: int) -> Store:
    """A store of random windows; the label follows the level of h3k27ac and a gene feature."""
    # Writing a store from memory serves tests and this benchmark only, so it stands with the tests.
    sys.path.append(str(Path(__file__).parents[1] / "tests" / "unit"))
    from make_store import write_store

    rng = np.random.default_rng(0)
    level = rng.gamma(2.0, 1.0, n_genes).astype(np.float32)
    signals = {
        "h3k27ac": level[:, None] * rng.gamma(2.0, 2.0, (n_genes, window_bp)).astype(np.float32),
        "dnase": rng.gamma(1.0, 2.0, (n_genes, window_bp)).astype(np.float32),
    }
    features = rng.normal(size=(n_genes, 9)).astype(np.float32)
    labels = np.log10(1 + 5 * level) + 0.2 * features[:, 0] + rng.normal(0, 0.1, n_genes)
    start = 10_000 + 3 * window_bp * np.arange(n_genes)
    genes = pd.DataFrame(
        {
            "gene_id": [f"gene{i:05d}" for i in range(n_genes)],
            "chrom": "chr1", "tss": start + window_bp // 2, "strand": "+",
            "window_start": start, "window_end": start + window_bp,
            "pad_left": 0, "pad_right": 0, "label": labels.astype(np.float32),
        }
    )[list(GENE_COLUMNS)]  # fmt: skip
    n_bins = bins_per_window(window_bp, 5000)
    write_store(
        folder / "store", dataset="benchmark", cell="random", window_bp=window_bp, genes=genes,
        sequence=rng.integers(0, 4, (n_genes, window_bp)).astype(np.uint8), signals=signals,
        contacts={"hic": (rng.gamma(2, 50, (n_genes, n_bins)).astype("f4"), 5000)},
        peaks={}, gene_features=pd.DataFrame(features, columns=[f"f{i}" for i in range(9)]),
    )  # fmt: skip
    return Store.open(folder / "store")


def measure(store: Store, arguments: argparse.Namespace, precision: str, captured: bool) -> dict:
    """Train one variant; returns its speed and loss curve."""
    settings = {
        "model": arguments.architecture, "architecture": arguments.architecture,
        "class": class_of(arguments.architecture),
        "hyperparameters": json.loads(arguments.hyperparameters), "loss": {},
        "modalities": list(MODALITIES), "window_bp": arguments.window_bp,
        "transforms": {"h3k27ac": "raw", "dnase": "raw", "hic": "log10p1"},
        "gene_features": [f"f{i}" for i in range(9)],
    }  # fmt: skip
    training = parse_settings(
        loop.TrainingSettings,
        {
            "steps": arguments.steps, "batch_size": arguments.batch_size, "precision": precision,
            "warmup_steps": max(1, arguments.steps // 10), "validations_per_epoch": 2,
            "cuda_graph": captured,
        },
        "training",
    )  # fmt: skip
    device = choose_device(arguments.device)
    torch.manual_seed(2)
    model = build_model(settings).to(device)
    inputs = open_inputs(store, settings, ())
    cut = int(0.9 * store.n_genes)
    train = GeneBatches(inputs, np.arange(cut), device)
    valid = GeneBatches(inputs, np.arange(cut, store.n_genes), device)
    state = loop.start_state(model, training)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    started = time.perf_counter()
    loop.train_model(state, train, valid, training, 2, f"{precision} captured={captured}")
    if device.type == "cuda":
        torch.cuda.synchronize()
    seconds = time.perf_counter() - started
    return {
        "precision": precision,
        "captured": captured,
        "ms_per_step": round(1e3 * seconds / arguments.steps, 3),
        "full_run_minutes": round(seconds / arguments.steps * FULL_RUN_STEPS / 60, 2),
        "peak_gib": round(torch.cuda.max_memory_allocated() / 2**30, 2)
        if device.type == "cuda"
        else None,
        "train_loss": [round(row["train_loss"], 4) for row in state.history],
        "valid_mse": [round(row["valid_mse"], 4) for row in state.history],
    }


def main() -> None:
    """Measure every variant; print, and write JSON below the folder named by OUT."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--architecture", default="prism")
    parser.add_argument("--hyperparameters", default='{"n_contexts": 2}')
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--window-bp", type=int, default=2000)
    parser.add_argument("--genes", type=int, default=4000)
    parser.add_argument("--variants", default="fp32,bf16,bf16-eager")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    results = []
    with tempfile.TemporaryDirectory() as folder:
        store = make_store(Path(folder), arguments.genes, arguments.window_bp)
        for variant in arguments.variants.split(","):
            precision, _, eager = variant.partition("-")
            results.append(measure(store, arguments, precision, not eager))
            print(json.dumps(results[-1]), flush=True)
    if os.environ.get("OUT"):
        name = f"train_{arguments.architecture}_{arguments.batch_size}.json"
        Path(os.environ["OUT"], name).write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
