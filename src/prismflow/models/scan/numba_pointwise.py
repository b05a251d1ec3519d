"""Compiled loops around the scan on CPUs: causal convolution with SiLU, and the gate.

x and z are the two halves of the input projection's rows, read and written in place: no copies of
halves, and both directions in one pass. Arrays are flat; a row is one position of one sequence.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from prismflow.models.scan.lanes import (
    flat,
    inlined,
    kernel,
    lane_access,
    run_tasks,
    sigmoid,
    silu_slope,
)

SEGMENT = 256
"""Positions per task."""
PIECE = 32
"""Positions whose convolution gradients are held at a time."""

_read, _ = lane_access("read")
_read0, _write0 = lane_access("write0")
_read1, _write1 = lane_access("write1")


def conv_forward(xz: Tensor, weight: Tensor, bias: Tensor, reverse: tuple[bool, ...]) -> Tensor:
    """SiLU of the causal convolutions of x = xz[..., :D] in each direction.

    Args:
        xz: (B, L, 2 D).
        weight: (G, D, W), the last tap on the current position.
        bias: (G, D).
        reverse: per group, causal from the end.

    Returns:
        (G, B, L, D).
    """
    groups, dim, taps = weight.shape
    batch, length, _ = xz.shape
    u = xz.new_empty(groups, batch, length, dim)
    sizes, n_tasks = _sizes(batch, length, dim, groups, taps)
    run_tasks(_conv_forward, n_tasks, sizes, *_conv_arrays(xz, weight, bias, reverse), flat(u))
    return u


def conv_backward(
    xz: Tensor,
    weight: Tensor,
    bias: Tensor,
    reverse: tuple[bool, ...],
    du: Tensor,
    dxz: Tensor,
) -> tuple[Tensor, Tensor]:
    """Gradients of weight and bias; that of x is written to dxz[..., :D].

    Arguments as in :func:`conv_forward`; du is (G, B, L, D).
    """
    groups, dim, taps = weight.shape
    batch, length, _ = xz.shape
    sizes, n_tasks = _sizes(batch, length, dim, groups, taps)
    shares = xz.new_zeros(n_tasks, groups, taps + 1, dim, dtype=torch.float64)
    run_tasks(
        _conv_backward,
        n_tasks,
        sizes,
        *_conv_arrays(xz, weight, bias, reverse),
        *(flat(x) for x in (du, dxz, shares)),
    )
    total = shares.sum(0).to(weight.dtype)
    return total[:, :taps].transpose(1, 2), total[:, taps]


def gate_forward(y: Tensor, xz: Tensor) -> tuple[Tensor, Tensor]:
    """(sum over groups of y) * silu(z), and the sum.

    Args:
        y: (G, B, L, D).
        xz: (B, L, 2 D) with z in the second half.

    Returns:
        Two (B, L, D) tensors.
    """
    groups, batch, length, dim = y.shape
    total, out = torch.empty_like(y[0]), torch.empty_like(y[0])
    sizes, n_tasks = _sizes(batch, length, dim, groups, 1)
    run_tasks(_gate_forward, n_tasks, sizes, *(flat(x) for x in (y, xz, total, out)))
    return out, total


def gate_backward(dout: Tensor, xz: Tensor, total: Tensor, dxz: Tensor) -> Tensor:
    """Gradient of y, the same for every group, (B, L, D); that of z goes to dxz[..., D:]."""
    batch, length, dim = dout.shape
    dy = torch.empty_like(dout)
    sizes, n_tasks = _sizes(batch, length, dim, 1, 1)
    run_tasks(_gate_backward, n_tasks, sizes, *(flat(x) for x in (dout, xz, total, dxz, dy)))
    return dy


def _sizes(batch: int, length: int, dim: int, groups: int, taps: int) -> tuple:
    segments = -(-length // SEGMENT)
    return (batch, length, dim, groups, taps, segments), batch * segments


def _conv_arrays(xz: Tensor, weight: Tensor, bias: Tensor, reverse: tuple[bool, ...]) -> tuple:
    taps_first = weight.transpose(1, 2).contiguous()
    return flat(xz), flat(taps_first), flat(bias.contiguous()), np.array(reverse)


@inlined
def _segment(task, length, segments):
    """First row of a task's sequence, and its range of positions."""
    first = task % segments * SEGMENT
    return task // segments * length, first, min(length, first + SEGMENT)


@inlined
def _preactivation(xz, row0, t, length, dim, taps, weight, wat, bias, bat, backwards, out, to):
    """out[to:] = bias + sum of the taps at position t."""
    step = 1 if backwards else -1
    at = (row0 + t) * 2 * dim
    inside = t + step * (taps - 1)
    if taps == 4 and 0 <= inside < length:
        x1, x2, x3 = (at + step * 2 * dim, at + step * 4 * dim, at + step * 6 * dim)
        w0, w1, w2 = wat, wat + dim, wat + 2 * dim
        for c in range(dim):
            value = _read(bias, bat + c) + _read(weight, w0 + c) * _read(xz, x3 + c)
            value += _read(weight, w1 + c) * _read(xz, x2 + c)
            value += _read(weight, w2 + c) * _read(xz, x1 + c)
            _write0(out, to + c, value + _read(weight, w2 + dim + c) * _read(xz, at + c))
        return
    for c in range(dim):
        _write0(out, to + c, _read(bias, bat + c))
    for back in range(taps):
        if 0 <= t + step * back < length:
            x, w = at + step * back * 2 * dim, wat + (taps - 1 - back) * dim
            for c in range(dim):
                _write0(out, to + c, _read0(out, to + c) + _read(weight, w + c) * _read(xz, x + c))


