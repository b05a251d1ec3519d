"""Where genes are, and how their chromosomes are called in another file."""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from prismflow.errors import InputError

ABSENT_POLICIES: tuple[str, ...] = ("error", "missing")


logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Genes:
    """Where the genes are, and how chromosomes are called elsewhere.

    Attributes:
        chroms: chromosome per gene (N,).
        tss: int (N,).
        chrom_lengths: chromosome -> length.
        source: file of the genes, for messages.
        lengths_source: file of the lengths, for messages.
        aliases: name in another file -> name in the gene table.
    """

    chroms: np.ndarray
    tss: np.ndarray
    chrom_lengths: Mapping[str, int]
    source: str = "the gene table"
    lengths_source: str = "the genome"
    aliases: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_table(cls, genes: pd.DataFrame, lengths: Mapping[str, int], **further: Any) -> Genes:
        """From a table with the columns chrom and tss."""
        return cls(
            genes["chrom"].to_numpy(dtype=object),
            genes["tss"].to_numpy(dtype=np.int64),
            lengths,
            **further,
        )

    def counts(self) -> dict[str, int]:
        """Number of genes per chromosome."""
        return {chrom: len(rows) for chrom, rows in by_chromosome(self.chroms)}

    def n_outside(self, chroms: Collection[str]) -> int:
        """Number of genes on other chromosomes than these."""
        return sum(n for chrom, n in self.counts().items() if chrom not in chroms)

    def names_in(
        self, source: str | os.PathLike[str], lengths: Mapping[str, int], absent_chromosomes: str
    ) -> dict[str, str]:
        """Names of the genes' chromosomes in another file, whose lengths must agree.

        Raises:
            InputError: see :func:`match_chromosomes` and :func:`check_lengths`.
        """
        if absent_chromosomes not in ABSENT_POLICIES:
            raise InputError(
                f"{source}: absent_chromosomes {absent_chromosomes!r} is not known; known: "
                f"{', '.join(ABSENT_POLICIES)}."
            )
        names = match_chromosomes(
            self.source, self.counts(), source, lengths, self.aliases, absent_chromosomes
        )
        check_lengths(self.lengths_source, self.chrom_lengths, source, lengths, names)
        return names

    def without(
        self,
        names: Mapping[str, str],
        empty: Iterable[str],
        source: str | os.PathLike[str],
        what: str,
        absent_chromosomes: str,
    ) -> dict[str, str]:
        """Names without chromosomes of which a file holds nothing: they are absent from it.

        Args:
            names: see :meth:`names_in`.
            empty: chromosomes that the file names and has nothing of.
            source: the file, for messages.
            what: what it lacks, for example ``no value``.
            absent_chromosomes: ``error`` or ``missing``.

        Raises:
            InputError: a chromosome is empty and the policy is ``error``.
        """
        kept, counts = dict(names), self.counts()
        lost = [chrom for chrom in names if chrom in set(empty)]
        for chrom in lost:
            del kept[chrom]
        if lost and absent_chromosomes != "missing":
            listed = ", ".join(f"{chrom} ({counts[chrom]} genes)" for chrom in lost[:6])
            raise InputError(
                f"{source}: {what} on {listed} of {self.source}; it has {_some(kept)}. Copy or "
                "download it again, or set absent_chromosomes: missing for this track."
            )
        for chrom in lost:
            logger.warning("%s: %s on %s, %d genes missing", source, what, chrom, counts[chrom])
        return kept


def _some(names: Iterable[str], limit: int = 6) -> str:
    names = list(names)
    shown = ", ".join(names[:limit]) or "none"
    return shown + (f", ... ({len(names)} in all)" if len(names) > limit else "")


