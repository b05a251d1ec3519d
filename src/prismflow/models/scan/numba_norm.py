"""Compiled residual sum and RMSNorm on CPUs: one pass over the rows forward, and one backward.

As separate operations they read and write each activation a dozen times, which at paper sizes is
a third of a training step, all of it memory traffic.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from prismflow.models.scan.lanes import LANES, flat, inlined, kernel, lane_access, run_tasks

ROWS = 256
"""Rows per task."""

_read, _ = lane_access("read")
_read0, _write0 = lane_access("write0")
_read1, _write1 = lane_access("write1")
_read2, _write2 = lane_access("write2")


def norm_forward(
    hidden: Tensor, residual: Tensor | None, weight: Tensor, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """RMSNorm of hidden + residual, that sum, and 1 / rms of each row (in float64).

    Args:
        hidden, residual: (..., d), float32 or float64, contiguous; no residual counts as 0.
        weight: (d,) in the dtype of ``hidden``.
        eps: added to the mean square.
    """
    rows, dim = hidden.numel() // hidden.shape[-1], hidden.shape[-1]
    normed, total = torch.empty_like(hidden), torch.empty_like(hidden)
    scale = hidden.new_empty(rows, dtype=torch.float64)
    other = hidden if residual is None else residual
    arrays = (flat(x) for x in (hidden, other, weight.contiguous(), normed, total, scale))
    sizes = (rows, dim, residual is not None)
    run_tasks(_norm_forward, -(-rows // ROWS), sizes, np.array([eps]), *arrays)
    return normed, total, scale


def norm_backward(
    dnormed: Tensor, dtotal: Tensor, total: Tensor, scale: Tensor, weight: Tensor
) -> tuple[Tensor, Tensor]:
    """Gradients of the sum (hidden's and the residual's alike) and of the weight."""
    rows, dim = total.numel() // total.shape[-1], total.shape[-1]
    n_tasks = -(-rows // ROWS)
    dhidden = torch.empty_like(total)
    shares = total.new_zeros(n_tasks, dim)
    arrays = (dnormed, dtotal, total, scale, weight.contiguous(), dhidden, shares)
    run_tasks(_norm_backward, n_tasks, (rows, dim), *(flat(x) for x in arrays))
    return dhidden, shares.sum(0, dtype=torch.float64)


@inlined
def _total(lanes):
    """The sum of the lanes, always in the same order."""
    value = 0.0
    for w in range(LANES):
        value += lanes[w]
    return value


@kernel
def _norm_forward(task, sizes, eps, hidden, residual, weight, normed, total, scale):
    rows, dim, has_residual = sizes
    lanes = np.empty(LANES, hidden.dtype)
    whole = dim // LANES * LANES
    for row in range(task * ROWS, min(rows, (task + 1) * ROWS)):
        at = row * dim
        if has_residual:
            for c in range(dim):
                _write0(total, at + c, _read(hidden, at + c) + _read(residual, at + c))
        else:
            for c in range(dim):
                _write0(total, at + c, _read(hidden, at + c))
        for w in range(LANES):
            _write2(lanes, w, 0)
        for c in range(0, whole, LANES):
            for w in range(LANES):
                value = _read0(total, at + c + w)
                _write2(lanes, w, _read2(lanes, w) + value * value)
        for c in range(whole, dim):
            value = _read0(total, at + c)
            _write2(lanes, c - whole, _read2(lanes, c - whole) + value * value)
        inverse = 1.0 / np.sqrt(_total(lanes) / dim + eps[0])
        scale[row] = inverse
        factor = hidden.dtype.type(inverse)
        for c in range(dim):
            _write1(normed, at + c, _read0(total, at + c) * factor * _read(weight, c))


@kernel
def _norm_backward(task, sizes, dnormed, dtotal, total, scale, weight, dhidden, shares):
    rows, dim = sizes
    lanes = np.empty(LANES, total.dtype)
    whole = dim // LANES * LANES
    sums = task * dim
    for row in range(task * ROWS, min(rows, (task + 1) * ROWS)):
        at = row * dim
        for w in range(LANES):
            _write2(lanes, w, 0)
        for c in range(0, whole, LANES):
            for w in range(LANES):
                i = at + c + w
                product = _read(dnormed, i) * _read(weight, c + w) * _read(total, i)
                _write2(lanes, w, _read2(lanes, w) + product)
        for c in range(whole, dim):
            product = _read(dnormed, at + c) * _read(weight, c) * _read(total, at + c)
            _write2(lanes, c - whole, _read2(lanes, c - whole) + product)
        inverse = scale[row]
        slope = total.dtype.type(_total(lanes) * inverse * inverse * inverse / dim)
        factor = total.dtype.type(inverse)
        for c in range(dim):
            grad, value = _read(dnormed, at + c), _read(total, at + c)
            mine = grad * _read(weight, c) * factor - value * slope
            _write0(dhidden, at + c, mine + _read(dtotal, at + c))
            _write1(shares, sums + c, _read1(shares, sums + c) + grad * value * factor)
