"""Kernels of the selective scan on CUDA devices, in Triton: no compiler toolkit, no atomics.

A program scans one segment of one sequence for BD channels, a tile of T positions at a time. A
warp's lanes lie along the channels, and a tile's positions are unrolled into registers (tuples of
T vectors here), so that the scan needs no exchange between lanes. For each of the N states in
turn a tile is run through; the state is carried to the next tile through memory that only this
program touches. Long sequences are cut into segments: a first pass finds what each segment makes
of a zero state and how much it decays, a small one joins these, and then all segments run at once.
Positions are in scanning order throughout; in reverse groups step s is position L - 1 - s.
"""

# ruff: noqa: RUF005, B007 - tuples are concatenated because kernels know no unpacking.
from __future__ import annotations

import inspect

import triton
import triton.language as tl

LOG2E = tl.constexpr(1.4426950408889634)
LN2 = tl.constexpr(0.6931471805599453)


@triton.jit
def softplus(x):
    """log(1 + exp(x)), and x itself above 20; log(1 + e) by its artanh series."""
    e = tl.exp2(-tl.abs(x) * LOG2E)
    s = e / (2.0 + e)
    q = s * s
    p = 2.0 / 15 * q + 2.0 / 13
    p = p * q + 2.0 / 11
    p = p * q + 2.0 / 9
    p = p * q + 2.0 / 7
    p = p * q + 2.0 / 5
    p = p * q + 2.0 / 3
    p = p * q + 2.0
    return tl.where(x > 20.0, x, tl.maximum(x, 0.0) + p * s)


@triton.jit
def sigmoid(x):
    return 1.0 / (1.0 + tl.exp2(-x * LOG2E))


@triton.jit
def _row(sequence, step, length, backwards):
    """Row number of a step."""
    return sequence.to(tl.int64) * length + tl.where(backwards, length - 1 - step, step)


@triton.jit
def _rows(sequence, tile, length, backwards, inside, T: tl.constexpr):
    """Rows of a tile's steps, and for each the channels that exist, none after the last step.

    Rows after the last step repeat it, so that they can be read.
    """
    rows, live = (), ()
    for t in tl.static_range(T):
        step = tile * T + t
        rows = rows + (_row(sequence, tl.minimum(step, length - 1), length, backwards),)
        live = live + (inside & (tl.full(inside.shape, step, tl.int32) < length),)
    return rows, live


@triton.jit
def _load(source, rows, live, dim, d, T: tl.constexpr):
    """One vector of channels per row, 0 where none exists."""
    vectors = ()
    for t in tl.static_range(T):
        value = tl.load(source + rows[t] * dim + d, mask=live[t], other=0.0)
        vectors = vectors + (value.to(tl.float32),)
    return vectors


@triton.jit
def _step_sizes(raw, bias, live, T: tl.constexpr, SOFTPLUS: tl.constexpr):
    """softplus(raw + bias), or raw + bias, and 0 where no step exists: the state stays."""
    deltas = ()
    for t in tl.static_range(T):
        delta = raw[t] + bias
        if SOFTPLUS:
            delta = softplus(delta)
        deltas = deltas + (tl.where(live[t], delta, 0.0),)
    return deltas


@triton.jit
def _products(left, right, T: tl.constexpr):
    vectors = ()
    for t in tl.static_range(T):
        vectors = vectors + (left[t] * right[t],)
    return vectors


@triton.jit
def _scalars(proj, rows, width, column, T: tl.constexpr):
    """One column of the projected parameters."""
    values = ()
    for t in tl.static_range(T):
        values = values + (tl.load(proj + rows[t] * width + column).to(tl.float32),)
    return values


# Numbers are not specialised: a channel count known to be divisible would spread neighbouring
# channels over a lane's registers and positions over lanes, and compile again for every length.
_NUMBERS = (
    "reverse", "batch", "dy_batch", "n_sequences", "length", "dim", "width", "first",
    "n_segments", "segment_tiles",
)  # fmt: skip


