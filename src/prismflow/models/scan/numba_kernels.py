"""Compiled loops of the selective scan on CPUs: forward, and backward with recomputed states.

One task scans some channel blocks (LANES channels each) of one sequence of one group. All arrays
are flat; a row is one position of one sequence: row = sequence * length + position. B and C stand
side by side in rows of ``width`` numbers from column ``first`` on. Steps run in scanning order:
step s is position s, or length - 1 - s in reverse.
"""

from __future__ import annotations

import numpy as np

from prismflow.models.scan.lanes import (
    LANES,
    LOG2E,
    exp2,
    inlined,
    kernel,
    lane_access,
    softplus,
    softplus_slope,
    times_ln2,
)

CHUNK = 32
"""Steps between saved states; the backward pass holds the states of one chunk at a time."""

_read, _ = lane_access("read")
_read0, _write0 = lane_access("write0")
_read1, _write1 = lane_access("write1")
_read2, _write2 = lane_access("write2")
_read3, _write3 = lane_access("write3")
_read4, _write4 = lane_access("write4")
_read5, _write5 = lane_access("write5")


@inlined
def _scratch(pieces, size, like):
    """Scratch arrays of one size."""
    return np.zeros((pieces, size), like.dtype)


@inlined
def _load(source, positions, steps, stride, first, lanes, tile):
    """tile[s, w] = source[positions[s] * stride + first + w], zero in the padding."""
    if lanes == LANES:
        for s in range(steps):
            at = positions[s] * stride + first
            for w in range(LANES):
                _write0(tile, s * LANES + w, _read(source, at + w))
    else:
        for s in range(steps):
            at = positions[s] * stride + first
            for w in range(LANES):
                tile[s * LANES + w] = source[at + w] if w < lanes else 0


@inlined
def _store(tile, positions, steps, stride, first, lanes, target):
    """The opposite of :func:`_load`, without the padding."""
    if lanes == LANES:
        for s in range(steps):
            at = positions[s] * stride + first
            for w in range(LANES):
                _write0(target, at + w, _read(tile, s * LANES + w))
    else:
        for s in range(steps):
            at = positions[s] * stride + first
            for w in range(lanes):
                target[at + w] = tile[s * LANES + w]


@inlined
def _load_channels(skip, bias, first, lanes, short):
    for w in range(LANES):
        short[0, w] = skip[first + w] if w < lanes else 0
        short[1, w] = bias[first + w] if w < lanes else 0


@inlined
def _positions(chunk, length, backwards, sequence, positions):
    """Rows of a chunk's steps in scanning order; returns their number."""
    s0 = chunk * CHUNK
    steps = min(CHUNK, length - s0)
    for s in range(steps):
        positions[s] = sequence * length + (length - 1 - s0 - s if backwards else s0 + s)
    return steps


@inlined
def _scaled_matrix(matrix, start, lanes, n_state, tile):
    """tile[n, w] = matrix[start + w, n] * log2(e), zero in the padding."""
    for n in range(n_state):
        for w in range(LANES):
            tile[n * LANES + w] = matrix[(start + w) * n_state + n] * LOG2E if w < lanes else 0.0


@inlined
def _prepare(steps, us, raws, short, use_softplus, deltas, xs, ys):
    """deltas = softplus(raws + bias) or raws + bias; xs = deltas us; ys = D us."""
    skip, bias = short[0], short[1]
    for s in range(steps):
        at = s * LANES
        if use_softplus:
            for w in range(LANES):
                _write0(deltas, at + w, softplus(_read(raws, at + w) + _read(bias, w)))
        else:
            for w in range(LANES):
                _write0(deltas, at + w, _read(raws, at + w) + _read(bias, w))
        for w in range(LANES):
            u = _read(us, at + w)
            _write1(xs, at + w, _read0(deltas, at + w) * u)
            _write2(ys, at + w, _read(skip, w) * u)


@inlined
def _advance(delta, x, at, matrix, state, n, b, c, y):
    """One step of state n: h = exp(delta A) h + x b, and y += c h."""
    for w in range(LANES):
        decay = exp2(_read(delta, at + w) * _read(matrix, n + w))
        h = decay * _read0(state, n + w) + _read(x, at + w) * b
        _write0(state, n + w, h)
        _write1(y, at + w, _read1(y, at + w) + c * h)


