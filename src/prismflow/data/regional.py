"""The level of a signal in the region round a gene, away from the promoter itself."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from prismflow.data.bigwig import BigWig
from prismflow.data.chromosomes import Genes, by_chromosome
from prismflow.data.kinds.signal import names_with_values
from prismflow.errors import InputError

logger = logging.getLogger(__name__)

FLOOR_SHARE = 0.01
"""Share of the track's mean that is added, so that an empty region has a logarithm."""


def regional_level(
    path: str | Path,
    genes: Genes,
    inner_bp: int,
    outer_bp: int,
    absent_chromosomes: str = "error",
) -> np.ndarray:
    """Logarithm of the median over bases that are ``inner_bp`` to ``outer_bp`` from the TSS.

    A median, because peaks of enhancers and neighbours cover few of these bases and say nothing
    about the region. Bases without a value and those outside the chromosome don't count; a gene
    without any gets the median of the other genes.

    Args:
        path: a bigWig of values >= 0.
        genes: N genes.
        inner_bp, outer_bp: distances in bases, the inner one left out.
        absent_chromosomes: ``error`` or ``missing``.

    Returns:
        float64 (N,), natural logarithm of (median + 1 % of the track's mean).

    Raises:
        InputError: the track can't be read, holds negative medians, or holds nothing near any gene.
    """
    window_bp = 2 * outer_bp
    distance = np.abs(np.arange(window_bp) - outer_bp)
    ring = distance >= inner_bp
    medians = np.full(len(genes.tss), np.nan)
    n_sparse = 0
    with BigWig(path) as bigwig:
        names = names_with_values(bigwig, genes, absent_chromosomes)
        for chrom, rows in by_chromosome(genes.chroms):
            if chrom not in names:
                continue
            starts = genes.tss[rows] - outer_bp
            length = genes.chrom_lengths[chrom]
            for positions, values in bigwig.windows(names[chrom], starts, window_bp):
                for at, block in zip(positions, values, strict=True):
                    first = int(starts[at])
                    inside = slice(max(-first, 0), min(length - first, window_bp))
                    kept = block[inside][ring[inside]]
                    n_bases = kept.size
                    kept = kept[np.isfinite(kept)]
                    n_sparse += 2 * kept.size < n_bases
                    if kept.size:
                        medians[rows[at]] = np.median(kept)
        floor = FLOOR_SHARE * bigwig.summary.mean
    if (medians < 0).any() or not np.isfinite(medians).any():
        raise InputError(
            f"{path}: a regional level needs values of 0 or more near the genes, found "
            f"{int((medians < 0).sum())} genes with a negative and "
            f"{int(np.isnan(medians).sum())} without any of {len(medians)}; leave regional_bp of "
            "this modality out, or give another track."
        )
    if 2 * n_sparse > len(medians):
        logger.warning(
            "%s: at %d of %d genes fewer than half of the bases between %d and %d bp from the TSS "
            "have a value, as in a track of peaks; the median of these is no background level",
            path, n_sparse, len(medians), inner_bp, outer_bp,
        )  # fmt: skip
    n_without = int(np.isnan(medians).sum())
    if n_without:
        logger.info("%s: %d genes have no base between %d and %d bp from the TSS; they get the "
                    "median of the others", path, n_without, inner_bp, outer_bp)  # fmt: skip
        medians = np.where(np.isnan(medians), np.nanmedian(medians), medians)
    return np.log(medians + max(floor, np.finfo(np.float64).tiny))
