"""Residual sum and RMSNorm in one step."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

_FUSED = {
    "numba": "prismflow.models.scan.numba_norm",
    "triton": "prismflow.models.scan.triton_pointwise",
}


def add_norm(
    hidden: Tensor, residual: Tensor | None, weight: Tensor, eps: float, backend: str
) -> tuple[Tensor, Tensor]:
    """x / sqrt(mean(x^2) + eps) * weight with x = hidden + residual; and x.

    Computed in float32, or float64 if hidden is. In low precision the unrounded sum is normalised
    and the rounded one is passed on, as in the released configuration, which does not keep
    residuals in float32.

    Args:
        hidden: (..., d).
        residual: (..., d) or None for 0.
        weight: (d,).
        eps: added to the mean square.
        backend: of the scan; ``numba`` and ``triton`` have kernels for this.

    Returns:
        Two tensors of the shape and dtype of ``hidden``.
    """
    if backend in _FUSED and (backend == "triton" or _in_one_precision(hidden, residual, weight)):
        module = importlib.import_module(_FUSED[backend])
        return _AddNorm.apply(hidden, residual, weight, eps, module)
    total = hidden.to(torch.float64 if hidden.dtype == torch.float64 else torch.float32)
    if residual is not None:
        total = total + residual
    scale = torch.rsqrt(total.square().mean(dim=-1, keepdim=True) + eps)
    return (total * scale * weight).to(hidden.dtype), total.to(hidden.dtype)


def _in_one_precision(hidden: Tensor, residual: Tensor | None, weight: Tensor) -> bool:
    """Whether the compiled CPU loops, which know neither half nor mixed precision, can be used."""
    dtypes = {x.dtype for x in (hidden, residual, weight) if x is not None}
    return dtypes in ({torch.float32}, {torch.float64})


class _AddNorm(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        residual: Tensor | None,
        weight: Tensor,
        eps: float,
        module: ModuleType,
    ) -> tuple[Tensor, Tensor]:
        other = None if residual is None else residual.contiguous()
        normed, total, scale = module.norm_forward(hidden.contiguous(), other, weight, eps)
        ctx.save_for_backward(total, scale, weight)
        ctx.module = module
        ctx.dtypes = (hidden.dtype, None if residual is None else residual.dtype)
        return normed, total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dnormed: Tensor, dtotal: Tensor) -> tuple[Tensor | None, ...]:
        total, scale, weight = ctx.saved_tensors
        grad, dweight = ctx.module.norm_backward(
            dnormed.contiguous(), dtotal.contiguous(), total, scale, weight
        )
        hidden, residual = ctx.dtypes
        other = None if residual is None else grad.to(residual)
        return grad.to(hidden), other, dweight.to(weight.dtype), None, None
