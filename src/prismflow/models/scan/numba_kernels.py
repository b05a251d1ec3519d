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

CHUNK = 64
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
def _share(task, n_splits, n_blocks):
    """The sequence of a task and its range of channel blocks."""
    split = task % n_splits
    return task // n_splits, split * n_blocks // n_splits, (split + 1) * n_blocks // n_splits


@inlined
def _load(source, positions, steps, stride, first, channels, tile, row_size):
    """tile[s, c] = source[positions[s] * stride + first + c], by rows, as memory likes it."""
    for s in range(steps):
        row, to = positions[s] * stride + first, s * row_size
        for c in range(channels):
            _write0(tile, to + c, _read(source, row + c))


@inlined
def _store(tile, positions, steps, stride, first, channels, target, row_size):
    """The opposite of :func:`_load`."""
    for s in range(steps):
        row, at = positions[s] * stride + first, s * row_size
        for c in range(channels):
            _write0(target, row + c, _read(tile, at + c))


@inlined
def _load_channels(matrix, skip, bias, first, channels, n_state, a, ends):
    """Parameters by block: a[block, n, w] = A * log2(e), D and bias; zero in the padding."""
    for c in range(len(a) * LANES):
        block, w = c // LANES, c % LANES
        inside = c < channels
        ends[2 * block, w] = skip[first + c] if inside else 0
        ends[2 * block + 1, w] = bias[first + c] if inside else 0
        for n in range(n_state):
            value = matrix[(first + c) * n_state + n] * LOG2E if inside else 0.0
            a[block, n * LANES + w] = value


@inlined
def _positions(chunk, length, backwards, sequence, positions):
    """Rows of a chunk's steps in scanning order; returns their number."""
    s0 = chunk * CHUNK
    steps = min(CHUNK, length - s0)
    for s in range(steps):
        positions[s] = sequence * length + (length - 1 - s0 - s if backwards else s0 + s)
    return steps


@inlined
def _prepare(steps, us, raws, at, row_size, skip, bias, use_softplus, deltas, xs, ys):
    """deltas = softplus(raws + bias) or raws + bias; xs = deltas us; ys = D us.

    us, raws and ys are tiles with rows of ``row_size``, of which lanes from ``at`` on are meant.
    """
    for s in range(steps):
        to, lane = s * LANES, s * row_size + at
        for w in range(LANES):
            delta, u = _read(raws, lane + w) + _read(bias, w), _read(us, lane + w)
            if use_softplus:
                delta = softplus(delta)
            _write0(deltas, to + w, delta)
            _write1(xs, to + w, delta * u)
            _write2(ys, lane + w, _read(skip, w) * u)


@inlined
def _advance(delta, x, at, matrix, state, n, b, c, y, lane):
    """One step of state n: h = exp(delta A) h + x b, and y += c h."""
    for w in range(LANES):
        decay = exp2(_read(delta, at + w) * _read(matrix, n + w))
        h = decay * _read0(state, n + w) + _read(x, at + w) * b
        _write0(state, n + w, h)
        _write1(y, lane + w, _read1(y, lane + w) + c * h)


