"""Is a bigWig whole and sound? Checked in Python, before the library that reads it sees the file.

A damaged file can crash that library or make it leave out data without a word. So the header, the
chromosome tree and every node of the indexes are compared with the file's size (each time a file is
opened), and every data block is unpacked and compared with the index (once, when a track is
inspected). Blocks are compressed with a checksum, so a changed byte in one of them is noticed.

Layout: UCSC bigWig format, versions 1 to 4. Coordinates are 0-based half-open.
"""

from __future__ import annotations

import contextlib
import mmap
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from prismflow.errors import InputError

_MAGIC = 0x888FFC26
_BIGBED_MAGIC = 0x8789F2EB
_TREE_MAGIC = 0x78CA8C91
_INDEX_MAGIC = 0x2468ACE0
_HEADER_BYTES = 64
_NODE_BYTES = 4
_BLOCK_HEADER = 24
_LONGEST_NAME = 1 << 10
#: Bytes of one record by the block's type: bedGraph, variable step, fixed step.
_RECORD_BYTES = {1: 12, 2: 8, 3: 4}
#: Share by which a file's own totals may differ from its data: writers round as they sum.
_TOTALS_TOLERANCE = 1e-3


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


@dataclass(frozen=True)
class _Parts:
    """Where things are in a file whose structure was checked."""

    path: Path
    data: mmap.mmap
    order: str
    chroms: dict[int, tuple[str, int]]
    blocks: np.ndarray
    unpacked_bytes: int
    totals: Summary | None


def check_bigwig(path: str | Path) -> Summary:
    """Check that a file is a whole bigWig with sound indexes; its data are not read.

    Raises:
        InputError: absent, empty, another kind of file, truncated or damaged.
    """
    with _opened(Path(path)) as parts:
        return parts.totals or Summary(0, 0.0, 0.0, 0.0)


def verify_bigwig(path: str | Path) -> Summary:
    """Check structure and data: every block is unpacked and must be what the index says.

    Returns:
        Totals of the data themselves.

    Raises:
        InputError: see :func:`check_bigwig`; a block that can't be unpacked, is not where the
            index says or lies outside its chromosome; totals that are not those of the data.
    """
    with _opened(Path(path)) as parts:
        return _verify_blocks(parts)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[_Parts]:
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
            yield _check_parts(path, data, order)


def _byte_order(path: Path, magic: bytes) -> str:
    for order in "<>":
        if len(magic) == 4 and struct.unpack(f"{order}I", magic)[0] == _MAGIC:
            return order
        if len(magic) == 4 and struct.unpack(f"{order}I", magic)[0] == _BIGBED_MAGIC:
            raise InputError(f"{path}: expected a bigWig, found a bigBed.")
    with open(path, "rb") as stream:
        head = stream.read(60)
    kind = "gzip" if head[:2] == b"\x1f\x8b" else "text" if head.isascii() else "another kind"
    advice = "convert or download it again"
    values = head.split(b"\n")[0].split()
    if kind == "text" and len(values) == 4 and values[1].isdigit() and values[2].isdigit():
        advice = "it is a bedGraph, make a bigWig of it with bedGraphToBigWig"
    raise InputError(
        f"{path}: expected a bigWig, found a file of {kind} starting with {head[:24]!r}; {advice}."
    )


def _truncated(path: Path, what: str, end: int, size: int) -> InputError:
    return InputError(
        f"{path}: the bigWig is truncated: {what} should end at byte {end}, the file has {size}; "
        "copy or download it again."
    )


def _damaged(path: Path, what: str) -> InputError:
    return InputError(f"{path}: the bigWig is damaged: {what}; copy or download it again.")


def _check_parts(path: Path, data: mmap.mmap, order: str) -> _Parts:
    size = len(data)
    (version, n_zooms, tree, start, index, _, _, _, totals, unpacked_bytes, _) = struct.unpack_from(
        f"{order}HHQQQHHQQIQ", data, 4
    )
    ends = {"its list of zoom levels": _HEADER_BYTES + 24 * n_zooms}
    ends["its chromosome tree"] = tree + 32
    ends["its data"] = start + 8 if start else 0
    ends["its summary"] = totals + 40 if totals else 0
    ends["its index"] = index + 48 if index else 0
    for what, end in ends.items():
        if end > size:
            raise _truncated(path, what, end, size)
    chroms = _chromosomes(path, data, order, tree)
    if not 1 <= version <= 4:
        raise _damaged(path, f"expected a format version from 1 to 4, found {version}")
    blocks = np.zeros((0, 6), dtype=np.int64)
    if index:
        blocks = _index_leaves(path, data, order, "the index", index)
    for level in range(n_zooms):
        _, _, _, offset = struct.unpack_from(f"{order}IIQQ", data, _HEADER_BYTES + 24 * level)
        if offset:
            _index_leaves(path, data, order, f"the index of zoom level {level + 1}", offset)
    summary = None
    if totals:
        covered, minimum, maximum, total = struct.unpack_from(f"{order}Qddd", data, totals)
        summary = Summary(int(covered), minimum, maximum, total) if covered else None
    return _Parts(path, data, order, chroms, blocks, unpacked_bytes, summary)


