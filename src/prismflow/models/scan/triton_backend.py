"""The selective scan on CUDA devices with Triton: see ``triton_kernels`` for the kernels."""

from __future__ import annotations

import functools
import os
import shutil
import sysconfig
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from prismflow.models.scan.triton_kernels import (
    LOG2E,
    backward_kernel,
    flow_kernel,
    forward_kernel,
    join_kernel,
)

TILE = 4
"""Positions per tile; the states at tile starts are kept for the backward pass."""
CHANNELS = 64
"""Channels per program."""
FORWARD_REGISTERS: int | None = None
BACKWARD_REGISTERS: int | None = 128
"""Most registers of a thread (None: as many as the compiler takes); fewer let more warps wait for
memory at once, too few spill."""
PROGRAMS = 2048
"""Programs that sequences are cut into segments for, where batch and channels give fewer."""
LONG, LONG_PROGRAMS = 16_384, 4096
"""From this length on: more programs, and in bfloat16 passes states at tile starts in bfloat16,
because they are half of what a pass keeps; docs/benchmarks/scan.md has both."""


def problem(device: torch.device, dtype: torch.dtype) -> str | None:
    """Why this backend cannot serve tensors of this kind, or None."""
    interpreted = os.environ.get("TRITON_INTERPRET") == "1"
    if device.type != "cuda" and not interpreted:
        return f"triton works on CUDA devices only, the tensors are on {device.type}"
    if dtype != torch.float32:
        return f"triton computes in float32, not {dtype}"
    return None if interpreted else missing_tools()


@functools.cache
def missing_tools() -> str | None:
    """What Triton lacks on this machine to build the stubs that start its kernels, or None."""
    compiler = os.environ.get("CC") or shutil.which("gcc") or shutil.which("clang")
    scheme = sysconfig.get_default_scheme().replace("posix_local", "posix_prefix")
    folders = [sysconfig.get_paths(scheme=scheme)["include"]]
    for name in ("CPATH", "C_INCLUDE_PATH"):
        folders += filter(None, os.environ.get(name, "").split(os.pathsep))
    lacking = [] if compiler else ["a C compiler (gcc or clang on PATH, or CC)"]
    if not any(os.path.isfile(os.path.join(folder, "Python.h")) for folder in folders):
        lacking.append(f"Python.h (expected in {folders[0]})")
    if not lacking:
        return None
    return (
        f"triton needs a C compiler and Python.h where it runs, this machine lacks "
        f"{' and '.join(lacking)}; install them (Debian: gcc, python3-dev), or load a module that "
        "has them"
    )


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
    return _TritonScan.apply(
        u,
        delta,
        A,
        torch.cat([B, C], dim=-1),
        zeros if D is None else D,
        zeros if delta_bias is None else delta_bias,
        delta_softplus,
        reverse,
    )


class _TritonScan(torch.autograd.Function):
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
        grads = backward(u, delta, A, BC, D, bias, 0, softplus, reverse, bounds, dy.contiguous())
        return *grads, None, None


class _Plan(NamedTuple):
    """How a scan is divided."""

    sequences: int
    batch: int
    length: int
    dim: int
    state: int
    segments: int
    segment_tiles: int
    blocks: int

    @property
    def grid(self) -> tuple[int, int]:
        return (self.sequences * self.segments, self.blocks)


