"""A paired permutation test over genes, and Holm's correction for several tests."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from prismflow.errors import InputError

N_PERMUTATIONS = 9999
_SIGNS_AT_ONCE = 2_000_000
_TIE = 1e-12


def sign_flip_test(
    differences: np.ndarray,
    weights: np.ndarray | None = None,
    n_permutations: int = N_PERMUTATIONS,
    seed: int = 0,
    blocks: np.ndarray | None = None,
) -> np.ndarray:
    """Two-sided paired permutation test of every column: is the mean difference zero?

    If two models were exchangeable on every gene, swapping them on any gene (the difference changes
    its sign) would change nothing. The share of random swaps with a mean at least as large is p.

    Args:
        differences: (G, M) per-gene differences (mean over seeds) of M comparisons.
        weights: (G,) weights of the genes in the mean, default equal.
        n_permutations: random swaps; the data themselves count as one more, so p > 0.
        seed: seed of the swaps, which are the same for every column.
        blocks: (G,) block of every gene; the genes of a block are swapped together.

    Returns:
        (M,) p values.

    Raises:
        InputError: no gene, or a difference that is not finite.
    """
    values = np.asarray(differences, dtype=float)
    if values.ndim != 2 or len(values) == 0 or not np.isfinite(values).all():
        raise InputError(
            "permutation test: expected finite differences (genes, comparisons) of at least one "
            f"gene, found an array of shape {values.shape}."
        )
    n_genes = len(values)
    weights = np.full(n_genes, 1 / n_genes) if weights is None else np.asarray(weights)
    values = values * weights[:, None]
    if blocks is not None:
        values = _sums(values, blocks)
        n_genes = len(values)
    scale = np.abs(values).sum(axis=0)
    reached = np.abs(values.sum(axis=0)) - _TIE * scale
    generator = np.random.default_rng(seed)
    count = np.zeros(values.shape[1], dtype=np.int64)
    remaining = n_permutations
    while remaining:
        block = min(remaining, max(1, _SIGNS_AT_ONCE // n_genes))
        signs = generator.integers(0, 2, size=(block, n_genes), dtype=np.int8) * 2.0 - 1.0
        count += (np.abs(signs @ values) >= reached).sum(axis=0)
        remaining -= block
    return (count + 1) / (n_permutations + 1)


def _sums(values: np.ndarray, blocks: np.ndarray) -> np.ndarray:
    """(blocks, M) sums of the rows of each block."""
    names, place = np.unique(blocks, return_inverse=True)
    sums = np.zeros((len(names), values.shape[1]))
    np.add.at(sums, place, values)
    return sums


def holm(p_values: Sequence[float] | np.ndarray) -> np.ndarray:
    """Holm's step-down adjusted p values, in the order given; NaN stays NaN and is not counted.

    The smallest p is multiplied by the number of tests m, the next by m - 1, and so on; an adjusted
    value is never below that of a smaller p, and never above 1.
    """
    p = np.asarray(p_values, dtype=float)
    adjusted = np.full(p.shape, np.nan)
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(p[known], kind="stable")]
    steps = p[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0) if len(order) else []
    return adjusted
