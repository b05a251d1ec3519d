"""Around the scan on CUDA devices: causal convolution with SiLU, gate, and norm, in Triton.

The same functions as in ``numba_pointwise``, for float32 and bfloat16 rows, computed in float32.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from prismflow.models.scan.triton_kernels import sigmoid

ROWS, CHANNELS, WARPS = 32, 64, 4
"""Positions and channels per program."""
NORM_ROWS = 16
_NUMBERS = ["reverse", "batch", "length"]


def conv_forward(xz: Tensor, weight: Tensor, bias: Tensor, reverse: tuple[bool, ...]) -> Tensor:
    """SiLU of the causal convolutions of x = xz[..., :D]: (B, L, 2 D) -> (G, B, L, D)."""
    groups, dim, taps = weight.shape
    batch, length, _ = xz.shape
    u = xz.new_empty(groups, batch, length, dim)
    if u.numel() > 0:
        grid = (groups * batch * triton.cdiv(length, ROWS), triton.cdiv(dim, CHANNELS))
        _conv_forward[grid](
            xz,
            weight.transpose(1, 2).contiguous(),
            bias,
            u,
            _bits(reverse),
            batch,
            length,
            dim,
            TAPS=taps,
            T=ROWS,
            BD=CHANNELS,
            num_warps=WARPS,
        )
    return u


def conv_backward(
    xz: Tensor,
    weight: Tensor,
    bias: Tensor,
    reverse: tuple[bool, ...],
    du: Tensor,
    dxz: Tensor,
) -> tuple[Tensor, Tensor]:
    """Gradients of weight and bias; that of x is written to dxz[..., :D]; du is used up."""
    groups, dim, taps = weight.shape
    batch, length, _ = xz.shape
    pieces = triton.cdiv(length, ROWS)
    taps_first = weight.transpose(1, 2).contiguous()
    sums = torch.empty(groups, batch * pieces, taps + 1, dim, device=xz.device)
    if du.numel() > 0:
        common = (_bits(reverse), batch, length, dim)
        shape = {"TAPS": taps, "T": ROWS, "BD": CHANNELS, "num_warps": WARPS}
        blocks = triton.cdiv(dim, CHANNELS)
        _conv_gradients[(groups * batch * pieces, blocks)](
            xz, taps_first, bias, du, sums, *common, **shape
        )
        _conv_inputs[(batch * pieces, blocks)](taps_first, du, dxz, *common, GROUPS=groups, **shape)
    total = sums.sum(1)
    return total[:, :taps].transpose(1, 2), total[:, taps]


def gate_forward(y: Tensor, xz: Tensor) -> tuple[Tensor, Tensor]:
    """(sum over groups of y) * silu(z), and the sum: (G, B, L, D) -> two (B, L, D)."""
    groups, batch, length, dim = y.shape
    total, out = torch.empty_like(y[0]), torch.empty_like(y[0])
    rows = batch * length
    if out.numel() > 0:
        grid = (triton.cdiv(rows, ROWS), triton.cdiv(dim, CHANNELS))
        shape = {"GROUPS": groups, "T": ROWS, "BD": CHANNELS, "num_warps": WARPS}
        _gate_forward[grid](y, xz, total, out, rows, dim, **shape)
    return out, total


def gate_backward(dout: Tensor, xz: Tensor, total: Tensor, dxz: Tensor) -> Tensor:
    """Gradient of y, the same for every group, (B, L, D); that of z goes to dxz[..., D:]."""
    batch, length, dim = dout.shape
    dy = torch.empty_like(dout)
    if dy.numel() > 0:
        grid = (triton.cdiv(batch * length, ROWS), triton.cdiv(dim, CHANNELS))
        shape = {"T": ROWS, "BD": CHANNELS, "num_warps": WARPS}
        _gate_backward[grid](dout, xz, total, dxz, dy, batch * length, dim, **shape)
    return dy


def norm_forward(
    hidden: Tensor, residual: Tensor | None, weight: Tensor, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """RMSNorm of hidden + residual, that sum rounded to the dtype of hidden, and 1 / rms."""
    dim = hidden.shape[-1]
    rows = hidden.numel() // dim
    normed, total = torch.empty_like(hidden), torch.empty_like(hidden)
    scale = torch.empty(rows, dtype=torch.float32, device=hidden.device)
    if rows > 0:
        _norm_forward[(triton.cdiv(rows, NORM_ROWS),)](
            hidden,
            hidden if residual is None else residual,
            weight,
            normed,
            total,
            scale,
            rows,
            dim,
            eps,
            RESIDUAL=residual is not None,
            T=NORM_ROWS,
            BD=triton.next_power_of_2(dim),
            num_warps=WARPS,
        )
    return normed, total, scale


def norm_backward(
    dnormed: Tensor, dtotal: Tensor, total: Tensor, scale: Tensor, weight: Tensor
) -> tuple[Tensor, Tensor]:
    """Gradients of the sum (hidden's and the residual's alike) and of the weight."""
    dim = total.shape[-1]
    rows = total.numel() // dim
    dhidden = torch.empty_like(total)
    pieces = triton.cdiv(rows, NORM_ROWS)
    sums = torch.empty(pieces, dim, device=total.device)
    if rows > 0:
        _norm_backward[(pieces,)](
            dnormed,
            dtotal,
            total,
            scale,
            weight,
            dhidden,
            sums,
            rows,
            dim,
            T=NORM_ROWS,
            BD=triton.next_power_of_2(dim),
            num_warps=WARPS,
        )
    return dhidden, sums.sum(0)


def _bits(reverse: tuple[bool, ...]) -> int:
    return sum(1 << group for group, backwards in enumerate(reverse) if backwards)


@triton.jit
def _place(piece, length, T: tl.constexpr):
    """The sequence of a piece and its positions."""
    per_sequence = tl.cdiv(length, T)
    return piece // per_sequence, piece % per_sequence * T + tl.arange(0, T)


@triton.jit
def _preactivation(xz, weight, bias, group, sequence, t, d, step, length, dim, TAPS: tl.constexpr):
    """bias + sum of the taps at positions t."""
    inside = d < dim
    value = tl.load(bias + group * dim + d, mask=inside, other=0.0).to(tl.float32)[None, :]
    value += tl.zeros([t.shape[0], d.shape[0]], tl.float32)
    for back in tl.static_range(TAPS):
        source = t + step * back
        mask = ((source >= 0) & (source < length) & (t < length))[:, None] & inside[None, :]
        row = sequence.to(tl.int64) * length + source
        x = tl.load(xz + row[:, None] * 2 * dim + d[None, :], mask=mask, other=0.0)
        at = (group * TAPS + TAPS - 1 - back) * dim + d
        w = tl.load(weight + at, mask=inside, other=0.0).to(tl.float32)
        value += x.to(tl.float32) * w[None, :]
    return value


@triton.jit(do_not_specialize=_NUMBERS)
def _conv_forward(
    xz, weight, bias, u, reverse, batch, length, dim,
    TAPS: tl.constexpr, T: tl.constexpr, BD: tl.constexpr,
):  # fmt: skip
    index, t = _place(tl.program_id(0), length, T)
    group, sequence = index // batch, index % batch
    d = tl.program_id(1) * BD + tl.arange(0, BD)
    step = tl.where(((reverse >> group) & 1) != 0, 1, -1)
    value = _preactivation(xz, weight, bias, group, sequence, t, d, step, length, dim, TAPS)
    at = (index.to(tl.int64) * length + t)[:, None] * dim + d[None, :]
    mask = (t < length)[:, None] & (d < dim)[None, :]
    tl.store(u + at, (value * sigmoid(value)).to(u.dtype.element_ty), mask=mask)


@triton.jit(do_not_specialize=_NUMBERS)
def _conv_gradients(
    xz, weight, bias, du, sums, reverse, batch, length, dim,
    TAPS: tl.constexpr, T: tl.constexpr, BD: tl.constexpr,
):  # fmt: skip
    """Replace du by the gradient before SiLU; what the weights and the bias get, per piece."""
    index, t = _place(tl.program_id(0), length, T)
    group, sequence = index // batch, index % batch
    d = tl.program_id(1) * BD + tl.arange(0, BD)
    inside = d < dim
    step = tl.where(((reverse >> group) & 1) != 0, 1, -1)
    value = _preactivation(xz, weight, bias, group, sequence, t, d, step, length, dim, TAPS)
    at = (index.to(tl.int64) * length + t)[:, None] * dim + d[None, :]
    mask = (t < length)[:, None] & inside[None, :]
    s = sigmoid(value)
    grad = tl.load(du + at, mask=mask, other=0.0).to(tl.float32) * s * (1.0 + value * (1.0 - s))
    tl.store(du + at, grad.to(du.dtype.element_ty), mask=mask)
    out = sums + tl.program_id(0).to(tl.int64) * (TAPS + 1) * dim + d
    tl.store(out + TAPS * dim, tl.sum(grad, axis=0), mask=inside)
    for back in tl.static_range(TAPS):
        source = t + step * back
        there = ((source >= 0) & (source < length) & (t < length))[:, None] & inside[None, :]
        row = sequence.to(tl.int64) * length + source
        x = tl.load(xz + row[:, None] * 2 * dim + d[None, :], mask=there, other=0.0)
        share = tl.sum(grad * x.to(tl.float32), axis=0)
        tl.store(out + (TAPS - 1 - back) * dim, share, mask=inside)


@triton.jit(do_not_specialize=_NUMBERS)
def _conv_inputs(
    weight, grads, dxz, reverse, batch, length, dim,
    TAPS: tl.constexpr, T: tl.constexpr, BD: tl.constexpr, GROUPS: tl.constexpr,
):  # fmt: skip
    """Gradient of x from those before SiLU of the positions that it is a tap of."""
    sequence, t = _place(tl.program_id(0), length, T)
    d = tl.program_id(1) * BD + tl.arange(0, BD)
    inside = d < dim
    value = tl.zeros([T, BD], tl.float32)
    for group in tl.static_range(GROUPS):
        step = tl.where(((reverse >> group) & 1) != 0, -1, 1)
        for ahead in tl.static_range(TAPS):
            source = t + step * ahead
            mask = ((source >= 0) & (source < length) & (t < length))[:, None] & inside[None, :]
            row = (group * batch + sequence).to(tl.int64) * length + source
            grad = tl.load(grads + row[:, None] * dim + d[None, :], mask=mask, other=0.0)
            at = (group * TAPS + TAPS - 1 - ahead) * dim + d
            w = tl.load(weight + at, mask=inside, other=0.0).to(tl.float32)
            value += grad.to(tl.float32) * w[None, :]
    at = (sequence.to(tl.int64) * length + t)[:, None] * 2 * dim + d[None, :]
    mask = (t < length)[:, None] & inside[None, :]
    tl.store(dxz + at, value.to(dxz.dtype.element_ty), mask=mask)


@triton.jit(do_not_specialize=["rows"])
def _gate_forward(
    y, xz, total, out, rows, dim, GROUPS: tl.constexpr, T: tl.constexpr, BD: tl.constexpr
):
    row = tl.program_id(0).to(tl.int64) * T + tl.arange(0, T)
    d = tl.program_id(1) * BD + tl.arange(0, BD)
    mask = (row < rows)[:, None] & (d < dim)[None, :]
    at = row[:, None] * dim + d[None, :]
    value = tl.zeros([T, BD], tl.float32)
    for group in tl.static_range(GROUPS):
        where = y + at + tl.full([], group, tl.int64) * rows * dim
        value += tl.load(where, mask=mask, other=0.0).to(tl.float32)
    z = tl.load(xz + row[:, None] * 2 * dim + dim + d[None, :], mask=mask, other=0.0)
    z = z.to(tl.float32)
    tl.store(total + at, value.to(total.dtype.element_ty), mask=mask)
    tl.store(out + at, (value * z * sigmoid(z)).to(out.dtype.element_ty), mask=mask)


@triton.jit(do_not_specialize=["rows"])
def _gate_backward(dout, xz, total, dxz, dy, rows, dim, T: tl.constexpr, BD: tl.constexpr):
    row = tl.program_id(0).to(tl.int64) * T + tl.arange(0, T)
    d = tl.program_id(1) * BD + tl.arange(0, BD)
    mask = (row < rows)[:, None] & (d < dim)[None, :]
    at = row[:, None] * dim + d[None, :]
    z_at = row[:, None] * 2 * dim + dim + d[None, :]
    z = tl.load(xz + z_at, mask=mask, other=0.0).to(tl.float32)
    grad = tl.load(dout + at, mask=mask, other=0.0).to(tl.float32)
    value = tl.load(total + at, mask=mask, other=0.0).to(tl.float32)
    s = sigmoid(z)
    tl.store(dy + at, (grad * z * s).to(dy.dtype.element_ty), mask=mask)
    dz = grad * value * s * (1.0 + z * (1.0 - s))
    tl.store(dxz + z_at, dz.to(dxz.dtype.element_ty), mask=mask)


@triton.jit(do_not_specialize=["rows"])
def _norm_forward(
    hidden, residual, weight, normed, total, scale, rows, dim, eps,
    RESIDUAL: tl.constexpr, T: tl.constexpr, BD: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64) * T + tl.arange(0, T)
    d = tl.arange(0, BD)
    mask = (row < rows)[:, None] & (d < dim)[None, :]
    at = row[:, None] * dim + d[None, :]
    x = tl.load(hidden + at, mask=mask, other=0.0).to(tl.float32)
    if RESIDUAL:
        x += tl.load(residual + at, mask=mask, other=0.0).to(tl.float32)
    w = tl.load(weight + d, mask=d < dim, other=0.0).to(tl.float32)
    r = 1.0 / tl.sqrt(tl.sum(x * x, axis=1) / dim + eps)
    tl.store(normed + at, (x * r[:, None] * w[None, :]).to(normed.dtype.element_ty), mask=mask)
    tl.store(total + at, x.to(total.dtype.element_ty), mask=mask)
    tl.store(scale + row, r, mask=row < rows)


@triton.jit(do_not_specialize=["rows"])
def _norm_backward(
    dnormed, dtotal, total, scale, weight, dhidden, sums, rows, dim,
    T: tl.constexpr, BD: tl.constexpr,
):  # fmt: skip
    piece = tl.program_id(0).to(tl.int64)
    row = piece * T + tl.arange(0, T)
    d = tl.arange(0, BD)
    inside = d < dim
    mask = (row < rows)[:, None] & inside[None, :]
    at = row[:, None] * dim + d[None, :]
    r = tl.load(scale + row, mask=row < rows, other=0.0)[:, None]
    hat = tl.load(total + at, mask=mask, other=0.0).to(tl.float32) * r
    grad = tl.load(dnormed + at, mask=mask, other=0.0).to(tl.float32)
    tl.store(sums + piece * dim + d, tl.sum(grad * hat, axis=0), mask=inside)
    grad *= tl.load(weight + d, mask=inside, other=0.0).to(tl.float32)[None, :]
    mean = tl.sum(grad * hat, axis=1)[:, None] / dim
    out = (grad - hat * mean) * r + tl.load(dtotal + at, mask=mask, other=0.0).to(tl.float32)
    tl.store(dhidden + at, out.to(dhidden.dtype.element_ty), mask=mask)
