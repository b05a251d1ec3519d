"""Reference genome: base codes of a FASTA, chromosome sizes, chromosome names.

Coordinates are 0-based half-open. Base codes are A 0, C 1, G 2, T 3 and 4 for every other letter
and for positions outside the chromosome; lower case (soft mask) is read as upper case.
"""

from __future__ import annotations

import contextlib
import logging
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pysam

from prismflow.data.chromosomes import _some
from prismflow.data.fasta_index import fasta_index
from prismflow.errors import InputError
from prismflow.files import write_tsv

logger = logging.getLogger(__name__)

UNKNOWN = 4
_IUPAC = 5
_ILLEGAL = 6
_BLOCK_BP = 1 << 24
_PIECES = 8
_BGZIP_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")


def _lookup_table() -> bytes:
    table = bytearray([_ILLEGAL] * 256)
    for letters, code in (("ACGT", None), ("N", UNKNOWN), ("RYSWKMBDHV", _IUPAC)):
        for position, letter in enumerate(letters):
            value = position if code is None else code
            table[ord(letter)] = table[ord(letter.lower())] = value
    return bytes(table)


_TABLE = _lookup_table()


class Genome:
    """Random access to the bases of a plain or bgzip-compressed FASTA.

    An index beside the FASTA or in ``index_dir`` is used when it is not older than the FASTA and
    describes its content; otherwise one is made in ``index_dir`` (default: a temporary folder), so
    the FASTA's folder may be read-only.

    Attributes:
        path: the FASTA.
        lengths: chromosome -> length in bases, in the order of the file.
        ambiguous: chromosome -> number of IUPAC letters other than N that were read as unknown,
            for the chromosomes that were read completely.
    """

    def __init__(self, path: str | Path, index_dir: str | Path | None = None) -> None:
        """Open a FASTA.

        Raises:
            InputError: absent or empty file, not a FASTA, gzip instead of bgzip, truncated bgzip.
        """
        self.path = Path(path)
        compressed = _check_fasta(self.path)
        with contextlib.ExitStack() as stack:
            if index_dir is None:
                index_dir = stack.enter_context(tempfile.TemporaryDirectory())
            index, block_index = fasta_index(self.path, compressed, Path(index_dir))
            self._file = pysam.FastaFile(
                str(self.path), filepath_index=index, filepath_index_compressed=block_index
            )
        self.lengths: dict[str, int] = dict(
            zip(self._file.references, self._file.lengths, strict=True)
        )
        self.ambiguous: dict[str, int] = {}
        self._cached: tuple[str, np.ndarray] | None = None

    def __enter__(self) -> Genome:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file and forget the cached chromosome."""
        self._file.close()
        self._cached = None

    def length(self, chrom: str) -> int:
        """Length of a chromosome.

        Raises:
            InputError: the FASTA has no such chromosome.
        """
        if chrom not in self.lengths:
            raise InputError(
                f"{self.path}: no chromosome {chrom!r}; the FASTA has {_some(self.lengths)}."
            )
        return self.lengths[chrom]

    def codes(self, chrom: str, start: int, end: int) -> np.ndarray:
        """Base codes uint8 (end - start,) of ``[start, end)``; 4 outside the chromosome.

        Raises:
            InputError: no such chromosome, or a character that is no nucleotide code.
        """
        length = self.length(chrom)
        result = np.full(max(end - start, 0), UNKNOWN, dtype=np.uint8)
        first, last = max(start, 0), min(end, length)
        if first < last:
            if self._cached is not None and self._cached[0] == chrom:
                inside = self._cached[1][first:last]
            else:
                inside, _ = self._read(chrom, first, last)
            result[first - start : last - start] = inside
        return result

    def prepare(self, chrom: str, n_bases: int) -> None:
        """Keep a chromosome in memory if ``n_bases`` of it, in pieces, are going to be read.

        Few windows are cheaper to read one by one than with all the bases between them.
        """
        if n_bases > self.length(chrom) // _PIECES:
            self.chromosome(chrom)

    def chromosome(self, chrom: str) -> np.ndarray:
        """Base codes uint8 (length,) of a whole chromosome (read-only; the last one is kept).

        Raises:
            InputError: no such chromosome, or a character that is no nucleotide code.
        """
        if self._cached is None or self._cached[0] != chrom:
            self._cached = None
            length = self.length(chrom)
            result = np.empty(length, dtype=np.uint8)
            ambiguous = 0
            for start in range(0, length, _BLOCK_BP):
                end = min(start + _BLOCK_BP, length)
                result[start:end], count = self._read(chrom, start, end)
                ambiguous += count
            result.setflags(write=False)
            if ambiguous:
                logger.info(
                    "%s: %s has %d IUPAC letters, read as unknown", self.path, chrom, ambiguous
                )
            self.ambiguous[chrom] = ambiguous
            self._cached = (chrom, result)
        return self._cached[1]

    def _read(self, chrom: str, start: int, end: int) -> tuple[np.ndarray, int]:
        try:
            text = self._file.fetch(chrom, start, end).encode("latin-1")
        except (ValueError, OSError) as error:
            raise InputError(
                f"{self.path}: {chrom}:{start}-{end} can't be read ({error}); the file is "
                "truncated or the index belongs to another file (delete the .fai and .gzi)."
            ) from None
        codes = np.frombuffer(text.translate(_TABLE), dtype=np.uint8)
        if len(codes) != end - start:
            raise InputError(
                f"{self.path}: {chrom}:{start}-{end} should have {end - start} bases by its index, "
                f"found {len(codes)}; the file is truncated or the index belongs to another file "
                "(delete the .fai and .gzi)."
            )
        highest = codes.max(initial=0)
        if highest >= _ILLEGAL:
            position = int(np.argmax(codes == _ILLEGAL))
            raise InputError(
                f"{self.path}: {chrom} has the character {chr(text[position])!r} at base "
                f"{start + position} (0-based), which is no nucleotide code."
            )
        ambiguous = 0
        if highest == _IUPAC:
            ambiguous = int(np.count_nonzero(codes == _IUPAC))
            codes = np.minimum(codes, UNKNOWN)
        return codes, ambiguous


def _check_fasta(path: Path) -> bool:
    """Refuse what is no FASTA; return whether it is bgzip-compressed."""
    if not path.is_file():
        raise InputError(f"{path}: expected a FASTA, found no such file.")
    size = path.stat().st_size
    with open(path, "rb") as stream:
        head = stream.read(4096)
        stream.seek(max(size - len(_BGZIP_END), 0))
        tail = stream.read()
    if not head.strip():
        raise InputError(f"{path}: expected a FASTA, found an empty file.")
    if head[:2] == b"\x1f\x8b":
        if not (head[3:4] == b"\x04" and head[12:14] == b"BC"):
            raise InputError(
                f"{path}: expected a plain or bgzip-compressed FASTA, found ordinary gzip; "
                f"repack it with 'gunzip -c {path.name} | bgzip > new.fa.gz'."
            )
        if tail != _BGZIP_END:
            raise InputError(
                f"{path}: the bgzip end-of-file block is absent, so the file is truncated; "
                "copy or download it again."
            )
        return True
    if head.lstrip()[:1] != b">" or b"\0" in tail:
        found = f"{head.lstrip()[:20]!r}" if b"\0" not in tail else "zero bytes at its end"
        raise InputError(f"{path}: expected a FASTA, text that starts with '>', found {found}.")
    return False


def unknown_runs(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Starts and ends (0-based half-open) of the runs of unknown bases in base codes."""
    unknown = codes == UNKNOWN
    edges = np.flatnonzero(unknown[1:] != unknown[:-1]) + 1
    if unknown.size and unknown[0]:
        edges = np.concatenate([[0], edges])
    if unknown.size and unknown[-1]:
        edges = np.concatenate([edges, [unknown.size]])
    return edges[0::2], edges[1::2]


