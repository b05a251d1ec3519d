"""Genes from an annotation: transcripts of a GTF, one per gene, its TSS and its mRNA features.

The eight features are those of the paper (section on gene features), defined on the chosen
transcript: lengths of 5' UTR, coding sequence, introns and 3' UTR as ``log10(length + 0.1)``, GC
content of 5' UTR, coding sequence and 3' UTR, and junctions within the coding sequence per 1,000 of
its bases. The coding sequence holds the stop codon, which a GTF lists apart from its CDS lines.

A GTF counts from 1 and includes the end; here everything is 0-based half-open. ``tss`` follows BED
bounds as in every gene table: the transcript's start on ``+``, its end on ``-``.
"""

from __future__ import annotations

import gzip
import logging
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import pandas as pd
import pysam

from prismflow.data.counts import Count
from prismflow.data.genome import Genome
from prismflow.errors import InputError

logger = logging.getLogger(__name__)

LENGTHS = ("utr5_length", "cds_length", "intron_length", "utr3_length")
CONTENTS = ("utr5_gc", "cds_gc", "utr3_gc")
FEATURES = (*LENGTHS, *CONTENTS, "orf_exon_density")
"""In the order in which models see them."""

CANONICAL_TAGS = ("Ensembl_canonical", "MANE_Select")
TSS_RULES = ("canonical", "most_5prime")
_PARTS = {"exon": "exons", "CDS": "coding", "stop_codon": "coding"}
_TAG = re.compile(r'tag "([^"]+)"')
_VERSION = re.compile(r"\.\d+$")
_GC, _AT = frozenset("GC"), frozenset("AT")

Interval = tuple[int, int]


@dataclass
class Transcript:
    """One transcript; intervals are 0-based half-open and sorted.

    Attributes:
        gene_id: without its version.
        kind: biotype of the gene.
        exons: of the transcript.
        coding: bases of the coding sequence with the stop codon, exon by exon; may be empty.
    """

    gene_id: str
    name: str
    kind: str
    transcript_id: str
    chrom: str
    strand: str
    start: int
    end: int
    tags: frozenset[str]
    exons: list[Interval] = field(default_factory=list)
    coding: list[Interval] = field(default_factory=list)

    @property
    def tss(self) -> int:
        """BED bound at the 5' end."""
        return self.start if self.strand == "+" else self.end

    @property
    def coding_length(self) -> int:
        """Bases of the coding sequence."""
        return _length(self.coding)

    def untranslated(self) -> tuple[list[Interval], list[Interval]]:
        """Exon bases before and after the coding sequence, in the direction of transcription."""
        if not self.coding:
            return [], []
        first, last = self.coding[0][0], self.coding[-1][1]
        left = [(start, min(end, first)) for start, end in self.exons if start < first]
        right = [(max(start, last), end) for start, end in self.exons if end > last]
        return (left, right) if self.strand == "+" else (right, left)


def without_version(identifier: str) -> str:
    """``ENSG00000282458.1`` -> ``ENSG00000282458``; the mark of a PAR copy stays."""
    if identifier.endswith("_PAR_Y"):
        return f"{_VERSION.sub('', identifier.removesuffix('_PAR_Y'))}_PAR_Y"
    return _VERSION.sub("", identifier)