def _chromosomes(
    path: Path, data: mmap.mmap, order: str, offset: int
) -> dict[int, tuple[str, int]]:
    """Names and lengths by number, from the B+ tree; numbers are 0 ... n - 1."""
    magic, _, key_bytes, value_bytes, n_items = struct.unpack_from(f"{order}IIIIQ", data, offset)
    if magic != _TREE_MAGIC:
        raise _damaged(path, f"no chromosome tree at byte {offset}")
    if value_bytes != 8 or not 0 < key_bytes <= _LONGEST_NAME:
        raise _damaged(path, f"names of {key_bytes} bytes in the chromosome tree")
    waiting, seen = [offset + 32], set()
    chroms: dict[int, tuple[str, int]] = {}
    while waiting:
        node = waiting.pop()
        if node in seen or node + _NODE_BYTES > len(data):
            raise _damaged(path, f"the chromosome tree has no node at byte {node}")
        seen.add(node)
        is_leaf, _, count = struct.unpack_from(f"{order}BBH", data, node)
        end = node + _NODE_BYTES + count * (key_bytes + 8)
        if end > len(data):
            raise _truncated(path, "its chromosome tree", end, len(data))
        for item in range(node + _NODE_BYTES, end, key_bytes + 8):
            if not is_leaf:
                waiting.append(struct.unpack_from(f"{order}Q", data, item + key_bytes)[0])
                continue
            name = data[item : item + key_bytes].rstrip(b"\0")
            number, length = struct.unpack_from(f"{order}II", data, item + key_bytes)
            if not name or not name.isascii() or not name.decode("ascii").isprintable():
                raise _damaged(path, f"a chromosome is named {name[:20]!r}")
            chroms[number] = (name.decode("ascii"), length)
    names = {name for name, _ in chroms.values()}
    if not len(chroms) == len(names) == n_items or sorted(chroms) != list(range(n_items)):
        raise _damaged(path, f"{n_items} chromosomes announced, {len(names)} found")
    return chroms


def _index_leaves(path: Path, data: mmap.mmap, order: str, what: str, offset: int) -> np.ndarray:
    """Walk an R tree; nodes must lie in the file, and children in the range of their parent.

    Returns:
        int64 (blocks, 6): first chromosome, start, last chromosome, end, byte offset and size.
    """
    size = len(data)
    if offset + 48 > size:
        raise _truncated(path, what, offset + 48, size)
    magic, _, n_items = struct.unpack_from(f"{order}IIQ", data, offset)
    if magic != _INDEX_MAGIC:
        raise _damaged(path, f"{what} is not at byte {offset}")
    leaf = np.dtype([("place", f"{order}u4", 4), ("offset", f"{order}u8"), ("size", f"{order}u8")])
    branch = np.dtype([("place", f"{order}u4", 4), ("offset", f"{order}u8")])
    everything = (0, (1 << 64) - 1)
    waiting = [(offset + 48, everything)] if n_items else []
    leaves, seen = [np.zeros((0, 6), dtype=np.int64)], set()
    while waiting:
        node, (low, high) = waiting.pop()
        if node + _NODE_BYTES > size:
            raise _truncated(path, what, node + _NODE_BYTES, size)
        if node in seen:
            raise _damaged(path, f"{what} leads twice to byte {node}")
        seen.add(node)
        is_leaf, _, count = struct.unpack_from(f"{order}BBH", data, node)
        kind = leaf if is_leaf else branch
        end = node + _NODE_BYTES + count * kind.itemsize
        if end > size:
            raise _truncated(path, what, end, size)
        if not count:
            continue
        items = np.frombuffer(data[node + _NODE_BYTES : end], dtype=kind)
        place = items["place"].astype(np.uint64)
        first = (place[:, 0] << np.uint64(32)) | place[:, 1]
        last = (place[:, 2] << np.uint64(32)) | place[:, 3]
        if (first > last).any() or int(first.min()) < low or int(last.max()) > high:
            raise _damaged(path, f"{what} has entries out of place at byte {node}")
        if not is_leaf:
            ranges = zip(first.tolist(), last.tolist(), strict=True)
            waiting.extend(zip(items["offset"].tolist(), ranges, strict=True))
            continue
        ends = items["offset"].astype(object) + items["size"].astype(object)
        if max(ends) > size:
            raise _truncated(path, "a data block", max(ends), size)
        rows = [place.astype(np.int64), items["offset"][:, None], items["size"][:, None]]
        leaves.append(np.concatenate([part.astype(np.int64) for part in rows], axis=1))
    found = np.concatenate(leaves)
    if len(found) != n_items:
        raise _damaged(path, f"{what} announces {n_items} blocks and has {len(found)}")
    return found