@kernel
def _conv_forward(task, sizes, xz, weight, bias, reverse, u):
    batch, length, dim, groups, taps, segments = sizes
    row0, first, stop = _segment(task, length, segments)
    for t in range(first, stop):
        for group in range(groups):
            to = (group * batch * length + row0 + t) * dim
            wat, bat = group * taps * dim, group * dim
            _preactivation(
                xz, row0, t, length, dim, taps, weight, wat, bias, bat, reverse[group], u, to
            )
            for c in range(dim):
                value = _read0(u, to + c)
                _write0(u, to + c, value * sigmoid(value))


@inlined
def _piece_gradients(
    xz, row0, low, high, first, stop, length, dim, taps, weight, wat, bias, bat, backwards,
    du, dat, grads, sums,
):  # fmt: skip
    """Preactivation gradients of positions low..high-1, and the shares of those of the segment."""
    step = 1 if backwards else -1
    for t in range(low, high):
        to = (t - low) * dim
        _preactivation(xz, row0, t, length, dim, taps, weight, wat, bias, bat, backwards, grads, to)
        g = dat + (row0 + t) * dim
        for c in range(dim):
            _write0(grads, to + c, _read(du, g + c) * silu_slope(_read0(grads, to + c)))
        if first <= t < stop:
            for c in range(dim):
                at = taps * dim + c
                _write1(sums, at, _read1(sums, at) + _read0(grads, to + c))
            for back in range(taps):
                if 0 <= t + step * back < length:
                    x = (row0 + t + step * back) * 2 * dim
                    w = (taps - 1 - back) * dim
                    for c in range(dim):
                        value = _read0(grads, to + c) * _read(xz, x + c)
                        _write1(sums, w + c, _read1(sums, w + c) + value)


@inlined
def _spread(grads, low, high, first, stop, dim, taps, weight, wat, backwards, row0, dxz):
    """Add what the gradients of low..high-1 give to x at first..stop-1."""
    step = -1 if backwards else 1
    for t in range(first, stop):
        to = (row0 + t) * 2 * dim
        for ahead in range(taps):
            source = t + step * ahead
            if low <= source < high:
                at, w = (source - low) * dim, wat + (taps - 1 - ahead) * dim
                for c in range(dim):
                    value = _read(grads, at + c) * _read(weight, w + c)
                    _write0(dxz, to + c, _read0(dxz, to + c) + value)


@kernel
def _conv_backward(task, sizes, xz, weight, bias, reverse, du, dxz, shares):
    batch, length, dim, groups, taps, segments = sizes
    row0, first, stop = _segment(task, length, segments)
    grads = np.empty((PIECE + taps - 1) * dim, xz.dtype)
    sums = np.empty((taps + 1) * dim, xz.dtype)
    for start in range(first, stop, PIECE):
        end = min(stop, start + PIECE)
        for t in range(start, end):
            to = (row0 + t) * 2 * dim
            dxz[to : to + dim] = 0
        for group in range(groups):
            # x at a position is an input of the taps - 1 next (in reverse: previous) positions.
            low = max(0, start - taps + 1) if reverse[group] else start
            high = end if reverse[group] else min(length, end + taps - 1)
            sums[:] = 0
            _piece_gradients(
                xz, row0, low, high, start, end, length, dim, taps, weight, group * taps * dim,
                bias, group * dim, reverse[group], du, group * batch * length * dim, grads, sums,
            )  # fmt: skip
            _spread(
                grads, low, high, start, end, dim, taps, weight, group * taps * dim,
                reverse[group], row0, dxz,
            )  # fmt: skip
            at = (task * groups + group) * (taps + 1) * dim
            for c in range((taps + 1) * dim):
                shares[at + c] += sums[c]


@kernel
def _gate_forward(task, sizes, y, xz, total, out):
    batch, length, dim, groups, _taps, segments = sizes
    row0, first, stop = _segment(task, length, segments)
    for row in range(row0 + first, row0 + stop):
        at, z = row * dim, row * 2 * dim + dim
        for c in range(dim):
            _write0(total, at + c, _read(y, at + c))
        for group in range(1, groups):
            other = (group * batch * length + row) * dim
            for c in range(dim):
                _write0(total, at + c, _read0(total, at + c) + _read(y, other + c))
        for c in range(dim):
            gate = _read(xz, z + c)
            _write1(out, at + c, _read0(total, at + c) * (gate * sigmoid(gate)))


@kernel
def _gate_backward(task, sizes, dout, xz, total, dxz, dy):
    _batch, length, dim, _groups, _taps, segments = sizes
    row0, first, stop = _segment(task, length, segments)
    for row in range(row0 + first, row0 + stop):
        at, z = row * dim, row * 2 * dim + dim
        for c in range(dim):
            gate, grad = _read(xz, z + c), _read(dout, at + c)
            _write0(dy, at + c, grad * (gate * sigmoid(gate)))
            _write1(dxz, z + c, grad * _read(total, at + c) * silu_slope(gate))
