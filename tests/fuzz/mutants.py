"""Damaged copies of a file: each a pure function of the bytes and a number."""

from __future__ import annotations

import random

#: Part of every file where headers, trees and tables of contents tend to be.
HEAD_BYTES = 1024
_EXTREMES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF,
             0x7FFFFFFFFFFFFFFF, 0xFFFFFFFFFFFFFFFF)  # fmt: skip


def mutant(data: bytes, number: int) -> bytes:
    """The damaged copy with this number; differs from ``data``."""
    for attempt in range(100):
        changed = _damaged(data, random.Random(number * 100 + attempt))
        if changed != data:
            return changed
    raise ValueError(f"no damage found for mutant {number} of {len(data)} bytes")


def _place(data: bytes, rng: random.Random) -> int:
    """A position: near the beginning, near the end, or anywhere."""
    where = rng.random()
    if where < 0.4:
        return rng.randrange(min(HEAD_BYTES, len(data)))
    if where < 0.55:
        return len(data) - 1 - rng.randrange(min(HEAD_BYTES, len(data)))
    return rng.randrange(len(data))


def _damaged(data: bytes, rng: random.Random) -> bytes:
    at, kind = _place(data, rng), rng.randrange(8)
    if kind == 0:
        return data[:at]
    if kind == 1:
        return data[:at] + data[at + rng.randrange(1, 64) :]
    if kind == 2:
        return data[:at] + rng.randbytes(rng.randrange(1, 64)) + data[at:]
    if kind == 3:
        other = _place(data, rng)
        piece = data[other : other + rng.randrange(1, 256)]
        return (data[:at] + piece + data[at + len(piece) :])[: len(data)]
    changed = bytearray(data)
    if kind == 4:
        for _ in range(rng.randrange(1, 9)):
            changed[_place(data, rng)] ^= 1 << rng.randrange(8)
    elif kind == 5:
        width = rng.choice((2, 4, 8))
        at -= at % width
        value = rng.choice(_EXTREMES) & ((1 << 8 * width) - 1)
        changed[at : at + width] = value.to_bytes(width, rng.choice(("little", "big")))
    elif kind == 6:
        changed[at : at + rng.randrange(1, 512)] = b""
        changed += bytes(len(data) - len(changed))
    else:
        run = rng.randbytes(rng.randrange(1, 32))
        changed[at : at + len(run)] = run
    return bytes(changed)
