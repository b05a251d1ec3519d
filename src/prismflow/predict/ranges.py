"""What a model's training genes looked like, and how much of another gene lies outside of that.

Each gene is summarised by numbers: per signal the mean of what the model reads in each of
:data:`BINS` equal parts of its window, its gene features, its share of G and C among known bases
and its share of unknown bases. The training range of each number reaches from its 0.5th to its
99.5th percentile over the training genes, so of a training gene about 1 % lies outside. A gene is
flagged where more than :data:`LIMIT` of its numbers do.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from prismflow.data.inputs import READ_GENES, GeneInputs

BINS = 20
PERCENTILES = (0.5, 99.5)
LIMIT = 0.1
"""Share of a gene's numbers outside the training range beyond which it is flagged."""


def summary_names(inputs: GeneInputs) -> list[str]:
    """Names of the K columns of :func:`summarise`."""
    signals = [f"{name} part {part + 1}" for name in inputs.modalities for part in range(BINS)]
    return [*signals, *inputs.gene_features, "share of G and C", "share of unknown bases"]


def summarise(inputs: GeneInputs, rows: np.ndarray) -> np.ndarray:
    """The numbers of each gene, float32 (n, K); see the module."""
    chunks = [rows[i : i + READ_GENES] for i in range(0, len(rows), READ_GENES)]
    return np.concatenate([_summary(inputs, chunk) for chunk in chunks])


def _summary(inputs: GeneInputs, rows: np.ndarray) -> np.ndarray:
    edges = np.linspace(0, inputs.window_bp, BINS + 1).astype(int)[:-1]
    widths = np.diff([*edges, inputs.window_bp])
    columns = [
        np.add.reduceat(inputs.signal(name, rows), edges, axis=1, dtype=np.float64) / widths
        for name in inputs.modalities
    ]
    codes = inputs.codes(rows)
    known = (codes < 4).sum(axis=1)
    strong = ((codes == 1) | (codes == 2)).sum(axis=1)
    sequence = np.stack([strong / np.maximum(known, 1), 1 - known / inputs.window_bp], axis=1)
    return np.concatenate([*columns, inputs.features(rows), sequence], axis=1, dtype=np.float32)


def training_range(inputs: GeneInputs, rows: np.ndarray) -> dict[str, list[float]]:
    """``low`` and ``high`` of each number over the training genes ``rows``."""
    low, high = np.percentile(summarise(inputs, rows), PERCENTILES, axis=0)
    return {"low": low.astype(float).tolist(), "high": high.astype(float).tolist()}


def share_outside(values: np.ndarray, ranges: Mapping[str, Mapping[str, Any]]) -> np.ndarray:
    """Share of each gene's numbers outside the training range, float64 (n,); mean over folds.

    Args:
        values: (n, K) of :func:`summarise`.
        ranges: fold -> its :func:`training_range`.
    """
    shares = [
        ((values < np.float32(own["low"])) | (values > np.float32(own["high"]))).mean(axis=1)
        for own in ranges.values()
    ]
    return np.mean(shares, axis=0)


def feature_statistics(inputs: GeneInputs, rows: np.ndarray) -> dict[str, dict[str, float]]:
    """Mean, standard deviation, smallest and largest value of each gene feature over ``rows``."""
    values = inputs.features(rows).astype(np.float64)
    return {
        name: {"mean": float(own.mean()), "sd": float(own.std()),
               "smallest": float(own.min()), "largest": float(own.max())}
        for name, own in zip(inputs.gene_features, values.T, strict=True)
    }  # fmt: skip