def _plan(u: Tensor, A: Tensor) -> _Plan:
    groups, batch, length, dim = u.shape
    blocks, tiles = -(-dim // CHANNELS), -(-length // TILE)
    programs = PROGRAMS if length < LONG else max(PROGRAMS, LONG_PROGRAMS)
    wanted = -(-programs // max(1, groups * batch * blocks))
    segment_tiles = -(-tiles // max(1, min(wanted, tiles)))
    segments = -(-tiles // max(1, segment_tiles))
    return _Plan(groups * batch, batch, length, dim, A.shape[-1], segments, segment_tiles, blocks)


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
    scaled: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Outputs, last states, and the states at tile starts if ``keep``.

    Arguments and results as of ``numba_backend.forward``; u, delta and proj may be bfloat16, and
    y is in the dtype of u. ``scaled`` is :func:`matrix` of A where the caller has it.
    """
    plan = _plan(u, A)
    y = torch.empty_like(u)
    half = u.dtype == torch.bfloat16 and plan.length >= LONG
    tiles = plan.segments * plan.segment_tiles if keep else 0
    bounds = _states(u, plan, tiles, torch.bfloat16 if half else torch.float32)
    carry = _states(u, plan, plan.segments).zero_()
    if u.numel() == 0:
        return y, u.new_zeros(*u.shape[:2], plan.dim, plan.state, dtype=torch.float32), bounds
    decay = carry.new_empty(plan.sequences, plan.segments, plan.dim)
    by_state = matrix(A) if scaled is None else scaled
    tensors = (u, delta, proj, by_state, D, bias, y, bounds, carry, decay)
    numbers = (_bits(reverse), plan.batch, plan.length, plan.dim, proj.shape[-1], first)
    sizes = (*numbers, plan.segments, plan.segment_tiles)
    shape = {"N": plan.state, "T": TILE, "BD": CHANNELS, "SOFTPLUS": softplus, "num_warps": 1}
    if plan.segments > 1:
        forward_kernel[plan.grid](*tensors, *sizes, OUTPUT=False, KEEP=False, **shape)
        _join(plan, by_state, carry, decay, from_end=False)
    limit = _limit(FORWARD_REGISTERS)
    forward_kernel[plan.grid](*tensors, *sizes, OUTPUT=True, KEEP=keep, **shape, **limit)
    last = carry[:, -1].transpose(1, 2).reshape(*u.shape[:2], plan.dim, plan.state)
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
    scaled: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Gradients of u, delta, A, [B, C] side by side (G, B, L, 2N), D and bias.

    Arguments as in :func:`forward`; dy is (G, B, L, D), or (B, L, D) for all groups alike.
    """
    plan = _plan(u, A)
    groups, batch = u.shape[:2]
    du, ddelta = torch.empty_like(u), torch.empty_like(delta)
    carry, dmatrix = _states(u, plan, plan.segments, copies=2).zero_()
    # Each program fills its rows of these; nothing is added to.
    dbc = carry.new_empty(plan.blocks, groups, batch, plan.length, 2 * plan.state)
    decay, dskip, dbias = small = carry.new_empty(3, plan.sequences, plan.segments, plan.dim)
    if u.numel() > 0:
        by_state = matrix(A) if scaled is None else scaled
        # Rows of dy repeat after this many sequences.
        dy_batch = plan.batch if dy.dim() == 3 else plan.sequences
        numbers = (plan.length, plan.dim, proj.shape[-1], first, plan.segments, plan.segment_tiles)
        shape = {"N": plan.state, "T": TILE, "BD": CHANNELS, "SOFTPLUS": softplus, "num_warps": 1}
        where = (_bits(reverse), plan.batch, dy_batch)
        if plan.segments > 1:
            tensors = (delta, proj, by_state, bias, dy, carry, decay)
            flow_kernel[plan.grid](*tensors, *where, *numbers, **shape)
            _join(plan, by_state, carry, decay, from_end=True)
        inputs = (u, delta, proj, by_state, D, bias, bounds, dy, carry)
        outputs = (du, ddelta, dbc, dmatrix, dskip, dbias)
        sizes = (*where, plan.sequences, *numbers)
        limit = _limit(BACKWARD_REGISTERS)
        backward_kernel[plan.grid](*inputs, *outputs, *sizes, **shape, **limit)
    shares = (groups, batch * plan.segments)
    dA = dmatrix.view(*shares, plan.state, plan.dim).sum(1).transpose(1, 2)
    dD, db = small[1:].view(2, *shares, plan.dim).sum(2)
    return du, ddelta, dA, dbc.sum(0), dD, db


def _join(plan: _Plan, by_state: Tensor, carry: Tensor, decay: Tensor, from_end: bool) -> None:
    join_kernel[(plan.sequences * plan.state, plan.blocks)](
        by_state,
        carry,
        decay,
        plan.batch,
        plan.dim,
        plan.segments,
        N=plan.state,
        BD=CHANNELS,
        FROM_END=from_end,
        num_warps=1,
    )


def _limit(registers: int | None) -> dict[str, int]:
    return {} if registers is None else {"maxnreg": registers}


def matrix(A: Tensor) -> Tensor:
    """A * log2(e) with channels last, as the kernels read it: (..., D, N) -> (..., N, D)."""
    return (A.float() * LOG2E.value).transpose(-1, -2).contiguous()


def _states(
    u: Tensor, plan: _Plan, count: int, dtype: torch.dtype = torch.float32, copies: int = 0
) -> Tensor:
    shape = (*(copies,) * (copies > 0), plan.sequences, count, plan.state, plan.dim)
    return torch.empty(shape, dtype=dtype, device=u.device)


def _bits(reverse: tuple[bool, ...]) -> int:
    return sum(1 << group for group, backwards in enumerate(reverse) if backwards)