def _kernel(function):
    names = inspect.signature(function).parameters
    return triton.jit(function, do_not_specialize=[n for n in _NUMBERS if n in names])


@_kernel
def forward_kernel(
    u, raw, proj, matrix, skip, bias, y, bounds, carry, decay,
    reverse, batch, length, dim, width, first, n_segments, segment_tiles,
    N: tl.constexpr, T: tl.constexpr, BD: tl.constexpr,
    SOFTPLUS: tl.constexpr, OUTPUT: tl.constexpr, KEEP: tl.constexpr,
):  # fmt: skip
    """OUTPUT: y, and the state at each tile's start if KEEP, from the states in ``carry``.

    Otherwise: what each segment makes of a zero state (to ``carry``), and its summed step sizes
    (to ``decay``). matrix is A * log2(e) as (G, N, D); carry is (G B, segments, N, D).
    """
    sequence, segment = tl.program_id(0) // n_segments, tl.program_id(0) % n_segments
    group = sequence // batch
    backwards = ((reverse >> group) & 1) != 0
    d = tl.program_id(1) * BD + tl.arange(0, BD)
    inside = d < dim
    skip_d = tl.load(skip + group * dim + d, mask=inside, other=0.0).to(tl.float32)
    bias_d = tl.load(bias + group * dim + d, mask=inside, other=0.0).to(tl.float32)
    total = tl.zeros([BD], tl.float32)
    mine = carry + (sequence * n_segments + segment).to(tl.int64) * N * dim + d
    for i in range(segment_tiles):
        tile = segment * segment_tiles + i
        rows, live = _rows(sequence, tile, length, backwards, inside, T)
        us = _load(u, rows, live, dim, d, T)
        raws = _load(raw, rows, live, dim, d, T)
        deltas = _step_sizes(raws, bias_d, live, T, SOFTPLUS)
        xs = _products(deltas, us, T)
        outs = ()
        for t in tl.static_range(T):
            outs = outs + (us[t] * skip_d,)
            if not OUTPUT:
                total += deltas[t]
        for n in range(N):
            a_n = tl.load(matrix + (group * N + n) * dim + d, mask=inside, other=0.0)
            bs = _scalars(proj, rows, width, first + n, T)
            h = tl.load(mine + n * dim, mask=inside, other=0.0)
            if KEEP:
                to = (sequence * n_segments * segment_tiles + tile).to(tl.int64) * N + n
                tl.store(bounds + to * dim + d, h.to(bounds.dtype.element_ty), mask=inside)
            if OUTPUT:
                cs = _scalars(proj, rows, width, first + N + n, T)
            added = ()
            for t in tl.static_range(T):
                h = tl.exp2(deltas[t] * a_n) * h + xs[t] * bs[t]
                if OUTPUT:
                    added = added + (outs[t] + h * cs[t],)
                else:
                    added = added + (outs[t],)
            outs = added
            tl.store(mine + n * dim, h, mask=inside)
        if OUTPUT:
            for t in tl.static_range(T):
                out = outs[t].to(y.dtype.element_ty)
                tl.store(y + rows[t] * dim + d, out, mask=live[t])
        # The states of this tile must be in memory before the next one loads them.
        tl.debug_barrier()
    if not OUTPUT:
        tl.store(decay + (sequence * n_segments + segment) * dim + d, total, mask=inside)


