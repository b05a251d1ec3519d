"""What blocks of genes that are no independent samples do to a variance."""

from __future__ import annotations

import numpy as np


def design_effect(
    values: np.ndarray, weights: np.ndarray, blocks: np.ndarray | None = None
) -> float:
    """Variance of a weighted mean with blocks as the samples, over that with single values.

    Args:
        values: (G,).
        weights: (G,) that sum to 1.
        blocks: (G,) block of every value; None: each is its own.

    Returns:
        1 for blocks of one; about 1 + (m - 1) r for blocks of m values with correlation r; NaN
        where nothing varies.
    """
    parts = weights * (values - float(weights @ values))
    names, place = np.unique(
        np.arange(values.size) if blocks is None else blocks, return_inverse=True
    )
    sums = np.bincount(place, parts)
    single = float((parts**2).sum()) * values.size / max(1, values.size - 1)
    together = float((sums**2).sum()) * names.size / max(1, names.size - 1)
    return together / single if single > 0 else float("nan")
