"""Variants of a VCF (plain, gz, several alleles in a line), checked against the genome."""

from __future__ import annotations

import contextlib
import gzip
import re
import shutil
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pysam

from prismflow.data.chromosomes import match_chromosomes
from prismflow.data.genome import Genome
from prismflow.errors import InputError

CODES = {base: code for code, base in enumerate("ACGTN")}
_PLAIN = re.compile(r"[ACGTNacgtn]+")
#: Lengths that tell assemblies apart.
ASSEMBLIES: dict[str, dict[str, int]] = {
    "hg19 (GRCh37)": {
        "chr1": 249250621, "chr2": 243199373, "chr19": 59128983, "chr22": 51304566,
        "chrX": 155270560,
    },
    "hg38 (GRCh38)": {
        "chr1": 248956422, "chr2": 242193529, "chr19": 58617616, "chr22": 50818468,
        "chrX": 156040895,
    },
    "mm10 (GRCm38)": {"chr1": 195471971, "chr19": 61431566, "chrX": 171031299},
    "mm39 (GRCm39)": {"chr1": 195154279, "chr19": 61420004, "chrX": 169476592},
}  # fmt: skip


@dataclass(frozen=True)
class Allele:
    """One alternative allele.

    Attributes:
        chrom: as the genome has it.
        pos: 1-based, as the VCF has it.
        id: of the variant, ``.`` for none.
        ref, alt: as the VCF has them.
        start, end: what is replaced, 0-based half-open, without common ends.
        inserted: what stands there instead; empty for a deletion. None where ``alt`` is no
            sequence (a symbol, a break end).
    """

    chrom: str
    pos: int
    id: str
    ref: str
    alt: str
    start: int
    end: int
    inserted: str | None


def read_alleles(
    path: str | Path, genome: Genome, aliases: Mapping[str, str] | None = None
) -> list[Allele]:
    """All alternative alleles on chromosomes of the genome, in the order of the file.

    Args:
        aliases: name in a file -> name in the genome.

    Raises:
        InputError: no VCF, damaged, without a variant, no chromosome in common with the genome, a
            variant beyond its chromosome.
    """
    path = Path(path)
    records = list(_records(path))
    if not records:
        raise InputError(
            f"{path}: expected variants below the header of a VCF, found none; give a VCF with at "
            "least one."
        )
    counts = pd.Series([record[0] for record in records]).value_counts(sort=False).to_dict()
    renamed = {name: (aliases or {}).get(name, name) for name in counts}
    known = match_chromosomes(
        path, {renamed[n]: c for n, c in counts.items()}, genome.path, genome.lengths, None,
        absent="missing",
    )  # fmt: skip
    found = []
    for name, pos, identifier, ref, alts in records:
        chrom = renamed[name]
        if chrom not in known:
            continue
        if pos < 1 or pos - 1 + len(ref) > genome.lengths[chrom]:
            raise InputError(
                f"{path}: the variant {name}:{pos} lies beyond {chrom}, which has "
                f"{genome.lengths[chrom]} bases in {genome.path}; {_likely(path, genome)}."
            )
        found += [_allele(chrom, pos, identifier, ref, alt) for alt in alts]
    return found


def check_reference(path: str | Path, alleles: list[Allele], genome: Genome) -> None:
    """Compare the REF bases of alleles with the genome.

    Raises:
        InputError: one differs; both bases and the likely assembly are named.
    """
    wrong: list[tuple[Allele, str]] = []
    for allele in alleles:
        start = allele.pos - 1
        codes = genome.codes(allele.chrom, start, start + len(allele.ref))
        there = "".join("ACGTN"[code] for code in codes)
        ref = allele.ref.upper()
        if any(a != b and "N" not in (a, b) for a, b in zip(there, ref, strict=True)):
            wrong.append((allele, there))
    if wrong:
        allele, there = wrong[0]
        raise InputError(
            f"{path}: the variant {allele.chrom}:{allele.pos} has REF {allele.ref}, but "
            f"{genome.path} has {there} there ({len(wrong)} of {len(alleles)} alleles in windows "
            f"differ); {_likely(path, genome)}."
        )