def read_transcripts(path: str | Path, count: Count | None = None) -> list[Transcript]:
    """Transcripts of a GENCODE or Ensembl GTF, plain or gzip, whatever the file's name says.

    Args:
        path: the annotation.
        count: is given the lines (comments apart) and those that no transcript is made of.

    Returns:
        All of them, of every type of gene, in the order of the file. Where an identifier stands
        twice, the later transcript counts.

    Raises:
        InputError: no GTF, a damaged file, or no transcript in it.
    """
    path = Path(path)
    found: dict[str, Transcript] = {}
    features: Counter[str] = Counter()
    early: dict[str, list[tuple[str, Interval]]] = {}
    replaced = 0
    for line in _lines(path):
        features[line.feature] += 1
        if line.feature == "transcript":
            name = _identifier(line.attributes, "transcript_id")
            replaced += _n_lines(found[name]) if name in found else 0
            found[name] = _transcript(line, path)
        elif line.feature in _PARTS:
            name = _identifier(line.attributes, "transcript_id")
            owner, place = found.get(name), (line.start, line.end)
            if owner is None:
                early.setdefault(name, []).append((_PARTS[line.feature], place))
            else:
                getattr(owner, _PARTS[line.feature]).append(place)
    if not found:
        raise InputError(
            f"{path}: expected lines of feature 'transcript', found "
            f"{', '.join(f'{n} of {feature}' for feature, n in features.most_common(5)) or 'none'}"
            "; give a GTF of GENCODE or Ensembl."
        )
    # In a file that was sorted by position an exon may stand above its transcript.
    for name in early.keys() & found.keys():
        for part, place in early.pop(name):
            getattr(found[name], part).append(place)
    count = count if count is not None else Count("lines")
    count.n_read += features.total()
    for feature in features.keys() - {"transcript", *_PARTS}:
        count.skip(f"of feature {feature}", features[feature])
    count.skip("of an exon or coding sequence without its transcript",
               sum(map(len, early.values())))  # fmt: skip
    count.skip("of a transcript whose identifier stands again", replaced)
    count.plain(sum(map(_n_lines, found.values())))
    for transcript in found.values():
        transcript.exons.sort()
        transcript.coding = _joined(transcript.coding)
    return list(found.values())


def _n_lines(transcript: Transcript) -> int:
    """Lines of the file that a transcript is made of, before intervals are joined."""
    return 1 + len(transcript.exons) + len(transcript.coding)


def of_kinds(
    transcripts: Iterable[Transcript], kinds: Iterable[str]
) -> tuple[list[Transcript], Counter[str]]:
    """Transcripts of genes of these biotypes but PAR copies on Y, and the others by reason.

    Raises:
        InputError: there is none.
    """
    wanted = frozenset(kinds)
    kept, skipped = [], Counter[str]()
    for transcript in transcripts:
        if transcript.kind not in wanted:
            skipped[f"transcripts of {transcript.kind or 'no biotype'}"] += 1
        elif transcript.gene_id.endswith("_PAR_Y"):
            skipped["transcripts of PAR copies on Y"] += 1
        else:
            kept.append(transcript)
    if not kept:
        raise InputError(
            f"expected transcripts of genes of type {', '.join(sorted(wanted))}, found "
            f"{', '.join(f'{n} {what}' for what, n in skipped.most_common(5)) or 'none'}; name "
            "other types."
        )
    return kept, skipped


def _lines(path: Path) -> Iterator[pysam.libctabixproxies.GTFProxy]:
    if not path.is_file():
        raise InputError(f"{path}: expected a GTF, found no such file.")
    with _opened(path) as file:
        number = 0
        try:
            for line in pysam.tabix_iterator(cast(Any, file), pysam.asGTF()):
                number += 1
                yield line
        except (ValueError, KeyError, UnicodeDecodeError) as error:
            raise InputError(
                f"{path}: expected a GTF (nine columns, tab-separated), found something else after "
                f"{number} lines ({error}); give the annotation as GENCODE or Ensembl publish it."
            ) from None
        except (OSError, EOFError, zlib.error) as error:
            raise InputError(
                f"{path}: expected a whole gzip file, found a damaged one after {number} lines "
                f"({error}); copy or download it again."
            ) from None


def _opened(path: Path) -> IO[bytes]:
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    return gzip.open(path, "rb") if packed else path.open("rb")  # type: ignore[return-value]  # reads bytes


def _identifier(attributes: str, key: str) -> str:
    """An attribute's value as written; empty if absent."""
    at = attributes.find(f'{key} "')
    if at < 0:
        return ""
    start = at + len(key) + 2
    return attributes[start : attributes.find('"', start)]


