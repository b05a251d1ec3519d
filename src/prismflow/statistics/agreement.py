"""Agreement between observed and predicted expression, over a whole split at once."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from prismflow.errors import InputError

METRICS = ("mse", "mae", "pearson", "spearman", "r2")
"""Names of the metrics, in the order in which they are reported."""


def regression_metrics(
    observed: np.ndarray | Sequence[float], predicted: np.ndarray | Sequence[float]
) -> dict[str, float]:
    """All metrics of one split (paper, section "Evaluation"; definitions in docs/metrics.md).

    Computed in float64 over all genes of the split together, never as a mean over batches.

    Args:
        observed: (n,) labels, in the unit of the label (such as log10(x + 1)).
        predicted: (n,) predictions in the same unit and gene order.

    Returns:
        ``mse`` and ``mae`` (mean squared and absolute error), ``pearson`` and ``spearman``
        (correlations; NaN where either side is constant, since no correlation is defined there)
        and ``r2`` = 1 - SSE / SST, the coefficient of determination (NaN where the labels are
        constant; negative where the split's mean would predict better).

    Raises:
        InputError: no gene, different lengths, or a value that is not finite.
    """
    observed, predicted = _checked(observed, predicted)
    error = predicted - observed
    deviation = observed - observed.mean()
    sse, sst = float(error @ error), float(deviation @ deviation)
    return {
        "mse": sse / observed.size,
        "mae": float(np.abs(error).mean()),
        "pearson": correlation(observed, predicted),
        "spearman": correlation(_ranks(observed), _ranks(predicted)),
        "r2": math.nan if _constant(observed) else 1.0 - sse / sst,
    }


# NumPy and pandas in the place of scipy.stats: importing that takes longer than the job itself, and
# every evaluation of a study would pay for it. Tests compare with scipy.
def correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Pearson correlation of two vectors (n,); NaN where one of them is constant."""
    if _constant(first) or _constant(second):
        return math.nan
    return float(np.corrcoef(first, second)[0, 1])


def _ranks(values: np.ndarray) -> np.ndarray:
    return pd.Series(values).rank(method="average").to_numpy()


def squared_pearson(
    observed: np.ndarray | Sequence[float], predicted: np.ndarray | Sequence[float]
) -> float:
    """What the released code logs as ``r_square``: the squared Pearson correlation.

    It ignores offset and scale of the predictions, so it is not the coefficient of determination.
    It serves the comparison with the released code only; no table of this project shows it.

    Raises:
        InputError: as :func:`regression_metrics`.
    """
    return regression_metrics(observed, predicted)["pearson"] ** 2


def _constant(values: np.ndarray) -> bool:
    return bool(values.min() == values.max())


def _checked(
    observed: np.ndarray | Sequence[float], predicted: np.ndarray | Sequence[float]
) -> tuple[np.ndarray, np.ndarray]:
    arrays = []
    for name, values in (("observed", observed), ("predicted", predicted)):
        array = np.asarray(values, dtype=np.float64)
        if array.ndim != 1:
            raise InputError(
                f"metrics: expected one {name} value per gene (a vector), "
                f"found an array of shape {array.shape}."
            )
        if not np.isfinite(array).all():
            raise InputError(
                f"metrics: expected finite {name} values, found {int((~np.isfinite(array)).sum())} "
                f"of {array.size} that are NaN or infinite."
            )
        arrays.append(array)
    if arrays[0].size != arrays[1].size:
        raise InputError(
            f"metrics: expected as many predicted as observed values, found {arrays[1].size} "
            f"predicted and {arrays[0].size} observed."
        )
    if arrays[0].size == 0:
        raise InputError("metrics: expected at least one gene, found none; is the split empty?")
    return arrays[0], arrays[1]