def _records(path: Path) -> Iterator[tuple[str, int, str, str, tuple[str, ...]]]:
    if not path.is_file():
        raise InputError(f"{path}: expected a VCF, found no such file.")
    number = 0
    try:
        with _opened(path) as file:
            for record in file:
                alts, number = tuple(record.alts or ()), number + 1
                yield record.chrom, record.pos, record.id or ".", record.ref or "N", alts
    except (ValueError, OSError, EOFError, zlib.error):
        where = f"behind {number} variants" if number else "at its beginning"
        raise InputError(
            f"{path}: expected a VCF (plain or gz), found something else {where}; write it anew "
            "with bcftools."
        ) from None


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[pysam.VariantFile]:
    """The opened VCF; one of plain gzip, which the library can't read, is unpacked aside."""
    # The library's own words would stand on standard error beside the sentence.
    said = pysam.set_verbosity(0)
    try:
        with contextlib.ExitStack() as stack:
            with open(path, "rb") as stream:
                head = stream.read(18)
            if head[:2] == b"\x1f\x8b" and head[12:14] != b"BC":
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
                with gzip.open(path) as packed, open(folder / "plain.vcf", "wb") as plain:
                    shutil.copyfileobj(packed, plain)
                path = folder / "plain.vcf"
            yield stack.enter_context(pysam.VariantFile(str(path)))
    finally:
        pysam.set_verbosity(said)


def _allele(chrom: str, pos: int, identifier: str, ref: str, alt: str) -> Allele:
    start, end = pos - 1, pos - 1 + len(ref)
    if not _PLAIN.fullmatch(alt) or not _PLAIN.fullmatch(ref):
        return Allele(chrom, pos, identifier, ref, alt, start, end, None)
    old, new = ref.upper(), alt.upper()
    while old and new and old[-1] == new[-1]:
        old, new, end = old[:-1], new[:-1], end - 1
    while old and new and old[0] == new[0]:
        old, new, start = old[1:], new[1:], start + 1
    return Allele(chrom, pos, identifier, ref, alt, start, end, new)


def _likely(path: Path | str, genome: Genome) -> str:
    """Which assembly a VCF is likely of, and what to do."""
    with _opened(Path(path)) as file:
        lengths = {str(n): c.length for n, c in file.header.contigs.items() if c.length}
        lines = [f"{r.key}={r.value}" for r in file.header.records if r.key in _NAMING]
    own = assembly_of(genome.lengths)
    theirs = assembly_of(lengths)
    advice = "use the genome that the variants were called on, or lift them over"
    if theirs and theirs != own:
        return f"by the lengths in its header the VCF is of {theirs}" + (
            f", the genome is {own}: {advice}" if own else f": {advice}"
        )
    differing = [n for n, length in lengths.items() if genome.lengths.get(n, length) != length]
    if differing:
        name = differing[0]
        return (
            f"its header gives {name} {lengths[name]} bases, the genome has "
            f"{genome.lengths[name]}, so the VCF is of another assembly: {advice}"
        )
    named = f" (its header says {lines[0]})" if lines else ""
    other = f"another assembly than {own}" if own else "another assembly"
    return f"the VCF is likely of {other}{named}: {advice}"


_NAMING = ("reference", "assembly")


def assembly_of(lengths: Mapping[str, int]) -> str | None:
    """The assembly that has these lengths, by names with or without ``chr``; None if unknown."""
    plain = {name if name.startswith("chr") else f"chr{name}": n for name, n in lengths.items()}
    for assembly, known in ASSEMBLIES.items():
        shared = [name for name in known if name in plain]
        if shared and all(plain[name] == known[name] for name in shared):
            return assembly
    return None


def codes_of(text: str) -> np.ndarray:
    """Base codes uint8 of letters."""
    return np.array([CODES[letter] for letter in text.upper()], np.uint8)