def _transcript(line: pysam.libctabixproxies.GTFProxy, path: Path) -> Transcript:
    attributes = line.attributes
    gene, transcript = (_identifier(attributes, key) for key in ("gene_id", "transcript_id"))
    if not gene or not transcript:
        raise InputError(
            f"{path}: expected gene_id and transcript_id for every transcript, found "
            f"{attributes[:80]!r} at {line.contig}:{line.start + 1}; give a GTF, not a GFF3."
        )
    kind = _identifier(attributes, "gene_type") or _identifier(attributes, "gene_biotype")
    return Transcript(
        without_version(gene), _identifier(attributes, "gene_name"), kind,
        without_version(transcript), line.contig, line.strand, line.start, line.end,
        frozenset(_TAG.findall(attributes)),
    )  # fmt: skip


def _joined(parts: list[Interval]) -> list[Interval]:
    """Sorted intervals; those that touch are one (a stop codon continues its exon's CDS)."""
    result: list[Interval] = []
    for start, end in sorted(parts):
        if result and start <= result[-1][1]:
            result[-1] = (result[-1][0], max(end, result[-1][1]))
        else:
            result.append((start, end))
    return result


def _length(parts: Iterable[Interval]) -> int:
    return sum(end - start for start, end in parts)


def choose(transcripts: Iterable[Transcript], rule: str) -> tuple[list[Transcript], Counter[str]]:
    """One transcript per gene.

    Args:
        transcripts: of any genes.
        rule: ``canonical``: the one tagged Ensembl_canonical, else MANE_Select, else (counted) as
            by the other rule; ``most_5prime``: the one that starts furthest 5' among those with a
            whole coding sequence, the longest coding sequence first where they tie.

    Returns:
        Chosen transcripts in the order of their genes, and counts by reason.

    Raises:
        InputError: an unknown rule, or no transcript has a tag of the rule ``canonical``.
    """
    if rule not in TSS_RULES:
        raise InputError(f"expected a TSS rule of {', '.join(TSS_RULES)}, found {rule!r}.")
    genes: dict[str, list[Transcript]] = {}
    for transcript in transcripts:
        genes.setdefault(transcript.gene_id, []).append(transcript)
    counts: Counter[str] = Counter()
    chosen = []
    for candidates in genes.values():
        tagged = [t for tag in CANONICAL_TAGS for t in candidates if tag in t.tags]
        if rule == "canonical" and tagged:
            chosen.append(tagged[0])
            continue
        counts["genes without a canonical transcript"] += rule == "canonical"
        chosen.append(min(candidates, key=_preference))
    if rule == "canonical" and counts["genes without a canonical transcript"] == len(genes):
        raise InputError(
            f"expected transcripts with the tag {' or '.join(CANONICAL_TAGS)}, found none in "
            f"{len(genes):,} genes (older annotations lack both); take the rule most_5prime."
        )
    return chosen, +counts


def _preference(transcript: Transcript) -> tuple[bool, bool, int, int, str]:
    cut = bool(transcript.tags & {"cds_start_NF", "cds_end_NF", "mRNA_start_NF", "mRNA_end_NF"})
    upstream = transcript.tss if transcript.strand == "+" else -transcript.tss
    coding = transcript.coding_length
    return not coding, cut, upstream, -coding, transcript.transcript_id


def mrna_features(transcript: Transcript, bases: Callable[[int, int], str]) -> dict[str, float]:
    """The eight features of a transcript; NaN where there is nothing to count in.

    Args:
        transcript: with its exons and its coding sequence.
        bases: upper-case bases of ``[start, end)`` on the transcript's chromosome.
    """
    before, after = transcript.untranslated()
    parts = {"utr5": before, "cds": transcript.coding, "utr3": after}
    coding = transcript.coding_length
    if not coding:
        return dict.fromkeys(FEATURES, float("nan"))
    introns = transcript.end - transcript.start - _length(transcript.exons)
    lengths = {name: _length(part) for name, part in parts.items()} | {"intron": introns}
    values = {f"{name}_length": float(np.log10(n + 0.1)) for name, n in lengths.items()}
    values |= {f"{name}_gc": _gc(part, bases) for name, part in parts.items()}
    values["orf_exon_density"] = 1000.0 * (len(transcript.coding) - 1) / coding
    return {name: values[name] for name in FEATURES}


