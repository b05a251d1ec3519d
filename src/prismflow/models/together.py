"""Weights made ready for a device's kernels together, instead of tensor by tensor.

A step of a 2-kb model launches hundreds of kernels on tensors of a few thousand numbers, each of
which costs as much as one on all of them. So weights are cast at once and handed out as views.
"""

from __future__ import annotations

import os

import torch
from torch import nn
from torch.func import functional_call

from prismflow.models.common import BatchLike, ExpressionModel, ModelOutput


def launches_cost(device: torch.device) -> bool:
    """Whether each kernel's launch costs as much as its work: on devices, and where one is acted.

    Results on a CPU keep their bytes by keeping to what is done tensor by tensor.
    """
    return device.type != "cpu" or os.environ.get("TRITON_INTERPRET") == "1"


def product_dtype(device: torch.device, otherwise: torch.dtype) -> torch.dtype:
    """The dtype that products of matrices are computed in now on this device."""
    if not torch.is_autocast_enabled(device.type):
        return otherwise
    return torch.get_autocast_dtype(device.type)


def forward_pass(model: ExpressionModel, batch: BatchLike) -> ModelOutput:
    """``model(batch)``; where launches cost, weights of ``model.cast_at_once`` are cast at once.

    Autocast would cast each weight and bias by itself, and each of their gradients.
    """
    dtype = product_dtype(batch.sequence.device, torch.float32)
    parameters = {
        f"{prefix}.{name}": parameter
        for prefix, part in model.named_modules()
        if prefix.partition(".")[0] in model.cast_at_once
        and isinstance(part, nn.Linear | nn.Conv1d)
        for name, parameter in part.named_parameters(recurse=False)
    }
    if dtype == torch.float32 or not parameters or not launches_cost(batch.sequence.device):
        return model(batch)
    flat = torch.cat([p.reshape(-1) for p in parameters.values()]).to(dtype)
    pieces = flat.split([p.numel() for p in parameters.values()])
    low = {
        name: piece.view(p.shape)
        for (name, p), piece in zip(parameters.items(), pieces, strict=True)
    }
    return functional_call(model, low, (batch,))