@kernel
def scan_forward(
    task, sizes, u, raw, proj, matrix, skip, bias, reverse, softplus_on, keep, y, bounds, last
):
    """y, the states at the start of each chunk if ``keep``, and the last states."""
    _n_seq, length, dim, n_state, width, first, n_splits, batch = sizes
    n_blocks = (dim + LANES - 1) // LANES
    n_chunks = (length + CHUNK - 1) // CHUNK
    seq, split = task // n_splits, task % n_splits
    group, size = seq // batch, n_state * LANES
    states, tiles, short = (
        _scratch(2, size, u),
        _scratch(5, CHUNK * LANES, u),
        _scratch(2, LANES, u),
    )
    a, state = states[0], states[1]
    us, raws, deltas, xs, ys = tiles[0], tiles[1], tiles[2], tiles[3], tiles[4]
    positions = np.zeros(CHUNK, np.int64)
    for block in range(split * n_blocks // n_splits, (split + 1) * n_blocks // n_splits):
        d0, lanes = block * LANES, min(LANES, dim - block * LANES)
        _scaled_matrix(matrix, group * dim + d0, lanes, n_state, a)
        _load_channels(skip, bias, group * dim + d0, lanes, short)
        state[:] = 0
        for chunk in range(n_chunks):
            if keep:
                at = ((seq * n_chunks + chunk) * n_blocks + block) * size
                bounds[at : at + size] = state
            steps = _positions(chunk, length, reverse[group], seq, positions)
            _load(u, positions, steps, dim, d0, lanes, us)
            _load(raw, positions, steps, dim, d0, lanes, raws)
            _prepare(steps, us, raws, short, softplus_on, deltas, xs, ys)
            for s in range(steps):
                row = positions[s] * width + first
                for n in range(n_state):
                    b, c = proj[row + n], proj[row + n_state + n]
                    _advance(deltas, xs, s * LANES, a, state, n * LANES, b, c, ys)
            _store(ys, positions, steps, dim, d0, lanes, y)
        for n in range(n_state):
            for w in range(lanes):
                last[(seq * dim + d0 + w) * n_state + n] = state[n * LANES + w]


@inlined
def _remember(delta, x, at, matrix, state, n, b, decays, before, to):
    """One step of state n that keeps the decay and the state before it."""
    for w in range(LANES):
        decay = exp2(_read(delta, at + w) * _read(matrix, n + w))
        h = _read0(state, n + w)
        _write1(decays, to + w, decay)
        _write2(before, to + w, h)
        _write0(state, n + w, decay * h + _read(x, at + w) * b)


@inlined
def _retreat(dy, x, delta, at, matrix, n, b, c, decays, before, to, g, dstep, dx, da, db, dc):
    """One step back of state n: g becomes the gradient of the state before it.

    dstep accumulates the gradient of delta through the decay (times log2(e), as the matrix is),
    dx that of x = delta u, and da, db and dc those of A, B and C, per lane.
    """
    for w in range(LANES):
        decay, h = _read(decays, to + w), _read(before, to + w)
        dy_w, x_w = _read(dy, at + w), _read(x, at + w)
        grad = _read0(g, n + w) + c * dy_w
        _write5(dc, to + w, _read5(dc, to + w) + dy_w * (decay * h + x_w * b))
        _write4(db, to + w, _read4(db, to + w) + grad * x_w)
        _write2(dx, at + w, _read2(dx, at + w) + grad * b)
        grad = grad * decay
        _write0(g, n + w, grad)
        grad = grad * h
        _write1(dstep, at + w, _read1(dstep, at + w) + grad * _read(matrix, n + w))
        _write3(da, n + w, _read3(da, n + w) + grad * _read(delta, at + w))


@inlined
def _sum_lanes(values, at):
    total = values[at]
    for w in range(1, LANES):
        total += values[at + w]
    return total


@inlined
def _input_gradients(steps, us, raws, deltas, dys, short, dstep, dx, softplus_on, du, ddelta):
    """du and ddelta of a chunk; dx becomes dy u, which is what D gets."""
    skip, bias = short[0], short[1]
    for s in range(steps):
        at = s * LANES
        for w in range(LANES):
            u, dy, grad = _read(us, at + w), _read(dys, at + w), _read0(dx, at + w)
            _write1(du, at + w, grad * _read(deltas, at + w) + dy * _read(skip, w))
            _write2(ddelta, at + w, times_ln2(_read(dstep, at + w)) + grad * u)
            _write0(dx, at + w, dy * u)
        if softplus_on:
            for w in range(LANES):
                slope = softplus_slope(_read(raws, at + w) + _read(bias, w))
                _write2(ddelta, at + w, _read2(ddelta, at + w) * slope)


@inlined
def _chunk_gradients(steps, n_state, rows, proj, tiles, a, state, da, g, kept, short, softplus_on):
    """Gradients of a chunk whose inputs are in ``tiles`` and whose first state is in ``state``."""
    us, raws, deltas, xs = tiles[0], tiles[1], tiles[2], tiles[3]
    dys, dstep, dx, du, ddelta = tiles[4], tiles[5], tiles[6], tiles[7], tiles[8]
    decays, before, db, dc = kept[0], kept[1], kept[2], kept[3]
    _prepare(steps, us, raws, short, softplus_on, deltas, xs, du)
    for s in range(steps):
        for n in range(n_state):
            to = (s * n_state + n) * LANES
            b = proj[rows[s] + n]
            _remember(deltas, xs, s * LANES, a, state, n * LANES, b, decays, before, to)
    dstep[:] = 0
    dx[:] = 0
    for s in range(steps - 1, -1, -1):
        at = s * LANES
        for n in range(n_state):
            to = (s * n_state + n) * LANES
            b, c = proj[rows[s] + n], proj[rows[s] + n_state + n]
            _retreat(
                dys, xs, deltas, at, a, n * LANES, b, c,
                decays, before, to, g, dstep, dx, da, db, dc,
            )  # fmt: skip
    _input_gradients(steps, us, raws, deltas, dys, short, dstep, dx, softplus_on, du, ddelta)


@inlined
def _collect(steps, n_state, lanes, channel, tiles, da, dskip, dbias, dmatrix):
    """Add a chunk's share of the parameters' gradients in float64."""
    for w in range(lanes):
        for n in range(n_state):
            dmatrix[(channel + w) * n_state + n] += da[n * LANES + w]
        for s in range(steps):
            dskip[channel + w] += tiles[6, s * LANES + w]
            dbias[channel + w] += tiles[8, s * LANES + w]


@inlined
def _write_bc(steps, n_state, offset, positions, kept, dbc):
    """Sum the lanes of the gradients of B and C into rows of 2 n_state."""
    for s in range(steps):
        at = (offset + positions[s]) * 2 * n_state
        for n in range(n_state):
            dbc[at + n] = _sum_lanes(kept[2], (s * n_state + n) * LANES)
            dbc[at + n_state + n] = _sum_lanes(kept[3], (s * n_state + n) * LANES)


@kernel
def scan_backward(
    task, sizes, u, raw, proj, matrix, skip, bias, reverse, softplus_on, bounds, dy,
    du, ddelta, dbc, dmatrix, dskip, dbias,
):  # fmt: skip
    """Gradients of everything, from the states that were kept.

    dbc has rows of 2 n_state per split, to be summed over splits; dmatrix, dskip and dbias are
    float64, per sequence, to be summed over the batch.
    """
    n_seq, length, dim, n_state, width, first, n_splits, batch = sizes
    n_blocks = (dim + LANES - 1) // LANES
    n_chunks = (length + CHUNK - 1) // CHUNK
    seq, split = task // n_splits, task % n_splits
    group, size = seq // batch, n_state * LANES
    block0, block1 = split * n_blocks // n_splits, (split + 1) * n_blocks // n_splits
    flow = _scratch(block1 - block0, size, u)
    tiles, kept = _scratch(9, CHUNK * LANES, u), _scratch(4, CHUNK * size, u)
    states, short = _scratch(3, size, u), _scratch(2, LANES, u)
    a, state, da = states[0], states[1], states[2]
    rows, positions = np.zeros(CHUNK, np.int64), np.zeros(CHUNK, np.int64)
    for chunk in range(n_chunks - 1, -1, -1):
        steps = _positions(chunk, length, reverse[group], seq, positions)
        rows[:] = positions * width + first
        kept[2:] = 0
        for block in range(block0, block1):
            d0, lanes = block * LANES, min(LANES, dim - block * LANES)
            _scaled_matrix(matrix, group * dim + d0, lanes, n_state, a)
            _load_channels(skip, bias, group * dim + d0, lanes, short)
            _load(u, positions, steps, dim, d0, lanes, tiles[0])
            _load(raw, positions, steps, dim, d0, lanes, tiles[1])
            _load(dy, positions, steps, dim, d0, lanes, tiles[4])
            at = ((seq * n_chunks + chunk) * n_blocks + block) * size
            state[:] = bounds[at : at + size]
            da[:] = 0
            _chunk_gradients(
                steps, n_state, rows, proj, tiles, a, state, da, flow[block - block0], kept,
                short, softplus_on,
            )  # fmt: skip
            _store(tiles[7], positions, steps, dim, d0, lanes, du)
            _store(tiles[8], positions, steps, dim, d0, lanes, ddelta)
            _collect(steps, n_state, lanes, seq * dim + d0, tiles, da, dskip, dbias, dmatrix)
        _write_bc(steps, n_state, split * n_seq * length, positions, kept, dbc)
