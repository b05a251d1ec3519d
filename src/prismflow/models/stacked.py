"""Parameters of all layers and directions of one backbone as one tensor, handed out as views.

Each direction's parameters would be stacked, cast and reordered in every layer, and so would their
gradients: hundreds of launches of kernels on a few thousand numbers. No number is changed by it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from prismflow.models.scan import load_backend
from prismflow.models.together import product_dtype

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
