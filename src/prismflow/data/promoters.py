"""Activity of promoters, computed from two tracks."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from prismflow.data.chromosomes import Genes
from prismflow.data.kinds.signal import CORE_BP, read_windows
from prismflow.errors import InputError


def core_means(path: str | Path, genes: Genes, absent_chromosomes: str = "error") -> np.ndarray:
    """Mean of a bigWig over TSS +- 500 per gene, float64 (N,); missing bases count as 0.

    Raises:
        InputError: see :func:`signal_windows`.
    """
    values, _ = read_windows(path, genes, CORE_BP, absent_chromosomes=absent_chromosomes)
    return values.mean(axis=1, dtype=np.float64)


def activity_of_promoters(h3k27ac: np.ndarray, dnase: np.ndarray) -> np.ndarray:
    """sqrt(mean H3K27ac x mean DNase) at the promoter (paper, section on gene features).

    Raises:
        InputError: negative means, for which the root does not exist.
    """
    product = h3k27ac * dnase
    if (product < 0).any():
        raise InputError(
            "promoter activity needs tracks of values >= 0, found negative means at "
            f"{int((product < 0).sum())} promoters; use other tracks or promoter_activity: none."
        )
    return np.sqrt(product)