@_kernel
def join_kernel(
    matrix, carry, decay, batch, dim, n_segments,
    N: tl.constexpr, BD: tl.constexpr, FROM_END: tl.constexpr,
):  # fmt: skip
    """Replace what segments make of a zero state by the state that each one starts with."""
    sequence, n = tl.program_id(0) // N, tl.program_id(0) % N
    d = tl.program_id(1) * BD + tl.arange(0, BD)
    inside = d < dim
    a = tl.load(matrix + (sequence // batch * N + n) * dim + d, mask=inside, other=0.0)
    state = tl.zeros([BD], tl.float32)
    for i in range(n_segments):
        segment = sequence * n_segments + (n_segments - 1 - i if FROM_END else i)
        where = carry + (segment.to(tl.int64) * N + n) * dim + d
        added = tl.load(where, mask=inside, other=0.0)
        total = tl.load(decay + segment * dim + d, mask=inside, other=0.0)
        tl.store(where, state, mask=inside)
        state = tl.exp2(total * a) * state + added


@_kernel
def flow_kernel(
    raw, proj, matrix, bias, dy, carry, decay,
    reverse, batch, dy_batch, length, dim, width, first, n_segments, segment_tiles,
    N: tl.constexpr, T: tl.constexpr, BD: tl.constexpr, SOFTPLUS: tl.constexpr,
):  # fmt: skip
    """Gradient that flows out of each segment's start if none flows in at its end."""
    sequence, segment = tl.program_id(0) // n_segments, tl.program_id(0) % n_segments
    group = sequence // batch
    backwards = ((reverse >> group) & 1) != 0
    d = tl.program_id(1) * BD + tl.arange(0, BD)
    inside = d < dim
    bias_d = tl.load(bias + group * dim + d, mask=inside, other=0.0).to(tl.float32)
    total = tl.zeros([BD], tl.float32)
    mine = carry + (sequence * n_segments + segment).to(tl.int64) * N * dim + d
    dy_shift = dy - (sequence // dy_batch * dy_batch).to(tl.int64) * length * dim
    for i in range(segment_tiles):
        tile = segment * segment_tiles + segment_tiles - 1 - i
        rows, live = _rows(sequence, tile, length, backwards, inside, T)
        raws = _load(raw, rows, live, dim, d, T)
        deltas = _step_sizes(raws, bias_d, live, T, SOFTPLUS)
        dys = _load(dy_shift, rows, live, dim, d, T)
        for t in tl.static_range(T):
            total += deltas[t]
        for n in range(N):
            a_n = tl.load(matrix + (group * N + n) * dim + d, mask=inside, other=0.0)
            cs = _scalars(proj, rows, width, first + N + n, T)
            q = tl.load(mine + n * dim, mask=inside, other=0.0)
            for t in tl.static_range(T - 1, -1, -1):
                q = tl.exp2(deltas[t] * a_n) * (dys[t] * cs[t] + q)
            tl.store(mine + n * dim, q, mask=inside)
        tl.debug_barrier()
    tl.store(decay + (sequence * n_segments + segment) * dim + d, total, mask=inside)


@_kernel
def backward_kernel(
    u, raw, proj, matrix, skip, bias, bounds, dy, carry,
    du, ddelta, dbc, dmatrix, dskip, dbias,
    reverse, batch, dy_batch, n_sequences, length, dim, width, first, n_segments, segment_tiles,
    N: tl.constexpr, T: tl.constexpr, BD: tl.constexpr, SOFTPLUS: tl.constexpr,
):  # fmt: skip
    """All gradients of a segment, from its tiles' first states and what flows in at its end.

    With q_t = a_t g_t, where g_t is the gradient of h_t: g_t = C_t dy_t + q_{t+1}. Those of A, D
    and the bias are written per segment, those of B and C per block of channels, to be summed.
    """
    sequence, segment = tl.program_id(0) // n_segments, tl.program_id(0) % n_segments
    group = sequence // batch
    backwards = ((reverse >> group) & 1) != 0
    d = tl.program_id(1) * BD + tl.arange(0, BD)
    inside = d < dim
    skip_d = tl.load(skip + group * dim + d, mask=inside, other=0.0).to(tl.float32)
    bias_d = tl.load(bias + group * dim + d, mask=inside, other=0.0).to(tl.float32)
    dskip_d, dbias_d = tl.zeros([BD], tl.float32), tl.zeros([BD], tl.float32)
    share = (sequence * n_segments + segment).to(tl.int64)
    flow, dmatrix_d = carry + share * N * dim + d, dmatrix + share * N * dim + d
    dy_shift = dy - (sequence // dy_batch * dy_batch).to(tl.int64) * length * dim
    block = tl.program_id(1).to(tl.int64) * n_sequences * length
    # One store takes a tile's gradients of B (lanes 0 .. T-1) and C (lanes T .. 2T-1).
    lane = tl.arange(0, 2 * T)
    for i in range(segment_tiles):
        tile = segment * segment_tiles + segment_tiles - 1 - i
        rows, live = _rows(sequence, tile, length, backwards, inside, T)
        lane_step = tile * T + lane % T
        lane_row = _row(sequence, lane_step, length, backwards)
        to = dbc + (block + lane_row) * 2 * N + lane // T * N
        us = _load(u, rows, live, dim, d, T)
        raws = _load(raw, rows, live, dim, d, T)
        deltas = _step_sizes(raws, bias_d, live, T, SOFTPLUS)
        dys = _load(dy_shift, rows, live, dim, d, T)
        xs = _products(deltas, us, T)
        dxs, dsteps = (), ()
        for t in tl.static_range(T):
            dxs = dxs + (tl.zeros([BD], tl.float32),)
            dsteps = dsteps + (tl.zeros([BD], tl.float32),)
        for n in range(N):
            a_n = tl.load(matrix + (group * N + n) * dim + d, mask=inside, other=0.0)
            bs = _scalars(proj, rows, width, first + n, T)
            cs = _scalars(proj, rows, width, first + N + n, T)
            start = (sequence * n_segments * segment_tiles + tile).to(tl.int64) * N + n
            h = tl.load(bounds + start * dim + d, mask=inside, other=0.0).to(tl.float32)
            q = tl.load(flow + n * dim, mask=inside, other=0.0)
            da = tl.load(dmatrix_d + n * dim, mask=inside, other=0.0)
            dbc_n = tl.zeros([2 * T], tl.float32)
            decays, before = (), ()
            for t in tl.static_range(T):
                a = tl.exp2(deltas[t] * a_n)
                decays = decays + (a,)
                before = before + (h,)
                h = a * h + xs[t] * bs[t]
                dbc_n = tl.where(lane == T + t, tl.sum(dys[t] * h, axis=0), dbc_n)
            new_dxs, new_dsteps = (), ()
            for t in tl.static_range(T - 1, -1, -1):
                g = dys[t] * cs[t] + q
                q = decays[t] * g
                slope = q * before[t]
                da += slope * deltas[t]
                new_dxs = (dxs[t] + g * bs[t],) + new_dxs
                new_dsteps = (dsteps[t] + slope * a_n,) + new_dsteps
                dbc_n = tl.where(lane == t, tl.sum(g * xs[t], axis=0), dbc_n)
            dxs, dsteps = new_dxs, new_dsteps
            tl.store(to + n, dbc_n, mask=lane_step < length)
            tl.store(dmatrix_d + n * dim, da, mask=inside)
            tl.store(flow + n * dim, q, mask=inside)
        for t in tl.static_range(T):
            slope = dsteps[t] * LN2 + dxs[t] * us[t]
            if SOFTPLUS:
                raw_t = raws[t] + bias_d
                slope = tl.where(raw_t > 20.0, slope, slope * sigmoid(raw_t))
            slope = tl.where(live[t], slope, 0.0)
            dskip_d += dys[t] * us[t]
            dbias_d += slope
            at, mask = rows[t] * dim + d, live[t]
            du_t = dxs[t] * deltas[t] + dys[t] * skip_d
            tl.store(du + at, du_t.to(du.dtype.element_ty), mask=mask)
            tl.store(ddelta + at, slope.to(ddelta.dtype.element_ty), mask=mask)
        # What this tile passes on must be in memory before the next one loads it.
        tl.debug_barrier()
    tl.store(dskip + share * dim + d, dskip_d, mask=inside)
    tl.store(dbias + share * dim + d, dbias_d, mask=inside)
