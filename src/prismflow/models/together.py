"""Parameters made ready for a device's kernels together, instead of tensor by tensor.

A step of a 2-kb model launches hundreds of kernels on tensors of a few thousand numbers: each
direction's parameters are stacked, cast and reordered in every layer, and so are their gradients.
Each such launch costs as much as one on all of them. So they are joined once a step, cast once,
and what is handed out are views; the gradients come back the same way. No number is changed by it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.func import functional_call

from prismflow.models.common import BatchLike, ExpressionModel, ModelOutput
from prismflow.models.scan import load_backend

PRODUCTS = 4
"""Kinds of parameters that matrices are multiplied with, in low precision under autocast."""


Mixed = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]


class Prepared(NamedTuple):
    """One layer's parameters, as :func:`scan.mixer.mix` and the two projections take them.

    Attributes:
        in_proj: (2 D, d_model), out_proj: (d_model, D), in the dtype of the products.
        mixed: conv (G, D, W), conv bias (G, D), x_proj (G, R + 2 N, D) and dt_proj (G, D, R) in
            the dtype of the products, dt bias (G, D), A (G, D, N), D (G, D).
        backend: of the scan.
        matrix: A as the scan's kernels read it, None where they make it themselves.
    """

    in_proj: Tensor
    out_proj: Tensor
    mixed: Mixed
    backend: str
    matrix: Tensor | None


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


def prepare_layers(mixers: Sequence[Any], backend: str) -> list[Prepared]:
    """Parameters of all layers and directions.

    Args:
        mixers: :class:`~prismflow.models.bimamba.Mixer` of equal sizes.
        backend: of the scan.
    """
    like, n_layers = mixers[0].mamba_fwd.D, len(mixers)
    kinds = _kinds(mixers)
    sizes = [sum(p.numel() for p in kind) for kind in kinds]
    flat = torch.cat([p.reshape(-1) for kind in kinds for p in kind])
    products, *others = flat.split([sum(sizes[:PRODUCTS]), *sizes[PRODUCTS:]])
    products = products.to(product_dtype(like.device, like.dtype))
    parts = [*products.split(sizes[:PRODUCTS]), *others]
    in_proj, out_proj, x_proj, dt_proj, conv, conv_bias, dt_bias, D, A_log = (
        part.view(n_layers, -1, *_shape(kind[0])) for part, kind in zip(parts, kinds, strict=True)
    )
    matrices: Sequence[Tensor | None] = [None] * n_layers
    if backend == "triton":
        conv, A_log = _channels_last(conv), _channels_last(A_log)
    A = -torch.exp(A_log)
    if backend == "triton":
        matrices = load_backend(backend).matrix(A.detach()).unbind(0)
    stacked = (x.unbind(0) for x in (conv, conv_bias, x_proj, dt_proj, dt_bias, A, D))
    mixed = zip(*stacked, strict=True)
    rows = zip(in_proj.flatten(0, 1), out_proj.flatten(0, 1), mixed, matrices, strict=True)
    return [
        Prepared(first, last, cast(Mixed, rest), backend, matrix)
        for first, last, rest, matrix in rows
    ]


def _kinds(mixers: Sequence[Any]) -> list[list[Tensor]]:
    """Equal parameters of all layers, then of all directions; first those of products."""
    directions = [direction for mixer in mixers for direction in mixer.directions]
    return [
        [mixer.mamba_fwd.in_proj.weight for mixer in mixers],
        [mixer.mamba_fwd.out_proj.weight for mixer in mixers],
        [direction.x_proj.weight for direction in directions],
        [direction.dt_proj.weight for direction in directions],
        [direction.conv1d.weight for direction in directions],
        [direction.conv1d.bias for direction in directions],
        [direction.dt_proj.bias for direction in directions],
        [direction.D for direction in directions],
        [direction.A_log for direction in directions],
    ]


def _shape(parameter: Tensor) -> tuple[int, ...]:
    """The shape, without the 1 in the middle of a depthwise convolution's weight."""
    return (*parameter.shape[:1], *parameter.shape[1:][-1:])


def _channels_last(stacked: Tensor) -> Tensor:
    """The same values (..., D, K), lying in memory as (..., K, D), as the kernels read them."""
    return stacked.transpose(-1, -2).contiguous().transpose(-1, -2)


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
