"""The selective scan compiled for CPUs with numba: see ``numba_kernels`` for the loops."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from prismflow.models.scan.lanes import LANES, flat, run_tasks
from prismflow.models.scan.numba_kernels import CHUNK, scan_backward, scan_forward

TASKS = 8
"""Tasks that a scan is at least split into, where its channels allow; a fixed number, so that
sums do not depend on the number of threads."""


def problem(device: torch.device, dtype: torch.dtype) -> str | None:
    """Why this backend cannot serve tensors of this kind, or None."""
    if device.type != "cpu":
        return f"numba works on the CPU only, the tensors are on {device.type}"
    if dtype not in (torch.float32, torch.float64):
        return f"numba computes in float32 or float64, not {dtype}"
    return None


def scan(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    delta_bias: Tensor | None,
    delta_softplus: bool,
    reverse: tuple[bool, ...],
) -> tuple[Tensor, Tensor]:
    """Scan G independent groups (shapes: see ``prismflow.models.scan.scan_groups``)."""
    zeros = u.new_zeros(u.shape[0], u.shape[3])
    return _NumbaScan.apply(
        u,
        delta,
        A,
        torch.cat([B, C], dim=-1),
        zeros if D is None else D,
        zeros if delta_bias is None else delta_bias,
        delta_softplus,
        reverse,
    )


class _NumbaScan(torch.autograd.Function):
    """Autograd around :func:`forward` and :func:`backward`."""

    @staticmethod
    def forward(ctx: Any, u, delta, A, BC, D, bias, softplus, reverse):
        u, delta, A, BC, D, bias = (x.contiguous() for x in (u, delta, A, BC, D, bias))
        keep = any(ctx.needs_input_grad)
        y, last, bounds = forward(u, delta, A, BC, D, bias, 0, softplus, reverse, keep)
        ctx.save_for_backward(u, delta, A, BC, D, bias, bounds)
        ctx.flags = (softplus, reverse)
        ctx.mark_non_differentiable(last)
        return y, last

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy, _dlast):
        u, delta, A, BC, D, bias, bounds = ctx.saved_tensors
        softplus, reverse = ctx.flags
        du, ddelta, dA, dBC, dD, dbias = backward(
            u, delta, A, BC, D, bias, 0, softplus, reverse, bounds, dy.contiguous()
        )
        return du, ddelta, dA, dBC, dD, dbias, None, None


def forward(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    proj: Tensor,
    D: Tensor,
    bias: Tensor,
    first: int,
    softplus: bool,
    reverse: tuple[bool, ...],
    keep: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Outputs, last states, and the states at chunk starts if ``keep``.

    Args:
        u, delta: (G, B, L, D).
        A: (G, D, N).
        proj: (G, B, L, W) with B in columns first .. first + N and C in the N after them.
        D, bias: (G, D).
        first: column where B begins.
        softplus: apply it to delta + bias.
        reverse: per group.
        keep: for a backward pass.

    Returns:
        y (G, B, L, D), last (G, B, D, N), bounds (flat, for :func:`backward`).
    """
    groups, batch, _length, dim = u.shape
    n_state = A.shape[-1]
    sizes = _sizes(u, A, proj, first)
    y = torch.empty_like(u)
    last = u.new_empty(groups, batch, dim, n_state)
    bounds = u.new_empty(_n_bounds(sizes) if keep else 0)
    run_tasks(
        scan_forward,
        _n_tasks(sizes),
        sizes,
        *(flat(x) for x in (u, delta, proj, A, D, bias)),
        np.array(reverse),
        softplus,
        keep,
        *(flat(x) for x in (y, bounds, last)),
    )
    return y, last, bounds


def backward(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    proj: Tensor,
    D: Tensor,
    bias: Tensor,
    first: int,
    softplus: bool,
    reverse: tuple[bool, ...],
    bounds: Tensor,
    dy: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Gradients of u, delta, A, [B, C] side by side (G, B, L, 2N), D and bias.

    Arguments as in :func:`forward`; dy is (G, B, L, D), or (B, L, D) for all groups alike.
    """
    groups, batch, length, dim = u.shape
    n_state = A.shape[-1]
    sizes = _sizes(u, A, proj, first)
    du, ddelta = torch.empty_like(u), torch.empty_like(u)
    dbc = u.new_empty(sizes[6], groups, batch, length, 2 * n_state)
    dA = u.new_zeros(groups, batch, dim, n_state, dtype=torch.float64)
    dD, dbias = (u.new_zeros(groups, batch, dim, dtype=torch.float64) for _ in range(2))
    run_tasks(
        scan_backward,
        _n_tasks(sizes),
        sizes,
        *(flat(x) for x in (u, delta, proj, A, D, bias)),
        np.array(reverse),
        softplus,
        dy.dim() == 3,
        *(flat(x) for x in (bounds, dy, du, ddelta, dbc, dA, dD, dbias)),
    )
    dBC = dbc[0] if len(dbc) == 1 else dbc.sum(0)
    dA, dD, dbias = (x.sum(1).to(u.dtype) for x in (dA, dD, dbias))
    return du, ddelta, dA, dBC, dD, dbias


def _sizes(u: Tensor, A: Tensor, proj: Tensor, first: int) -> tuple[int, ...]:
    groups, batch, length, dim = u.shape
    n_blocks = -(-dim // LANES)
    n_seq = groups * batch
    splits = min(n_blocks, -(-TASKS // max(1, n_seq)))
    return (n_seq, length, dim, A.shape[-1], proj.shape[-1], first, splits, max(1, batch))


def _n_tasks(sizes: tuple[int, ...]) -> int:
    return sizes[0] * sizes[6]


def _n_bounds(sizes: tuple[int, ...]) -> int:
    n_seq, length, dim, n_state = sizes[:4]
    return n_seq * -(-length // CHUNK) * -(-dim // LANES) * LANES * n_state