def match_chromosomes(
    genes_source: str | os.PathLike[str],
    gene_counts: Mapping[str, int],
    source: str | os.PathLike[str],
    available: Iterable[str],
    aliases: Mapping[str, str] | None = None,
    absent: str = "error",
) -> dict[str, str]:
    """Names that the chromosomes of the genes have in another file.

    Args:
        genes_source: file of the genes, for messages.
        gene_counts: chromosome -> number of genes on it.
        source: the other file (FASTA, bigWig, Hi-C), for messages.
        available: chromosome names of the other file.
        aliases: name in a file -> name in the gene table, e.g. ``{"1": "chr1"}``; the only way
            in which different names are reconciled.
        absent: ``error``, or ``missing`` to leave absent chromosomes out of the result.

    Returns:
        Gene-table name -> name in the other file.

    Raises:
        InputError: no name in common (both sides are printed), a chromosome with genes is absent
            and ``absent`` is ``error``, or two names of the file mean the same chromosome.
    """
    available = list(available)
    aliases = dict(aliases or {})
    by_name: dict[str, str] = {}
    for name in available:
        canonical = aliases.get(name, name)
        if canonical in by_name:
            raise InputError(
                f"{source}: the chromosomes {by_name[canonical]!r} and {name!r} both mean "
                f"{canonical!r} by chrom_aliases; remove one alias."
            )
        by_name[canonical] = name
    lacking = [chrom for chrom in gene_counts if chrom not in by_name]
    if lacking and len(lacking) == len(gene_counts):
        raise InputError(
            f"chromosome names differ: {genes_source} has {_some(gene_counts)}; {source} has "
            f"{_some(available)}.{_hint(lacking, available)}"
        )
    if lacking and absent != "missing":
        listed = ", ".join(f"{chrom} ({gene_counts[chrom]} genes)" for chrom in lacking[:6])
        raise InputError(
            f"{source}: no data for {listed} of {genes_source}; it has {_some(available)}."
            f"{_hint(lacking, available)} Or set absent_chromosomes: missing for this track."
        )
    for chrom in lacking:
        logger.warning("%s: %s is absent, %d genes missing", source, chrom, gene_counts[chrom])
    renamed = {c: by_name[c] for c in gene_counts if c in by_name and by_name[c] != c}
    if renamed:
        logger.info("%s: chrom_aliases used: %s", source, renamed)
    return {chrom: by_name[chrom] for chrom in gene_counts if chrom in by_name}


def _hint(lacking: list[str], available: list[str]) -> str:
    """All pairs at once: they rename the genes, the genome and the tracks alike."""
    pairs = {}
    for chrom in lacking:
        ensembl = {"chrM": "MT"}.get(chrom, chrom.removeprefix("chr"))
        ucsc = {"MT": "chrM"}.get(ensembl, f"chr{ensembl}")
        if (ensembl if chrom == ucsc else ucsc) in available:
            pairs[ensembl] = ucsc
    if not pairs:
        return ""
    shown = ", ".join(f'"{ensembl}": "{ucsc}"' for ensembl, ucsc in pairs.items())
    return f" If they mean the same, set chrom_aliases: {{{shown}}}."


def check_lengths(
    genome_source: str | os.PathLike[str],
    genome_lengths: Mapping[str, int],
    source: str | os.PathLike[str],
    lengths: Mapping[str, int],
    names: Mapping[str, str],
) -> None:
    """Refuse a file whose chromosomes have other lengths (another assembly).

    Args:
        genome_source: FASTA or chromosome sizes, for messages.
        genome_lengths: chromosome -> length.
        source: the other file, for messages.
        lengths: name in the other file -> length.
        names: chromosome -> name in the other file, see :func:`match_chromosomes`.

    Raises:
        InputError: a length differs; both files and lengths are named.
    """
    for chrom, name in names.items():
        if chrom in genome_lengths and genome_lengths[chrom] != lengths[name]:
            raise InputError(
                f"{chrom} has {genome_lengths[chrom]} bases in {genome_source} but "
                f"{lengths[name]} ({name}) in {source}: they are of different assemblies; use "
                "files of one assembly."
            )


def by_chromosome(chroms: pd.Series | np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Chromosomes in order of first appearance, each with its row numbers."""
    codes, names = pd.factorize(np.asarray(chroms, dtype=object))
    order = np.argsort(codes, kind="stable")
    bounds = np.searchsorted(codes[order], np.arange(len(names) + 1))
    for i, name in enumerate(names):
        yield str(name), order[bounds[i] : bounds[i + 1]]
