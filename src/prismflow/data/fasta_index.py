"""An index of a FASTA that belongs to it: its content decides, dates and names are no proof.

An index left from another file (wrapped otherwise, other words in its headers) shifts every window
by a few bases, which no length and no name shows.
"""

from __future__ import annotations

import bisect
import logging
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import pysam

from prismflow.errors import InputError

logger = logging.getLogger(__name__)

_HEADER_BYTES = 1 << 12
_LINES = 64
_BLOCK_BYTES = 1 << 16
_GZIP = 31

Reader = Callable[[int, int], bytes]
"""Bytes of the uncompressed FASTA from a position on; fewer at its end."""


def fasta_index(path: Path, compressed: bool, folder: Path) -> tuple[str, str | None]:
    """Index of a FASTA and, of a compressed one, index of its blocks.

    The one beside the FASTA or in ``folder`` is taken if it belongs to it; else one is made in
    ``folder``.

    Raises:
        InputError: the FASTA can't be indexed, or has no or odd names.
    """
    made = path.stat().st_mtime
    for stem in (str(path), str(folder / path.name)):
        index, block_index = f"{stem}.fai", f"{stem}.gzi"
        files = [Path(index)] + ([Path(block_index)] if compressed else [])
        if not all(file.is_file() and file.stat().st_mtime >= made for file in files):
            continue
        if belongs(path, Path(index), Path(block_index) if compressed else None):
            break
        logger.warning("%s: the index %s belongs to another file, not used", path, index)
    else:
        folder.mkdir(parents=True, exist_ok=True)
        logger.info("%s: no current index beside it, indexing", path)
        options = ["--fai-idx", index] + (["--gzi-idx", block_index] if compressed else [])
        try:
            pysam.faidx(str(path), *options)
        except pysam.SamtoolsError:
            found = "found other text or lines of uneven length; download it again or rewrap it."
            sentence = "the FASTA can't be indexed; expected sequences in lines of equal length"
            raise InputError(f"{path}: {sentence}, {found}") from None
    _check_names(path, Path(index))
    return index, block_index if compressed else None


def belongs(path: Path, index: Path, block_index: Path | None) -> bool:
    """Whether an index describes the content of a FASTA.

    Every sequence must begin right behind the header with its name, its lines must end where the
    index says (looked at in 64 places), and behind its last base must follow a header or the end.
    """
    try:
        rows = [line.split("\t") for line in index.read_text(encoding="utf-8").splitlines()]
        with open(path, "rb") as stream:
            if block_index is None:
                read = _plain_reader(stream)
            else:
                read = _block_reader(stream, _blocks(block_index))
            ends = [_end(read, row[0], *map(int, row[1:5])) for row in rows]
            # The last one must be followed by nothing: sequences may have been added.
            return bool(ends) and ends[-1] == b"" and None not in ends
    except (ValueError, TypeError, UnicodeDecodeError, zlib.error, struct.error):
        return False


def _end(read: Reader, name: str, length: int, offset: int, bases: int, width: int) -> bytes | None:
    """What follows a sequence, ``>`` or nothing; None where the entry does not fit."""
    head = read(max(offset - _HEADER_BYTES, 0), min(offset, _HEADER_BYTES))
    header = head[head.rfind(b">") :].rstrip(b"\r\n")
    named = header[:1] == b">" and header[1:].split()[:1] == [name.encode()]
    if not named or b"\n" in header or head[-1:] != b"\n":
        return None
    if length == 0:
        return read(offset, _HEADER_BYTES).lstrip()[:1]
    if not 0 < bases < width:
        return None
    whole, rest = divmod(length - 1, bases)
    end = b"\r\n"[-(width - bases) :]
    for line in {whole * k // _LINES for k in range(_LINES)} if whole else ():
        around = read(offset + line * width + bases - 1, 1 + len(end))
        if around[:1].isspace() or around[1:] != end:
            return None
    last = read(offset + whole * width + rest, _HEADER_BYTES)
    after = last[1:].lstrip()[:1]
    return None if last[:1].isspace() or after not in (b"", b">") else after


def _plain_reader(stream: BinaryIO) -> Reader:
    def read(start: int, size: int) -> bytes:
        stream.seek(start)
        return stream.read(size)

    return read


def _blocks(path: Path) -> list[tuple[int, int]]:
    """Starts of a bgzip's blocks in the compressed and in the uncompressed file."""
    data = path.read_bytes()
    (number,) = struct.unpack_from("<Q", data)
    if len(data) != 8 + 16 * number:
        raise ValueError
    numbers = struct.unpack_from(f"<{2 * number}Q", data, 8)
    return [(0, 0), *zip(numbers[::2], numbers[1::2], strict=True)]


def _block_reader(stream: BinaryIO, blocks: list[tuple[int, int]]) -> Reader:
    starts = [start for _, start in blocks]

    def read(start: int, size: int) -> bytes:
        result = b""
        at = bisect.bisect_right(starts, start) - 1
        skip = start - starts[at]
        while len(result) < size + skip and at < len(blocks):
            stream.seek(blocks[at][0])
            unpacking = zlib.decompressobj(_GZIP)
            block = unpacking.decompress(stream.read(_BLOCK_BYTES))
            at += 1
            if at < len(blocks) and len(block) != starts[at] - starts[at - 1]:
                raise ValueError
            result += block
        return result[skip : skip + size]

    return read


def _check_names(path: Path, index: Path) -> None:
    names = [line.split(b"\t")[0] for line in index.read_bytes().splitlines()]
    if not names:
        raise InputError(f"{path}: expected a FASTA with sequences, found none.")
    if odd := [n for n in names if not (n.isascii() and n.decode("ascii").isprintable())]:
        expected = f"{path}: expected chromosome names of printable ASCII characters"
        advice = "the file seems damaged, copy or download it again."
        raise InputError(f"{expected}, found {odd[0]!r}; {advice}")
    if twice := [n for n in names if names.count(n) > 1]:
        raise InputError(
            f"{path}: expected every sequence once, found {twice[0].decode()!r} "
            f"{names.count(twice[0])} times; remove all but one."
        )
