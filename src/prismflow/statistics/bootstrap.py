"""Agreement over genes, many resamples at a time, and its bootstrap interval."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
from scipy import stats

from prismflow.errors import InputError
from prismflow.statistics.seeds import Interval, check_level

_RESAMPLED_VALUES = 2_000_000


def pearson(observed: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Pearson correlation along the last axis; NaN where one side is constant.

    For many resamples at a time: ``scipy.stats.pearsonr`` takes 2.5 to 9 times as long.
    """
    x = observed - observed.mean(axis=-1, keepdims=True)
    y = predicted - predicted.mean(axis=-1, keepdims=True)
    scale = np.sqrt((x * x).sum(axis=-1) * (y * y).sum(axis=-1))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(scale > 0, (x * y).sum(axis=-1) / scale, np.nan)


def spearman(observed: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Spearman correlation along the last axis (ties share their mean rank)."""
    return pearson(stats.rankdata(observed, axis=-1), stats.rankdata(predicted, axis=-1))


def mean_squared_error(observed: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Mean squared error along the last axis."""
    return ((observed - predicted) ** 2).mean(axis=-1)


def bootstrap_interval(
    statistic: Callable[..., np.ndarray],
    *samples: np.ndarray,
    level: float = 0.95,
    n_resamples: int = 2000,
    seed: int = 0,
) -> Interval:
    """Percentile bootstrap over genes; the samples are resampled together.

    Resamples in which the statistic is not defined are left out of the interval.

    Args:
        statistic: takes the samples as arrays (resamples, genes) and reduces the last axis.
        samples: arrays (genes,), aligned gene by gene.
        level: coverage.
        n_resamples: bootstrap replicates.
        seed: seed of the generator; equal seeds give equal intervals.

    Returns:
        ``mean`` is the statistic of the data, ``sd`` the bootstrap standard error, ``n`` genes.

    Raises:
        InputError: samples of different lengths, or fewer than two genes.
    """
    check_level(level)
    arrays = [np.asarray(sample, dtype=float) for sample in samples]
    sizes = [array.size for array in arrays]
    if len(set(sizes)) != 1 or sizes[0] < 2:
        raise InputError(
            f"bootstrap over genes: expected samples of one length >= 2, found lengths {sizes}."
        )
    n = sizes[0]
    point = float(statistic(*(array[np.newaxis] for array in arrays))[0])
    with warnings.catch_warnings():
        # A resample without a value makes scipy's own interval NaN, with a warning; ours leaves
        # such resamples out.
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        drawn = stats.bootstrap(
            arrays,
            lambda *resampled, axis: statistic(*resampled),
            n_resamples=n_resamples,
            batch=max(1, _RESAMPLED_VALUES // n),
            vectorized=True,
            paired=True,
            method="percentile",
            rng=np.random.default_rng(seed),
        )
    values = drawn.bootstrap_distribution[~np.isnan(drawn.bootstrap_distribution)]
    if values.size == 0:
        return Interval(point, np.nan, np.nan, np.nan, n)
    low, high = np.quantile(values, [0.5 - level / 2, 0.5 + level / 2])
    return Interval(point, float(values.std(ddof=1)), float(low), float(high), n)
