"""The selective scan in plain torch, a few positions at a time; runs wherever torch does.

Within a chunk everything but the recurrence itself is one vectorised operation, and the
recurrence is one fused multiply-add per position. The forward pass keeps the state at each
chunk's start; the backward pass recomputes the states within. Products of decays are never
divided: in log space that gives NaN on ordinary inputs.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

CHUNK_ELEMENTS = 1 << 19
LONGEST_CHUNK = 128


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
        *(
            _ChunkedScan.apply(u[g], delta[g], A[g], B[g], C[g], reverse[g])
            for g in range(len(reverse))
        ),
        strict=True,
    )
    y, last = torch.stack(outputs), torch.stack(states)
    return (y if D is None else torch.addcmul(y, u, D[:, None, None])), last


def chunk_length(batch: int, dim: int, state: int) -> int:
    """Positions per chunk: as many as keep a chunk's states in the processor's cache."""
    return max(4, min(LONGEST_CHUNK, CHUNK_ELEMENTS // max(1, batch * dim * state)))


class _ChunkedScan(torch.autograd.Function):
    """u, delta (B, L, D), A (D, N), B, C (B, L, N) -> y (B, L, D), last state (B, D, N)."""

    @staticmethod
    def forward(ctx: Any, u, delta, A, B, C, reverse):
        batch, length, dim = u.shape
        step = chunk_length(batch, dim, A.shape[1])
        starts = range(0, length, step)
        keep = any(ctx.needs_input_grad)
        boundary = u.new_empty(len(starts) if keep else 0, batch, dim, A.shape[1])
        y = torch.empty_like(u, memory_format=torch.contiguous_format)
        h = u.new_zeros(batch, dim, A.shape[1])
        for k, start in enumerate(starts):
            where = _where(start, step, length, reverse)
            if keep:
                boundary[k] = h
            u_c, delta_c, B_c, C_c = (_steps(x, where, reverse) for x in (u, delta, B, C))
            _, states = _chunk_states(u_c, delta_c, A, B_c, h)
            h = states[-1].clone()
            y_c = torch.matmul(states, C_c[..., None])[..., 0]
            y[:, where] = (y_c.flip(0) if reverse else y_c).transpose(0, 1)
        ctx.reverse, ctx.step = reverse, step
        ctx.save_for_backward(u, delta, A, B, C, boundary)
        ctx.mark_non_differentiable(h)
        return y, h

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy, _dlast):
        u, delta, A, B, C, boundary = ctx.saved_tensors
        reverse, step = ctx.reverse, ctx.step
        length = u.shape[1]
        du, ddelta, dB, dC = (torch.empty_like(x) for x in (u, delta, B, C))
        dA = torch.zeros_like(A)
        g = torch.zeros_like(boundary[0]) if length else torch.empty(0)
        for k in reversed(range(len(boundary))):
            where = _where(k * step, step, length, reverse)
            u_c, delta_c, B_c, C_c, dy_c = (_steps(x, where, reverse) for x in (u, delta, B, C, dy))
            grads, dA_c, g = _chunk_backward(u_c, delta_c, B_c, C_c, dy_c, A, boundary[k], g)
            dA += dA_c
            for out, grad in zip((du, ddelta, dB, dC), grads, strict=True):
                out[:, where] = (grad.flip(0) if reverse else grad).transpose(0, 1)
        return du, ddelta, dA, dB, dC, None


def _where(start: int, step: int, length: int, reverse: bool) -> slice:
    """Positions of the chunk whose first scanned step is ``start``."""
    stop = min(start + step, length)
    return slice(length - stop, length - start) if reverse else slice(start, stop)


def _steps(x: Tensor, where: slice, reverse: bool) -> Tensor:
    """(B, L, F) -> (T, B, F), contiguous, in scanning order."""
    x = x[:, where].transpose(0, 1)
    return x.flip(0) if reverse else x.contiguous()


def _chunk_states(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, h: Tensor
) -> tuple[Tensor, Tensor]:
    """Decays and states (T, B, D, N) of one chunk, starting from the state h (B, D, N)."""
    decay = torch.mul(delta[..., None], A).exp_()
    states = torch.mul((delta * u)[..., None], B[:, :, None, :])
    for decay_t, state_t in zip(decay.unbind(0), states.unbind(0), strict=True):
        h = state_t.addcmul_(decay_t, h)
    return decay, states


def _chunk_backward(
    u: Tensor,
    delta: Tensor,
    B: Tensor,
    C: Tensor,
    dy: Tensor,
    A: Tensor,
    h: Tensor,
    g: Tensor,
) -> tuple[tuple[Tensor, Tensor, Tensor, Tensor], Tensor, Tensor]:
    """Gradients of one chunk, the chunk's dA, and the gradient that flows into its first state.

    ``g`` is decay_{t+1} * dL/dh_{t+1} of the step after the chunk's last one.
    """
    decay, states = _chunk_states(u, delta, A, B, h)
    dC = torch.matmul(dy[:, :, None, :], states)[:, :, 0]
    grad = torch.mul(dy[..., None], C[:, :, None, :])
    rows, decays = grad.unbind(0), decay.unbind(0)
    rows[-1].add_(g)
    for t in range(len(rows) - 1, 0, -1):
        rows[t - 1].addcmul_(decays[t], rows[t])
    g = decays[0] * rows[0]
    dB = torch.matmul((delta * u)[:, :, None, :], grad)[:, :, 0]
    dx = torch.matmul(grad, B[..., None])[..., 0]
    # d(delta_t A) = dL/dh_t * decay_t * h_{t-1}, in place of the gradient, which is used up.
    grad.mul_(decay)
    grad[1:].mul_(states[:-1])
    grad[0].mul_(h)
    ddelta = torch.addcmul((grad * A).sum(dim=-1), dx, u)
    dA = grad.mul_(delta[..., None]).sum(dim=(0, 1))
    return (dx * delta, ddelta, dB, dC), dA, g