def _gc(parts: Iterable[Interval], bases: Callable[[int, int], str]) -> float:
    counts: Counter[str] = Counter()
    for start, end in parts:
        counts.update(bases(start, end))
    strong, weak = sum(counts[b] for b in _GC), sum(counts[b] for b in _AT)
    return strong / (strong + weak) if strong + weak else float("nan")


def gene_rows(
    chosen: Iterable[Transcript], fasta: str | Path, aliases: Mapping[str, str] | None = None
) -> tuple[pd.DataFrame, Counter[str]]:
    """The gene table's rows: gene_id, symbol, chrom, tss, strand, transcript_id, features.

    Args:
        chosen: one transcript per gene.
        fasta: reference genome, whose chromosome names the rows take.
        aliases: name in the GTF -> name in the FASTA, where they differ.

    Returns:
        The rows, and counts of genes passed over: on sequences that the FASTA lacks.

    Raises:
        InputError: no gene lies on a chromosome of the FASTA, or a gene ends beyond its own.
    """
    aliases = aliases or {}
    skipped: Counter[str] = Counter()
    rows = []
    with Genome(fasta) as genome:
        for transcript in chosen:
            chrom = aliases.get(transcript.chrom, transcript.chrom)
            if chrom not in genome.lengths:
                skipped[f"genes on {transcript.chrom}, which the FASTA lacks"] += 1
                continue
            if transcript.end > genome.lengths[chrom]:
                raise InputError(
                    f"{fasta}: expected {transcript.transcript_id} to lie within {chrom} of "
                    f"{genome.lengths[chrom]:,} bases, found its end at {transcript.end:,}; the "
                    "annotation is of another assembly, take the FASTA that it was made for."
                )

            def bases(start: int, end: int, chrom: str = chrom) -> str:
                return "".join("ACGTN"[code] for code in genome.codes(chrom, start, end))

            rows.append(
                {"gene_id": transcript.gene_id, "symbol": transcript.name, "chrom": chrom,
                 "tss": transcript.tss, "strand": transcript.strand,
                 "transcript_id": transcript.transcript_id, **mrna_features(transcript, bases)}
            )  # fmt: skip
        if not rows:
            raise InputError(
                f"{fasta}: expected chromosomes that the annotation names, found "
                f"{', '.join(list(genome.lengths)[:5])}; the annotation has "
                f"{', '.join(list(dict.fromkeys(t.chrom for t in chosen))[:5])}: give --alias."
            )
    return pd.DataFrame(rows), skipped


def standardise(
    genes: pd.DataFrame, training: pd.Series
) -> tuple[pd.DataFrame, dict[str, tuple[float, float]]]:
    """Lengths as z-scores over some of the genes: those that train, or all as published.

    Args:
        genes: rows of :func:`gene_rows`.
        training: which rows count, bool (N,).

    Returns:
        The rows, and mean and sd of each logarithm.

    Raises:
        InputError: fewer than two training genes.
    """
    if int(training.sum()) < 2:
        raise InputError(
            f"expected at least two training genes to standardise lengths over, found "
            f"{int(training.sum())}; name fewer held-out chromosomes."
        )
    scaled, scale = genes.copy(), {}
    for name in LENGTHS:
        own = genes.loc[training, name]
        spread = float(own.std(ddof=0))
        scale[name] = (float(own.mean()), spread if spread > 0 else 1.0)
        scaled[name] = (genes[name] - scale[name][0]) / scale[name][1]
    return scaled, scale