def _verify_blocks(parts: _Parts) -> Summary:
    covered, total, minimum, maximum, n_nan = 0, 0.0, np.inf, -np.inf, 0
    for row in parts.blocks.tolist():
        starts, ends, values = _block(parts, row)
        usable = ~np.isnan(values)
        spans = (ends - starts)[usable]
        n_nan += int((ends - starts)[~usable].sum())
        known = values[usable].astype(np.float64)
        if not len(known):
            continue
        covered += int(spans.sum())
        total += float((known * spans).sum())
        minimum, maximum = min(minimum, float(known.min())), max(maximum, float(known.max()))
    found = Summary(covered, minimum, maximum, total) if covered else Summary(0, 0.0, 0.0, 0.0)
    if parts.totals is not None:
        _compare_totals(parts.path, parts.totals, found, n_nan)
    return found


def _compare_totals(path: Path, said: Summary, found: Summary, n_nan: int) -> None:
    """Entries of NaN are bases without a value; some writers count them, and sum them to NaN."""
    largest = max(abs(found.minimum), abs(found.maximum)) * max(found.covered, 1)
    allowed = _TOTALS_TOLERANCE * (abs(found.total) + 1e-6 * largest)
    same_sum = abs(said.total - found.total) <= allowed or not np.isfinite(found.total)
    same_sum = same_sum or (n_nan > 0 and not np.isfinite(said.total))
    low, high = found.covered, found.covered + n_nan
    rounding = _TOTALS_TOLERANCE * found.covered
    if not low - rounding <= said.covered <= high + rounding or not same_sum:
        raise _damaged(
            path,
            f"it says that {said.covered} bases have values with the sum {said.total:g}, its data "
            f"are {found.covered} bases with the sum {found.total:g}",
        )


def _block(parts: _Parts, row: list[int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Starts, ends (int64) and values (float32) of a data block, checked against the index."""
    path, order = parts.path, parts.order
    chrom, low, last_chrom, high, offset, size = row
    where = f"the data block at byte {offset}"
    block = parts.data[offset : offset + size]
    if parts.unpacked_bytes:
        try:
            unpacker = zlib.decompressobj()
            block = unpacker.decompress(block, parts.unpacked_bytes)
            whole = unpacker.eof and not unpacker.unconsumed_tail
        except zlib.error as error:
            raise _damaged(path, f"{where} can't be unpacked ({error})") from None
        if not whole:
            raise _damaged(path, f"{where} doesn't unpack to at most {parts.unpacked_bytes} bytes")
    if len(block) < _BLOCK_HEADER:
        raise _damaged(path, f"{where} has {len(block)} bytes")
    own, start, _, step, span, kind, _, count = struct.unpack_from(f"{order}IIIIIBBH", block)
    width = _RECORD_BYTES.get(kind)
    if width is None or len(block) < _BLOCK_HEADER + count * width:
        raise _damaged(path, f"{where} has no records of a known kind")
    if own != chrom or own != last_chrom or own not in parts.chroms:
        raise _damaged(path, f"{where} belongs to another chromosome than the index says")
    words = np.frombuffer(block, f"{order}u4", count * width // 4, _BLOCK_HEADER)
    values = words.view(f"{order}f4").reshape(count, -1)[:, -1]
    if kind == 3:
        starts = start + step * np.arange(count, dtype=np.int64)
    else:
        starts = words.reshape(count, -1)[:, 0].astype(np.int64)
    ends = words.reshape(count, -1)[:, 1].astype(np.int64) if kind == 1 else starts + span
    name, length = parts.chroms[own]
    if count and not (
        (starts < ends).all() and low <= starts.min() and ends.max() <= min(high, length)
    ):
        raise _damaged(
            path,
            f"{where} has records outside {name}:{low}-{high}, the place that the index gives"
            f" ({name} has {length} bases)",
        )
    return starts, ends, values
