"""Which examples are in which step: a function of seed and step alone."""

from __future__ import annotations

import functools

import numpy as np


@functools.lru_cache(maxsize=4)
def _epoch_order(seed: int, epoch: int, n_genes: int) -> np.ndarray:
    order = np.random.default_rng([seed, epoch]).permutation(n_genes)
    order.flags.writeable = False
    return order


def batches_per_epoch(n_genes: int, batch_size: int) -> int:
    """Batches in one pass over ``n_genes``; the last one may be smaller."""
    return -(-n_genes // batch_size)


def rows_of_step(seed: int, step: int, n_genes: int, batch_size: int) -> np.ndarray:
    """Which training genes are in batch ``step``: a function of its arguments alone.

    Every epoch is a fresh permutation drawn by a numpy Generator seeded with ``[seed, epoch]``;
    the last batch of an epoch is smaller where the genes do not divide evenly.

    Returns:
        Indices into the training genes, int64, 1 to ``batch_size`` of them.
    """
    per_epoch = batches_per_epoch(n_genes, batch_size)
    first = (step % per_epoch) * batch_size
    return _epoch_order(seed, step // per_epoch, n_genes)[first : first + batch_size]
