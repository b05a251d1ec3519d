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
from prismflow.files import sha256, write_json, write_tsv
from prismflow.models import class_of
from prismflow.training.kept import CHECKPOINT_MINUTES, state_folder
from prismflow.training.record import (
    Split,
    check_finite,
    extras_of,
    model_record,
    open_inputs,
    verify_files,
)

logger = logging.getLogger(__name__)


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
    initial_path: str | Path | None = None,
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
        settings: resolved model settings (model, architecture, class, hyperparameters, loss,
            modalities, window_bp, transforms, gene_features, training).
        weights_path: ``model.safetensors`` to write.
        model_json_path: ``model.json`` to write: settings, identity of the data, best step.
        history_path: ``history.tsv`` to write, one row per validation: step (optimiser steps
            done), epoch (passes over the training genes, fractional), learning_rate, train_loss
            and its terms (means since the last row), valid_mse, valid_pearson. Tabular models
            have a row per penalty (ridge) or tree (boosting) instead.
        device: ``auto``, ``cpu`` or ``cuda``.
        threads: CPU threads; None leaves them as they are.
        checkpoint_minutes: time between two states of the training on disk.
        initial_path: pretrained weights, where the settings have ``initial_weights``.

    Raises:
        InputError: settings, store and split do not fit together, the store's files are damaged,
            the training diverged or the GPU's memory did not suffice.
        SystemExit: a signal asked the run to end (its state is kept).
    """
    settings = dict(settings)
    if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
        raise InputError(f"seed: expected a whole number of at least 0, found {seed!r}.")
    settings |= _start_of(settings, initial_path)
    inputs, split = _open(store_dir, splits_path, fold, settings)
    tabular = class_of(settings).tabular
    # Loaded by names that the rules tell, so that an edit of one way of training does not concern
    # models that are trained the other way, and those need not wait for torch.
    way = importlib.import_module(f"{__package__}.{'table' if tabular else 'network'}")
    state = state_folder(weights_path)
    further = (
        {}
        if tabular
        else {"state_path": state, "device": device, "checkpoint_minutes": checkpoint_minutes}
        | {"initial_path": initial_path}
    )
    history, facts = way.fit(
        inputs, split, settings, seed, weights_path=weights_path, threads=threads, **further
    )
    write_tsv(pd.DataFrame(history), history_path)
    write_json(model_record(inputs.store, split, settings, seed, **facts), model_json_path)
    # Only now: until the last output is whole, an accident must find the state.
    shutil.rmtree(state, ignore_errors=True)


def _start_of(settings: dict[str, Any], path: str | Path | None) -> dict[str, Any]:
    """What the record says of the weights that a model starts from: name and digest."""
    name = settings.get("initial_weights")
    if (name is None) != (path is None):
        raise InputError(
            f"model {settings['model']}: expected a file of pretrained weights where its settings "
            f"have `initial_weights`, and only there, found {name or 'no such key'} and "
            f"{path or 'no file'}; give both or neither (worlds of known confounding have no such "
            "file)."
        )
    if path is None:
        return {}
    if not Path(path).is_file():
        raise InputError(
            f"{path}: expected the pretrained weights {name}, found no such file; run `pretrain` "
            "first."
        )
    return {"initial_weights": {"pretraining": name, "sha256": sha256(path)}}


def _open(
    store_dir: str | Path, splits_path: str | Path, fold: str, settings: dict[str, Any]
) -> tuple[GeneInputs, Split]:
    store = Store.open(store_dir)
    split = Split.read(splits_path, fold, store)
    extras = extras_of(class_of(settings), store)
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
