"""How much of a gene's attention EPInformer's promoter gives to each candidate element."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from prismflow.data.inputs import GeneInputs
from prismflow.errors import InputError
from prismflow.training.batches import GeneBatches
from prismflow.training.determinism import prepare_device
from prismflow.training.inference import build_model, load_weights


def has_attention(settings: Mapping[str, Any], inputs: GeneInputs) -> bool:
    """Whether a run's model attends to candidate elements of its store."""
    return settings["architecture"] == "epinformer" and "elements" in inputs.extras


@torch.inference_mode()
def promoter_attention(
    settings: Mapping[str, Any],
    weights_path: str | Path,
    inputs: GeneInputs,
    rows: np.ndarray,
    batch_size: int,
    device: str = "auto",
    threads: int | None = None,
) -> np.ndarray:
    """(n, P) attention of the promoter to each element, mean over heads and layers; P as read.

    Args:
        settings: resolved settings of an EPInformer.
        weights_path: ``model.safetensors``.
        inputs: with elements.
        rows: (n,) rows of the store.
        batch_size: genes per pass.

    Raises:
        InputError: a model without elements.
    """
    if not has_attention(settings, inputs):
        raise InputError(
            f"{weights_path}: expected an EPInformer that reads candidate elements, found "
            f"{settings['architecture']} without them; declare `elements` for the dataset."
        )
    chosen = prepare_device(device, threads)
    model = build_model(settings)
    load_weights(model, weights_path)
    model.to(chosen).eval()
    seen: list[Tensor] = []
    hooks = [
        layer.register_forward_hook(lambda _module, _args, output: seen.append(output[1][:, 0]))
        for layer in model.get_submodule("layers").children()
    ]
    found = []
    for batch in GeneBatches(inputs, rows, chosen).in_order(batch_size):
        seen.clear()
        model(batch)
        found.append(torch.stack(seen).mean(dim=0).float().cpu().numpy())
    for hook in hooks:
        hook.remove()
    return np.concatenate(found) if found else np.zeros((0, 0), np.float32)
