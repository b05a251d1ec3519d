"""The selective scan as one step per position: the tests' truth.

Every operation is written as in the paper's equations and differentiated by autograd; float64
inputs are computed in float64. The inputs are unbound along the length once, because indexing
inside the loop would make the backward pass quadratic in the length.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


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
    if delta_bias is not None:
        delta = delta + delta_bias[:, None, None]
    if delta_softplus:
        delta = F.softplus(delta)
    outputs, states = zip(
        *(_scan(u[g], delta[g], A[g], B[g], C[g], reverse[g]) for g in range(len(reverse))),
        strict=True,
    )
    y, last = torch.stack(outputs), torch.stack(states)
    return (y if D is None else y + u * D[:, None, None]), last


def _scan(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, reverse: bool
) -> tuple[Tensor, Tensor]:
    """h_t = exp(delta_t A) h_{t-1} + delta_t u_t B_t; y_t = C_t . h_t; from the end if reverse."""
    batch, length, dim = u.shape
    h = u.new_zeros(batch, dim, A.shape[1])
    rows = list(
        zip(u.unbind(1), delta.unbind(1), B.unbind(1), C.unbind(1), strict=True),
    )
    outputs = []
    for u_t, delta_t, B_t, C_t in reversed(rows) if reverse else rows:
        decay = torch.exp(delta_t[:, :, None] * A)
        h = decay * h + (delta_t * u_t)[:, :, None] * B_t[:, None, :]
        outputs.append((h * C_t[:, None, :]).sum(dim=-1))
    if not outputs:
        return u.new_zeros(batch, length, dim), h
    return torch.stack(outputs[::-1] if reverse else outputs, dim=1), h
