"""A training by steps, from settings to weights: loaded by name for networks only."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import torch

from prismflow.data.inputs import GeneInputs
from prismflow.models.common import parameter_count
from prismflow.settings.fields import parse_settings
from prismflow.settings.training import TrainingSettings
from prismflow.training.batches import GeneBatches
from prismflow.training.determinism import prepare_device
from prismflow.training.devices import describe_device
from prismflow.training.inference import build_model, predict, save_weights
from prismflow.training.initial import start_from
from prismflow.training.loop import start_state, train_model
from prismflow.training.record import Fitted, Split
from prismflow.training.state import Keeper, run_identity

logger = logging.getLogger(__name__)


def fit(
    inputs: GeneInputs,
    split: Split,
    settings: dict[str, Any],
    seed: int,
    weights_path: str | Path,
    state_path: str | Path,
    device: str,
    threads: int | None,
    checkpoint_minutes: float,
    initial_path: str | Path | None = None,
) -> Fitted:
    """Train the network that resolved settings ask for, or continue where it was interrupted.

    Args:
        inputs, split: genes and what a model reads of them.
        settings: resolved model settings.
        seed: of initial weights, order of genes and everything drawn at random.
        weights_path: ``model.safetensors`` to write.
        state_path: folder of the state of an unfinished run.
        device: ``auto``, ``cpu`` or ``cuda``.
        threads: CPU threads; None leaves them as they are.
        checkpoint_minutes: time between two states on disk.
        initial_path: pretrained weights to start from, if any.

    Returns:
        Rows of ``history.tsv``, and what ``model.json`` says of the result.
    """
    training = parse_settings(
        TrainingSettings, settings.get("training", {}), f"training of {settings['model']}"
    )
    # Checkpointed activations are asked for where memory is short.
    chosen = prepare_device(device, threads, keep_freed=not training.checkpoint_activations)
    torch.manual_seed(seed)
    # Built on the CPU, so that a seed means the same initial weights on every device.
    model = build_model(settings)
    if initial_path is not None:
        start_from(model, initial_path)
    model = model.to(chosen)
    logger.info("%s has %d parameters", settings["model"], parameter_count(model))
    train, valid = (GeneBatches(inputs, split.rows[role], chosen) for role in ("train", "valid"))
    if model.learns_from_the_split:
        model.prepare(inputs, split.rows["train"])
    state = start_state(model, training)
    identity = run_identity(inputs.store, split, settings, seed, chosen)
    keeper = Keeper(state_path, identity, checkpoint_minutes)
    keeper.load(state)
    label = f"training {settings['model']} seed {seed}"
    train_model(state, train, valid, training, seed, label, keeper)
    best = state.best
    if model.learns_from_the_split:
        model.load_state_dict(best)
        score, _ = predict(model, valid, training.eval_batch_size, training.precision)
        model.conclude(score, inputs, split.rows["valid"])
        best = model.state_dict()
    save_weights(best, weights_path)
    return state.history, {
        "best": {"step": state.best_step, "valid_mse": state.best_mse},
        "n_parameters": parameter_count(model),
        "device": describe_device(chosen),
        "packages": ("numpy", "torch", "safetensors"),
    }
