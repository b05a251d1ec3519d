"""Windows with another allele in them; the TSS keeps its place."""

from __future__ import annotations

from typing import Any

import numpy as np

from prismflow.data.genome import Genome
from prismflow.explain.vcf import Allele, codes_of

SYMBOL = "not scored: the allele is a symbol, not a sequence"
REMOVED = "not scored: the TSS itself is removed or replaced by another number of bases"


def touches(allele: Allele, start: int, end: int) -> bool:
    """Whether an allele changes a base of ``[start, end)``, or inserts between two of them."""
    if allele.start == allele.end:
        return start < allele.start < end
    return allele.start < end and allele.end > start


def window_codes(genome: Genome, gene: Any, window_bp: int) -> np.ndarray:
    """(L,) base codes of a gene's window as the genome has it."""
    start = int(gene.tss) - window_bp // 2
    return genome.codes(gene.chrom, start, start + window_bp)


def with_allele(
    genome: Genome, gene: Any, window_bp: int, allele: Allele
) -> tuple[np.ndarray | None, str]:
    """The window of a gene on a chromosome that has this allele.

    The window's middle lies between the bases tss - 1 and tss, one of which is the TSS. Left of it
    the half that ends there is taken from the changed chromosome, right of it the half that
    begins there: what a deletion lacks comes in at the window's outer end, what an insertion
    has too much leaves it there. Bases inserted exactly in the middle belong upstream.

    Args:
        gene: has ``chrom``, ``tss`` and ``strand``.

    Returns:
        Base codes (L,) and ``""``; or None and why there are none.
    """
    if allele.inserted is None:
        return None, SYMBOL
    half, tss = window_bp // 2, int(gene.tss)
    tss_base = tss - (gene.strand == "-")
    new = codes_of(allele.inserted)
    if len(new) == allele.end - allele.start:
        codes = window_codes(genome, gene, window_bp)
        first = tss - half
        for offset, code in enumerate(new):
            if 0 <= allele.start + offset - first < window_bp:
                codes[allele.start + offset - first] = code
        return codes, ""
    if allele.end <= tss_base:
        before = genome.codes(gene.chrom, allele.start - half, allele.start)
        between = genome.codes(gene.chrom, allele.end, tss)
        left = np.concatenate([before, new, between])[-half:]
        return np.concatenate([left, genome.codes(gene.chrom, tss, tss + half)]), ""
    if allele.start > tss_base:
        between = genome.codes(gene.chrom, tss, allele.start)
        after = genome.codes(gene.chrom, allele.end, allele.end + half)
        right = np.concatenate([between, new, after])[:half]
        return np.concatenate([genome.codes(gene.chrom, tss - half, tss), right]), ""
    return None, REMOVED
