"""Forward passes of trained networks over a whole split, and their weights on disk."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from prismflow.arrays import load_arrays, save_arrays
from prismflow.errors import InputError
from prismflow.models import build
from prismflow.models.common import ExpressionModel, InputSpec
from prismflow.training.batches import GeneBatches

LARGEST_EXTRA = 65_536
"""Extras with more numbers per gene than this (masks of very long windows) are not collected."""


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """bf16 mixed precision where ``precision`` is ``bf16``; nothing where it is ``fp32``."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16")


def build_model(settings: Mapping[str, Any]) -> ExpressionModel:
    """A freshly initialised network from resolved model settings."""
    inputs = InputSpec(
        modalities=tuple(settings["modalities"]),
        n_gene_features=len(settings["gene_features"]),
        window_bp=settings["window_bp"],
    )
    return build(
        settings["class"],
        settings.get("hyperparameters", {}),
        settings.get("loss", {}),
        inputs,
    )


@torch.inference_mode()
def predict(
    model: ExpressionModel,
    batches: GeneBatches,
    batch_size: int,
    precision: str = "fp32",
    keep_extras: bool = False,
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Predict every gene of a split, in order, in evaluation mode.

    Args:
        batches: the n genes of a split.
        batch_size: genes per forward pass.
        precision: ``fp32`` or ``bf16``.
        keep_extras: collect what the model returns beside its prediction, too; without them a
            model may take a shorter way to its prediction.

    Returns:
        (n,) float32 predictions, and extras by name, float32 with leading size n. Extras without
        a leading batch axis, or larger than :data:`LARGEST_EXTRA` per gene, are left out.
    """
    training = model.training
    model.eval()
    predictions: list[torch.Tensor] = []
    extras: dict[str, list[torch.Tensor]] = {}
    with autocast(batches.device, precision):
        for batch in batches.in_order(batch_size):
            if not keep_extras:
                predictions.append(model.reported_prediction(batch).float())
                continue
            output, n = model(batch), batch.rows.numel()
            predictions.append(output.prediction.float())
            for name, value in output.extras.items():
                if value.dim() and len(value) == n and value.numel() <= n * LARGEST_EXTRA:
                    extras.setdefault(name, []).append(value.float().cpu())
    model.train(training)
    collected = {name: torch.cat(parts).numpy() for name, parts in extras.items()}
    if keep_extras and model.learns_from_the_split:
        collected |= model.outputs_of_split(collected)
    return torch.cat(predictions).cpu().numpy(), collected


def save_weights(state: Mapping[str, torch.Tensor], path: str | Path) -> None:
    """Write a state dict as safetensors, atomically; tied tensors are stored under each name."""
    save_arrays({name: value.detach().cpu().numpy() for name, value in state.items()}, path)


def load_weights(model: nn.Module, path: str | Path) -> None:
    """Load safetensors into a model; every key and shape must be the model's.

    Raises:
        InputError: the file is absent or damaged, or has other keys or shapes.
    """
    state = {name: torch.tensor(value) for name, value in load_arrays(path).items()}
    expected = model.state_dict()
    problems = [f"missing {name}" for name in expected if name not in state]
    problems += [f"unexpected {name}" for name in state if name not in expected]
    problems += [
        f"{name} of shape {tuple(state[name].shape)} instead of {tuple(value.shape)}"
        for name, value in expected.items()
        if name in state and state[name].shape != value.shape
    ]
    if problems:
        shown = "; ".join(problems[:5]) + (f"; and {len(problems) - 5} more" * (len(problems) > 5))
        raise InputError(f"{path}: the weights do not fit the model in model.json: {shown}.")
    model.load_state_dict(state)
