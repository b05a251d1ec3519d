"""Train one run: one model on one cell, fold and seed."""

from __future__ import annotations

import importlib
import logging
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from prismflow.data.inputs import GeneInputs
from prismflow.data.store import Store
from prismflow.errors import InputError
from prismflow.files import write_json, write_tsv
from prismflow.models import ARCHITECTURES, TABULAR, model_class
from prismflow.training.record import (
    Split,
    check_finite,
    extras_of,
    model_record,
    open_inputs,
    verify_files,
)

logger = logging.getLogger(__name__)

CHECKPOINT_MINUTES = 10.0
"""Time between two states of a running training on disk."""

Fitted = tuple[list[dict[str, Any]], dict[str, Any]]


def train_run(
    store_dir: str | Path,
    splits_path: str | Path,
    fold: str,
    seed: int,
    settings: Mapping[str, Any],
    weights_path: str | Path,
    model_json_path: str | Path,
    history_path: str | Path,
    device: str = "auto",
    threads: int | None = None,
    checkpoint_minutes: float = CHECKPOINT_MINUTES,
) -> None:
    """Train a model and write its best state by validation MSE.

    On a CPU the same arguments give the same bytes of all three outputs, whether or not the run
    was killed on the way: its state is kept in :func:`state_folder` and continued. Tabular models
    are fitted without importing torch; ``device`` does not concern them.

    Args:
        store_dir: the cell's store.
        splits_path: ``splits.tsv``; genes marked train and valid in the column ``fold`` are used.
        fold: column of ``splits.tsv``.
        seed: of initial weights, order of genes and everything drawn at random.
        settings: resolved model settings (model, architecture, hyperparameters, loss, modalities,
            window_bp, transforms, gene_features, training).
        weights_path: ``model.safetensors`` to write.
        model_json_path: ``model.json`` to write: settings, identity of the data, best step.
        history_path: ``history.tsv`` to write, one row per validation: step (optimiser steps
            done), epoch (passes over the training genes, fractional), learning_rate, train_loss
            and its terms (means since the last row), valid_mse, valid_pearson. Tabular models
            have a row per penalty (ridge) or tree (boosting) instead.
        device: ``auto``, ``cpu`` or ``cuda``.
        threads: CPU threads; None leaves them as they are.
        checkpoint_minutes: time between two states of the training on disk.

    Raises:
        InputError: settings, store and split do not fit together, the store's files are damaged,
            the training diverged or the GPU's memory did not suffice.
        SystemExit: a signal asked the run to end (its state is kept).
    """
    settings = dict(settings)
    if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
        raise InputError(f"seed: expected a whole number of at least 0, found {seed!r}.")
    inputs, split = _open(store_dir, splits_path, fold, settings)
    if settings["architecture"] in TABULAR:
        history, facts = _fit_tabular(inputs, split, settings, seed, weights_path, threads)
    else:
        history, facts = _fit_network(
            inputs, split, settings, seed, weights_path, device, threads, checkpoint_minutes
        )
    write_tsv(pd.DataFrame(history), history_path)
    write_json(model_record(inputs.store, split, settings, seed, **facts), model_json_path)
    # Only now: until the last output is whole, an accident must find the state.
    shutil.rmtree(state_folder(weights_path), ignore_errors=True)


def _open(
    store_dir: str | Path, splits_path: str | Path, fold: str, settings: dict[str, Any]
) -> tuple[GeneInputs, Split]:
    store = Store.open(store_dir)
    split = Split.read(splits_path, fold, store)
    extras = extras_of(model_class(settings["architecture"]), store)
    inputs = open_inputs(store, settings, extras)
    verify_files(inputs, settings)
    check_finite(inputs, split)
    logger.info(
        "model %s (%s), cell %s, fold %s: %d training and %d validation genes, %d bp, "
        "modalities: %s",
        settings["model"], settings["architecture"], store.manifest["cell"], fold,
        split.rows["train"].size, split.rows["valid"].size, settings["window_bp"],
        ", ".join(settings["modalities"]) or "none",
    )  # fmt: skip
    return inputs, split


def state_folder(weights_path: str | Path) -> Path:
    """Where the state of an unfinished run lies: beside the folder of the run's outputs."""
    folder = Path(weights_path).absolute().parent
    return folder.with_name(f"{folder.name}.state")


def _fit_network(
    inputs: GeneInputs,
    split: Split,
    settings: dict[str, Any],
    seed: int,
    weights_path: str | Path,
    device: str,
    threads: int | None,
    checkpoint_minutes: float,
) -> Fitted:
    # Imported here, because a job for a tabular model should not wait for torch.
    import torch

    from prismflow.models.common import parameter_count
    from prismflow.settings.fields import parse_settings
    from prismflow.settings.training import TrainingSettings
    from prismflow.training.batches import GeneBatches
    from prismflow.training.devices import describe_device, prepare_device
    from prismflow.training.inference import build_model, save_weights
    from prismflow.training.loop import start_state, train_model
    from prismflow.training.state import Keeper, run_identity

    training = parse_settings(
        TrainingSettings, settings.get("training", {}), f"training of {settings['model']}"
    )
    # Checkpointed activations are asked for where memory is short.
    chosen = prepare_device(device, threads, keep_freed=not training.checkpoint_activations)
    torch.manual_seed(seed)
    # Built on the CPU, so that a seed means the same initial weights on every device.
    model = build_model(settings).to(chosen)
    logger.info("%s has %d parameters", settings["model"], parameter_count(model))
    train, valid = (GeneBatches(inputs, split.rows[role], chosen) for role in ("train", "valid"))
    state = start_state(model, training)
    identity = run_identity(inputs.store, split, settings, seed, chosen)
    keeper = Keeper(state_folder(weights_path), identity, checkpoint_minutes)
    keeper.load(state)
    label = f"training {settings['model']} seed {seed}"
    train_model(state, train, valid, training, seed, label, keeper)
    save_weights(state.best, weights_path)
    return state.history, {
        "best": {"step": state.best_step, "valid_mse": state.best_mse},
        "n_parameters": parameter_count(model),
        "device": describe_device(chosen),
        "packages": ("numpy", "torch", "safetensors"),
    }


def _fit_tabular(
    inputs: GeneInputs,
    split: Split,
    settings: dict[str, Any],
    seed: int,
    weights_path: str | Path,
    threads: int | None,
) -> Fitted:
    # Loaded by name, so that an edit of the tabular models does not retrain the networks.
    tabular = importlib.import_module(ARCHITECTURES[settings["architecture"]][0])
    model, history = tabular.train_tabular(inputs, split.rows, settings, seed, threads)
    tabular.save_tabular(model, weights_path)
    best = min(history, key=lambda row: row["valid_mse"])
    return history, {
        "best": {"step": best["step"], "valid_mse": best["valid_mse"]},
        "n_parameters": model.n_parameters,
        "device": "cpu",
        "packages": ("numpy", "scikit-learn", "safetensors"),
    }