@kernel
def scan_forward(
    task, sizes, u, raw, proj, matrix, skip, bias, reverse, softplus_on, keep, y, bounds, last
):
    """y, the states at the start of each chunk if ``keep``, and the last states."""
    _n_seq, length, dim, n_state, width, first, n_splits, batch = sizes
    n_blocks, n_chunks = -(-dim // LANES), -(-length // CHUNK)
    seq, block0, block1 = _share(task, n_splits, n_blocks)
    group, size, mine = seq // batch, n_state * LANES, block1 - block0
    d0, channels = block0 * LANES, min(dim, block1 * LANES) - block0 * LANES
    a, states, ends = _scratch(mine, size, u), _scratch(mine, size, u), _scratch(2 * mine, LANES, u)
    row_size = mine * LANES
    tiles, work = _scratch(3, CHUNK * row_size, u), _scratch(2, CHUNK * LANES, u)
    us, raws, ys, deltas, xs = tiles[0], tiles[1], tiles[2], work[0], work[1]
    positions = np.zeros(CHUNK, np.int64)
    _load_channels(matrix, skip, bias, group * dim + d0, channels, n_state, a, ends)
    for chunk in range(n_chunks):
        steps = _positions(chunk, length, reverse[group], seq, positions)
        _load(u, positions, steps, dim, d0, channels, us, row_size)
        _load(raw, positions, steps, dim, d0, channels, raws, row_size)
        for k in range(mine):
            if keep:
                at = ((seq * n_chunks + chunk) * n_blocks + block0 + k) * size
                bounds[at : at + size] = states[k]
            _prepare(
                steps, us, raws, k * LANES, row_size, ends[2 * k], ends[2 * k + 1], softplus_on,
                deltas, xs, ys,
            )  # fmt: skip
            for s in range(steps):
                row, lane = positions[s] * width + first, s * row_size + k * LANES
                for n in range(n_state):
                    b, c = proj[row + n], proj[row + n_state + n]
                    _advance(deltas, xs, s * LANES, a[k], states[k], n * LANES, b, c, ys, lane)
        _store(ys, positions, steps, dim, d0, channels, y, row_size)
    for c in range(channels):
        for n in range(n_state):
            last[(seq * dim + d0 + c) * n_state + n] = states[c // LANES, n * LANES + c % LANES]


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
def _retreat(dy, lane, x, delta, at, matrix, n, b, c, decays, before, to, g, dstep, dx, da, db, dc):
    """One step back of state n: g becomes the gradient of the state before it.

    dstep accumulates the gradient of delta through the decay (times log2(e), as the matrix is),
    dx that of x = delta u, and da, db and dc those of A, B and C, per lane.
    """
    for w in range(LANES):
        decay, h = _read(decays, to + w), _read(before, to + w)
        dy_w, x_w = _read(dy, lane + w), _read(x, at + w)
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
    """Sum of LANES numbers in four strands, which the processor adds side by side."""
    a, b, c, d = (
        _read(values, at),
        _read(values, at + 1),
        _read(values, at + 2),
        _read(values, at + 3),
    )
    for w in range(4, LANES, 4):
        a += _read(values, at + w)
        b += _read(values, at + w + 1)
        c += _read(values, at + w + 2)
        d += _read(values, at + w + 3)
    return (a + b) + (c + d)


@inlined
def _sum_steps(tile, steps, at, row_size, sums):
    for w in range(LANES):
        _write0(sums, w, _read(tile, at + w))
    for s in range(1, steps):
        for w in range(LANES):
            _write0(sums, w, _read0(sums, w) + _read(tile, s * row_size + at + w))


@inlined
def _input_gradients(
    steps, us, raws, dys, at, row_size, deltas, skip, bias, dstep, dx, softplus_on
):
    """du and ddelta of a chunk, in place of u and raw; dx becomes dy u, which is what D gets."""
    for s in range(steps):
        to, lane = s * LANES, s * row_size + at
        for w in range(LANES):
            u, dy, grad = _read0(us, lane + w), _read(dys, lane + w), _read1(dx, to + w)
            slope = times_ln2(_read(dstep, to + w)) + grad * u
            if softplus_on:
                slope = slope * softplus_slope(_read2(raws, lane + w) + _read(bias, w))
            _write0(us, lane + w, grad * _read(deltas, to + w) + dy * _read(skip, w))
            _write1(dx, to + w, dy * u)
            _write2(raws, lane + w, slope)


@inlined
def _chunk_gradients(
    steps, n_state, rows, proj, us, raws, dys, at, row_size, work, a, state, da, g, kept,
    skip, bias, softplus_on,
):  # fmt: skip
    """Gradients of a chunk that starts in ``state``; us and raws become du and ddelta."""
    deltas, xs, dstep, dx, unused = work[0], work[1], work[2], work[3], work[4]
    decays, before, db, dc = kept[0], kept[1], kept[2], kept[3]
    _prepare(steps, us, raws, at, row_size, skip, bias, softplus_on, deltas, xs, unused)
    for s in range(steps):
        for n in range(n_state):
            to = (s * n_state + n) * LANES
            b = proj[rows[s] + n]
            _remember(deltas, xs, s * LANES, a, state, n * LANES, b, decays, before, to)
    dstep[:] = 0
    dx[:] = 0
    for s in range(steps - 1, -1, -1):
        for n in range(n_state):
            to = (s * n_state + n) * LANES
            b, c = proj[rows[s] + n], proj[rows[s] + n_state + n]
            _retreat(
                dys, s * row_size + at, xs, deltas, s * LANES, a, n * LANES, b, c,
                decays, before, to, g, dstep, dx, da, db, dc,
            )  # fmt: skip
    _input_gradients(steps, us, raws, dys, at, row_size, deltas, skip, bias, dstep, dx, softplus_on)


@inlined
def _collect(
    steps, n_state, lanes, channel, ddelta, at, row_size, dyu, da, sums, dskip, dbias, dmatrix
):
    """Add a chunk's share of the parameters' gradients in float64."""
    _sum_steps(dyu, steps, 0, LANES, sums[0])
    _sum_steps(ddelta, steps, at, row_size, sums[1])
    for w in range(lanes):
        dskip[channel + w] += sums[0, w]
        dbias[channel + w] += sums[1, w]
        for n in range(n_state):
            dmatrix[(channel + w) * n_state + n] += da[n * LANES + w]


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
    task, sizes, u, raw, proj, matrix, skip, bias, reverse, softplus_on, shared_dy, bounds, dy,
    du, ddelta, dbc, dmatrix, dskip, dbias,
):  # fmt: skip
    """Gradients of everything, from the states that were kept.

    dy is one for each group, or one for all. dbc has rows of 2 n_state per split, to be summed
    over splits; dmatrix, dskip and dbias are float64, per sequence, to be summed over the batch.
    """
    n_seq, length, dim, n_state, width, first, n_splits, batch = sizes
    n_blocks, n_chunks = -(-dim // LANES), -(-length // CHUNK)
    seq, block0, block1 = _share(task, n_splits, n_blocks)
    group, size, mine = seq // batch, n_state * LANES, block1 - block0
    d0, channels = block0 * LANES, min(dim, block1 * LANES) - block0 * LANES
    a, flow, ends = _scratch(mine, size, u), _scratch(mine, size, u), _scratch(2 * mine, LANES, u)
    row_size = mine * LANES
    tiles, work = _scratch(3, CHUNK * row_size, u), _scratch(5, CHUNK * row_size, u)
    us, raws, dys = tiles[0], tiles[1], tiles[2]
    kept, states, sums = _scratch(4, CHUNK * size, u), _scratch(2, size, u), _scratch(2, LANES, u)
    rows, positions = np.zeros(CHUNK, np.int64), np.zeros(CHUNK, np.int64)
    _load_channels(matrix, skip, bias, group * dim + d0, channels, n_state, a, ends)
    for chunk in range(n_chunks - 1, -1, -1):
        steps = _positions(chunk, length, reverse[group], seq, positions)
        rows[:] = positions * width + first
        kept[2:] = 0
        _load(u, positions, steps, dim, d0, channels, us, row_size)
        _load(raw, positions, steps, dim, d0, channels, raws, row_size)
        dy0 = d0 - group * batch * length * dim if shared_dy else d0
        _load(dy, positions, steps, dim, dy0, channels, dys, row_size)
        for k in range(mine):
            at = ((seq * n_chunks + chunk) * n_blocks + block0 + k) * size
            states[0] = bounds[at : at + size]
            states[1] = 0
            _chunk_gradients(
                steps, n_state, rows, proj, us, raws, dys, k * LANES, row_size, work, a[k],
                states[0], states[1], flow[k], kept, ends[2 * k], ends[2 * k + 1], softplus_on,
            )  # fmt: skip
            lanes, channel = min(LANES, channels - k * LANES), seq * dim + d0 + k * LANES
            _collect(
                steps, n_state, lanes, channel, raws, k * LANES, row_size, work[3], states[1],
                sums, dskip, dbias, dmatrix,
            )  # fmt: skip
        _store(us, positions, steps, dim, d0, channels, du, row_size)
        _store(raws, positions, steps, dim, d0, channels, ddelta, row_size)
        _write_bc(steps, n_state, task % n_splits * n_seq * length, positions, kept, dbc)