def index_genome(
    fasta: str | Path, sizes_path: str | Path, index_dir: str | Path | None = None
) -> dict[str, int]:
    """Write chromosome names and lengths of a FASTA as TSV (columns chrom, length).

    With ``index_dir`` an index is kept there (made if need be), where none stands beside the FASTA.

    Raises:
        InputError: see :class:`Genome`.
    """
    if index_dir is not None:
        Path(index_dir).mkdir(parents=True, exist_ok=True)
    with Genome(fasta, index_dir) as genome:
        lengths = genome.lengths
    table = pd.DataFrame({"chrom": list(lengths), "length": list(lengths.values())})
    write_tsv(table, sizes_path)
    return lengths


def read_chrom_sizes(path: str | Path, aliases: Mapping[str, str] | None = None) -> dict[str, int]:
    """Chromosome lengths from a TSV with or without the header ``chrom length``.

    With ``aliases`` (name in a file -> name used here) by the names used here.

    Raises:
        InputError: absent or empty file, or a line that is not a name and a positive number.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: expected chromosome sizes, found no such file.")
    sizes: dict[str, int] = {}
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        fields = line.split("\t")
        if number == 1 and fields[:2] == ["chrom", "length"]:
            continue
        if len(fields) < 2 or not fields[1].isdigit() or int(fields[1]) == 0:
            raise InputError(
                f"{path} line {number}: expected a chromosome and its length, found {line!r}."
            )
        sizes[(aliases or {}).get(fields[0], fields[0])] = int(fields[1])
    if not sizes:
        raise InputError(f"{path}: expected chromosome sizes, found none.")
    return sizes
