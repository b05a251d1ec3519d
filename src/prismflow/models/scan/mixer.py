"""The inside of a Mamba block between its two projections, differentiated by hand.

Convolution, input-dependent parameters, scan and gate of one or two directions are one autograd
node: it keeps the input projection's rows, the small projected parameters, the scan's states at
chunk starts and the sum of the directions, and recomputes the rest, so that memory per position
is a fraction of what separate operations keep. Kernels come from ``numba`` or ``triton``.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

_KERNELS = {
    "numba": ("prismflow.models.scan.numba_pointwise", "prismflow.models.scan.numba_backend"),
    "triton": ("prismflow.models.scan.triton_pointwise", "prismflow.models.scan.triton_backend"),
}
FUSED_BACKENDS = tuple(_KERNELS)


def mix(
    xz: Tensor,
    conv_weight: Tensor,
    conv_bias: Tensor,
    x_proj: Tensor,
    dt_proj: Tensor,
    dt_bias: Tensor,
    A: Tensor,
    D: Tensor,
    backend: str,
    matrix: Tensor | None = None,
) -> Tensor:
    """silu(z) * sum over directions of scan(silu(conv(x))), with x and z the halves of xz.

    Args:
        xz: (B, L, 2 D) input projection.
        conv_weight: (G, D, W); the first of the G <= 2 groups runs forward, the second in reverse.
        conv_bias, dt_bias, D: (G, D).
        x_proj: (G, R + 2 N, D), giving the low-rank step, B and C.
        dt_proj: (G, D, R).
        A: (G, D, N), negative.
        backend: one of :data:`FUSED_BACKENDS`.
        matrix: A as Triton's kernels read it (``triton_backend.matrix``), where it is known.

    Returns:
        (B, L, D) in the dtype of xz.
    """
    pointwise, scan = (importlib.import_module(name) for name in _KERNELS[backend])
    parameters = (conv_weight, conv_bias, x_proj, dt_proj, dt_bias, A, D)
    if xz.device.type == "cpu" and xz.dtype not in (torch.float32, torch.float64):
        return _Mix.apply(xz.float(), *parameters, pointwise, scan, matrix).to(xz.dtype)
    return _Mix.apply(xz, *parameters, pointwise, scan, matrix)


class _Mix(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        xz: Tensor,
        conv_weight: Tensor,
        conv_bias: Tensor,
        x_proj: Tensor,
        dt_proj: Tensor,
        dt_bias: Tensor,
        A: Tensor,
        D: Tensor,
        pointwise: ModuleType,
        scan: ModuleType,
        matrix: Tensor | None,
    ) -> Tensor:
        with torch.autocast(xz.device.type, enabled=False):
            xz = xz.contiguous()
            reverse = (False, True)[: len(A)]
            u = pointwise.conv_forward(xz, conv_weight, conv_bias, reverse)
            rows = u.flatten(1, 2)
            proj = torch.bmm(rows, x_proj.transpose(1, 2).to(u.dtype))
            delta = _steps(proj, dt_proj).view_as(u)
            rank = dt_proj.shape[2]
            proj = proj.view(*u.shape[:3], x_proj.shape[1])
            keep = any(ctx.needs_input_grad)
            given = () if matrix is None else (matrix,)
            y, _, bounds = scan.forward(
                u, delta, A, proj, D, dt_bias, rank, True, reverse, keep, *given
            )
            out, total = pointwise.gate_forward(y, xz)
        ctx.modules = (pointwise, scan)
        ctx.save_for_backward(
            xz, conv_weight, conv_bias, x_proj, dt_proj, dt_bias, A, D, proj, bounds, total, *given
        )
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dout: Tensor) -> tuple[Tensor | None, ...]:
        with torch.autocast(dout.device.type, enabled=False):
            return *_gradients(ctx.modules, ctx.saved_tensors, dout), None, None, None


def _gradients(
    modules: tuple[ModuleType, ModuleType], saved: tuple[Tensor, ...], dout: Tensor
) -> tuple[Tensor, ...]:
    """Gradients of xz and the parameters, in the order of :func:`mix`."""
    pointwise, scan = modules
    xz, conv_weight, conv_bias, x_proj, dt_proj, dt_bias, A, D, proj, bounds, total = saved[:11]
    reverse, rank = (False, True)[: len(A)], dt_proj.shape[2]
    dxz = torch.empty_like(xz)
    dy = pointwise.gate_backward(dout.contiguous(), xz, total, dxz)
    u = pointwise.conv_forward(xz, conv_weight, conv_bias, reverse)
    rows, small = u.flatten(1, 2), proj.flatten(1, 2)
    delta = _steps(small, dt_proj).view_as(u)
    du, ddelta, dA, dBC, dD, dbias = scan.backward(
        u, delta, A, proj, D, dt_bias, rank, True, reverse, bounds, dy, *saved[11:]
    )
    ddelta = ddelta.flatten(1, 2)
    dsmall = _small_gradients(ddelta, dt_proj.to(u.dtype), dBC.flatten(1, 2))
    ddt_proj = torch.bmm(small[..., :rank].transpose(1, 2), ddelta).transpose(1, 2)
    dx_proj = torch.bmm(dsmall.transpose(1, 2), rows)
    du.flatten(1, 2).baddbmm_(dsmall, x_proj.to(u.dtype))
    dconv, dconv_bias = pointwise.conv_backward(xz, conv_weight, conv_bias, reverse, du, dxz)
    grads = (dconv, dconv_bias, dx_proj, ddt_proj, dbias, dA, dD)
    parameters = (conv_weight, conv_bias, x_proj, dt_proj, dt_bias, A, D)
    cast = (g.to(p.dtype) for g, p in zip(grads, parameters, strict=True))
    return dxz, *cast


def _small_gradients(ddelta: Tensor, dt_proj: Tensor, dBC: Tensor) -> Tensor:
    """Gradients (G, B L, R + 2 N) of the small projected parameters."""
    if dBC.dtype == ddelta.dtype:
        return torch.cat([torch.bmm(ddelta, dt_proj), dBC], dim=-1)
    rank = dt_proj.shape[2]
    both = ddelta.new_empty(*dBC.shape[:2], rank + dBC.shape[2])
    torch.bmm(ddelta, dt_proj, out=both[..., :rank])
    both[..., rank:].copy_(dBC)
    return both


def _steps(proj: Tensor, dt_proj: Tensor) -> Tensor:
    """Raw step sizes (G, B L, D) from the first R columns of the projected parameters."""
    rank = dt_proj.shape[2]
    return torch.bmm(proj[..., :rank], dt_proj.transpose(1, 2).to(proj.dtype))
