"""Reading bigWig tracks: checked before they are opened, in few large reads."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyBigWig

from prismflow.data.bigwig_check import check_bigwig, verify_bigwig
from prismflow.errors import InputError

logger = logging.getLogger(__name__)

_BLOCK_BP = 1 << 22
_JOIN_BP = 4096
_BLOCK_VALUES = 1 << 25


class BigWig:
    """An opened bigWig.

    Attributes:
        path: the file.
        lengths: chromosome -> length.
        summary: totals of the whole file.
    """

    def __init__(self, path: str | Path) -> None:
        """Check and open a bigWig.

        Raises:
            InputError: see :func:`check_bigwig`.
        """
        self.path = Path(path)
        self.summary = check_bigwig(path)
        if not math.isfinite(self.summary.total):
            self.summary = verify_bigwig(path)
        try:
            self._file = pyBigWig.open(str(path))
            self.lengths: dict[str, int] = {str(k): int(v) for k, v in self._file.chroms().items()}
        except (RuntimeError, OverflowError, AttributeError) as error:
            raise InputError(f"{path}: the bigWig can't be opened ({error}).") from None

    def __enter__(self) -> BigWig:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def values(self, name: str, start: int, end: int) -> np.ndarray:
        """Values float32 of ``[start, end)`` inside the chromosome; NaN where there is none.

        Raises:
            InputError: the data block can't be read or holds infinite values.
        """
        try:
            found = self._file.values(name, start, end, numpy=True)
        except (RuntimeError, MemoryError) as error:
            raise InputError(
                f"{self.path}: {name}:{start}-{end} can't be read ({error})."
            ) from None
        if np.isinf(found).any():
            raise InputError(
                f"{self.path}: infinite values in {name}:{start}-{end}; expected finite numbers."
            )
        return found

    def has_values(self, name: str) -> bool:
        """Whether a chromosome has any value; the file can name one and hold nothing of it.

        Raises:
            InputError: a data block can't be read.
        """
        length = self.lengths[name]
        starts = range(0, length, _BLOCK_BP)
        blocks = (self.values(name, at, min(at + _BLOCK_BP, length)) for at in starts)
        return any(not np.isnan(block).all() for block in blocks)

    def windows(
        self, name: str, starts: np.ndarray, window_bp: int
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Values of windows of one chromosome, in few large reads and bounded memory.

        Args:
            name: chromosome name in the file.
            starts: int (n,), first bases, may be negative.
            window_bp: length w.

        Yields:
            Positions in ``starts`` (k,) and float32 (k, w): NaN where the track has no value, 0
            outside the chromosome. Every position is yielded once.
        """
        length = self.lengths[name]
        starts = np.asarray(starts, dtype=np.int64)
        order = np.argsort(starts, kind="stable")
        for rows in _blocks(starts, order, window_bp):
            low = max(int(starts[rows[0]]), 0)
            high = min(int(starts[rows[-1]]) + window_bp, length)
            result = np.zeros((len(rows), window_bp), dtype=np.float32)
            if low < high:
                dense = self.values(name, low, high)
                for at, start in enumerate(starts[rows].tolist()):
                    first, last = max(start, 0), min(start + window_bp, length)
                    if first < last:
                        result[at, first - start : last - start] = dense[first - low : last - low]
            yield rows, result


def _blocks(starts: np.ndarray, order: np.ndarray, window_bp: int) -> Iterator[np.ndarray]:
    """Runs of neighbouring windows that are read together; ``order`` sorts ``starts``."""
    most = max(1, _BLOCK_VALUES // window_bp)
    begin = 0
    for at in range(1, len(order) + 1):
        if at < len(order):
            start = starts[order[at]]
            near = start - starts[order[at - 1]] <= window_bp + _JOIN_BP
            short = start + window_bp - starts[order[begin]] <= max(_BLOCK_BP, window_bp)
            if near and short and at - begin < most:
                continue
        if begin < at:
            yield order[begin:at]
        begin = at
