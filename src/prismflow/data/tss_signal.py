"""Labels from CAGE, PRO-cap or TSS-seq bigWigs: the signal around each TSS, per strand."""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from prismflow.data.counts import Count
from prismflow.data.gene_table import CAGE_HALF_WINDOW_BP, sum_at_tss
from prismflow.data.windows import starts_with
from prismflow.errors import InputError

BIGWIG_MAGIC = (b"\x26\xfc\x8f\x88", b"\x88\x8f\xfc\x26")
HALF_WINDOW_BP = CAGE_HALF_WINDOW_BP


def is_bigwig(path: str | Path) -> bool:
    """Whether a file begins as a bigWig, whatever its name.

    Raises:
        InputError: there is no such file.
    """
    if not Path(path).is_file():
        raise InputError(f"{path}: expected a quantification or a bigWig, found no such file.")
    return starts_with(path, *BIGWIG_MAGIC)


def signal_at_tss(
    paths: Sequence[str | Path],
    genes: pd.DataFrame,
    half_window_bp: int = HALF_WINDOW_BP,
    counts: MutableMapping[str, Count] | None = None,
) -> pd.Series:
    """Sum of a sample's signal over ``[tss - half, tss + half)``, by gene id.

    Args:
        paths: one bigWig of both strands, or two: plus, then minus. A minus track of negative
            values counts with its absolute values.
        genes: gene_id, chrom, tss, strand.
        half_window_bp: half of the window, 192 as the paper's CAGE labels.
        counts: is given, per file, the bases of these windows and those without a value.

    Raises:
        InputError: no bigWig, a track of both signs, chromosomes that it lacks, or no signal.
    """
    if not 1 <= len(paths) <= 2:
        raise InputError(
            f"{', '.join(map(str, paths))}: expected one bigWig or two (plus,minus), found "
            f"{len(paths)}; give replicates one by one."
        )
    sums = np.zeros(len(genes))
    for strand, path in zip(("+", "-"), paths, strict=False):
        rows = np.arange(len(genes))
        if len(paths) == 2:
            rows = np.flatnonzero((genes["strand"] == strand).to_numpy())
        own = genes.iloc[rows]
        count = Count(f"bases around TSS in {path}")
        found = sum_at_tss(path, own["chrom"], own["tss"], half_window_bp, count)
        if counts is not None:
            counts[str(path)] = count
        if (found < 0).any() and (found > 0).any():
            raise InputError(
                f"{path}: expected values of one sign, found {found.min():g} and {found.max():g} "
                "around TSS; give the strands as two files."
            )
        sums[rows] = np.abs(found)
    if not (sums > 0).any():
        raise InputError(
            f"{', '.join(map(str, paths))}: expected signal around the TSS, found none at "
            f"{len(genes):,} genes; is it of this assembly, and are the strands in the order "
            "plus,minus?"
        )
    return pd.Series(sums, index=genes["gene_id"].to_numpy())
