"""Blocks of genes that are no independent samples: one TSS, neighbouring windows, one sequence."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import numpy as np
import pandas as pd


def blocks_of(
    genes: pd.DataFrame, distance_bp: int, pairs: Iterable[tuple[int, int]] = ()
) -> np.ndarray:
    """The block of every gene.

    Args:
        genes: N rows with chrom and tss.
        distance_bp: genes of a chromosome whose TSS lie closer than this belong together, and so
            do all that such steps connect; 0: none do.
        pairs: rows that belong together besides, such as those with nearly the same sequence.

    Returns:
        (N,) int64, numbered from 0 in the order in which blocks appear.
    """
    parent = np.arange(len(genes))

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = int(parent[row])
        return row

    def join(first: int, second: int) -> None:
        a, b = root(first), root(second)
        parent[max(a, b)] = min(a, b)

    chrom, tss = genes["chrom"].astype(str).to_numpy(), genes["tss"].to_numpy()
    order = np.lexsort((tss, chrom))
    for before, after in itertools.pairwise(order.tolist()):
        if chrom[before] == chrom[after] and tss[after] - tss[before] < distance_bp:
            join(before, after)
    for first, second in pairs:
        join(int(first), int(second))
    roots = np.array([root(row) for row in range(len(genes))], dtype=np.int64)
    return np.unique(roots, return_inverse=True)[1].astype(np.int64)
