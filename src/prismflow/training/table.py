"""A fit to a table of features, from settings to weights: for tabular models only."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from prismflow.data.inputs import GeneInputs
from prismflow.models import class_of
from prismflow.training.record import Fitted, Split


def fit(
    inputs: GeneInputs,
    split: Split,
    settings: dict[str, Any],
    seed: int,
    weights_path: str | Path,
    threads: int | None,
) -> Fitted:
    """Fit the tabular model that resolved settings ask for, without importing torch.

    Args:
        inputs, split: genes and what a model reads of them.
        settings: resolved model settings.
        seed: of everything drawn at random.
        weights_path: ``model.safetensors`` to write.
        threads: CPU threads; None leaves them as they are.

    Returns:
        Rows of ``history.tsv``, and what ``model.json`` says of the result.
    """
    # Loaded by name, so that an edit of the tabular models does not retrain the networks.
    tabular = importlib.import_module(class_of(settings).__module__)
    model, history = tabular.train_tabular(inputs, split.rows, settings, seed, threads)
    tabular.save_tabular(model, weights_path)
    best = min(history, key=lambda row: row["valid_mse"])
    return history, {
        "best": {"step": best["step"], "valid_mse": best["valid_mse"]},
        "n_parameters": model.n_parameters,
        "device": "cpu",
        "packages": ("numpy", "scikit-learn", "safetensors"),
    }
