"""Reading bigWig tracks: checked before they are opened, in few large reads.

A damaged file can crash the library that reads it, so the header, the chromosome tree and every
node of the indexes are compared with the file's size first (UCSC bigWig format, versions 1 to 4).
"""

from __future__ import annotations

import logging
import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyBigWig

from prismflow.errors import InputError

logger = logging.getLogger(__name__)

_MAGIC = 0x888FFC26
_BIGBED_MAGIC = 0x8789F2EB
_TREE_MAGIC = 0x78CA8C91
_INDEX_MAGIC = 0x2468ACE0
_HEADER_BYTES = 64
_NODE_BYTES = 4
_BLOCK_BP = 1 << 22
_JOIN_BP = 4096
_BLOCK_VALUES = 1 << 25


@dataclass(frozen=True)
class Summary:
    """Totals that a bigWig holds about itself.

    Attributes:
        covered: number of bases with a value.
        minimum: smallest value.
        maximum: largest value.
        total: sum of all values.
    """

    covered: int
    minimum: float
    maximum: float
    total: float

    @property
    def mean(self) -> float:
        """Mean over the bases with a value; 0 for an empty track."""
        return self.total / self.covered if self.covered else 0.0


def check_bigwig(path: str | Path) -> Summary:
    """Check that a file is a whole bigWig.

    Raises:
        InputError: absent, empty, another kind of file, or truncated.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: expected a bigWig, found no such file.")
    size = path.stat().st_size
    if size == 0:
        raise InputError(f"{path}: expected a bigWig, found an empty file.")
    with open(path, "rb") as stream:
        order = _byte_order(path, stream.read(4))
        if size < _HEADER_BYTES:
            raise _truncated(path, "its header", _HEADER_BYTES, size)
        with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _check_parts(path, data, order)


def _byte_order(path: Path, magic: bytes) -> str:
    for order in "<>":
        if len(magic) == 4 and struct.unpack(f"{order}I", magic)[0] == _MAGIC:
            return order
        if len(magic) == 4 and struct.unpack(f"{order}I", magic)[0] == _BIGBED_MAGIC:
            raise InputError(f"{path}: expected a bigWig, found a bigBed.")
    with open(path, "rb") as stream:
        head = stream.read(60)
    kind = "gzip" if head[:2] == b"\x1f\x8b" else "text" if head.isascii() else "another kind"
    raise InputError(
        f"{path}: expected a bigWig, found a file of {kind} starting with {head[:24]!r}; convert "
        "or download it again."
    )


def _truncated(path: Path, what: str, end: int, size: int) -> InputError:
    return InputError(
        f"{path}: the bigWig is truncated: {what} should end at byte {end}, the file has {size}; "
        "copy or download it again."
    )


def _check_parts(path: Path, data: mmap.mmap, order: str) -> Summary:
    size = len(data)
    (_, n_zooms, tree, _, index, _, _, _, totals, _, _) = struct.unpack_from(
        f"{order}HHQQQHHQQIQ", data, 4
    )
    ends = {"its list of zoom levels": _HEADER_BYTES + 24 * n_zooms}
    ends["its chromosome tree"] = tree + 32
    ends["its summary"] = totals + 40 if totals else 0
    ends["its index"] = index + 48 if index else 0
    for what, end in ends.items():
        if end > size:
            raise _truncated(path, what, end, size)
    if struct.unpack_from(f"{order}I", data, tree)[0] != _TREE_MAGIC:
        raise InputError(
            f"{path}: the bigWig is damaged: no chromosome tree at byte {tree}; download it again."
        )
    indexes = {"the index": index} if index else {}
    for level in range(n_zooms):
        _, _, _, offset = struct.unpack_from(f"{order}IIQQ", data, _HEADER_BYTES + 24 * level)
        if offset:
            indexes[f"the index of zoom level {level + 1}"] = offset
    for what, offset in indexes.items():
        _check_index(path, data, order, what, offset)
    if not totals:
        return Summary(0, 0.0, 0.0, 0.0)
    covered, minimum, maximum, total = struct.unpack_from(f"{order}Qddd", data, totals)
    return Summary(int(covered), minimum, maximum, total) if covered else Summary(0, 0.0, 0.0, 0.0)


def _check_index(path: Path, data: mmap.mmap, order: str, what: str, offset: int) -> None:
    """Walk an R tree; every node and every data block must lie within the file."""
    size = len(data)
    if offset + 48 > size:
        raise _truncated(path, what, offset + 48, size)
    magic, _, n_items = struct.unpack_from(f"{order}IIQ", data, offset)
    if magic != _INDEX_MAGIC:
        raise InputError(f"{path}: the bigWig is damaged: {what} is not at byte {offset}.")
    leaf = np.dtype([("place", f"{order}u4", 4), ("offset", f"{order}u8"), ("size", f"{order}u8")])
    branch = np.dtype([("place", f"{order}u4", 4), ("offset", f"{order}u8")])
    waiting = [offset + 48] if n_items else []
    visited = 0
    while waiting:
        node = waiting.pop()
        visited += 1
        if node + _NODE_BYTES > size or visited > size // _NODE_BYTES:
            raise _truncated(path, what, node + _NODE_BYTES, size)
        is_leaf, _, count = struct.unpack_from(f"{order}BBH", data, node)
        kind = leaf if is_leaf else branch
        end = node + _NODE_BYTES + count * kind.itemsize
        if end > size:
            raise _truncated(path, what, end, size)
        items = np.frombuffer(data[node + _NODE_BYTES : end], dtype=kind)
        if not is_leaf:
            waiting.extend(items["offset"].tolist())
        elif count:
            last = int((items["offset"] + items["size"]).max())
            if last > size:
                raise _truncated(path, "a data block", last, size)


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
