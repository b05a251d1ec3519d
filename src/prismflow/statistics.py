"""Mean, spread and intervals: over seeds by Student's t, over genes by the bootstrap.

Seeds are the replicates of a training run. Where a run exists for several folds, the folds of one
seed are averaged first, so that n is always the number of seeds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from prismflow.errors import InputError

METRIC_COLUMNS = (
    "dataset",
    "cell",
    "model",
    "fold",
    "seed",
    "scenario",
    "metric",
    "value",
    "n_genes",
)
_GROUP = ["cell", "model", "scenario", "metric"]
_RESAMPLED_VALUES = 2_000_000


@dataclass(frozen=True)
class Interval:
    """Summary of ``n`` replicates; ``sd``, ``low`` and ``high`` are NaN below two of them."""

    mean: float
    sd: float
    low: float
    high: float
    n: int

    @property
    def bounded(self) -> bool:
        """Whether an interval exists."""
        return bool(np.isfinite(self.low) and np.isfinite(self.high))


def t_interval(values: Sequence[float] | np.ndarray, level: float = 0.95) -> Interval:
    """Mean, sample sd (n - 1) and two-sided Student-t interval of the mean.

    Args:
        values: replicates, any order; NaN means "not measured" and does not count.
        level: coverage, between 0 and 1.

    Returns:
        An :class:`Interval`; with one value no interval, with none all NaN and ``n = 0``.

    Raises:
        InputError: ``level`` is not between 0 and 1.
    """
    _check_level(level)
    sample = np.asarray(values, dtype=float).ravel()
    sample = sample[~np.isnan(sample)]
    n = int(sample.size)
    if n == 0:
        return Interval(np.nan, np.nan, np.nan, np.nan, 0)
    mean = float(sample.mean())
    if n == 1:
        return Interval(mean, np.nan, np.nan, np.nan, 1)
    sd = float(sample.std(ddof=1)) if np.ptp(sample) > 0 else 0.0
    half = float(stats.t.ppf(0.5 + level / 2, n - 1)) * sd / np.sqrt(n)
    return Interval(mean, sd, mean - half, mean + half, n)


def check_metrics(metrics: pd.DataFrame) -> pd.DataFrame:
    """Return the metrics table after checking its columns and that no run is counted twice.

    Raises:
        InputError: a column is missing, or two rows describe the same run, scenario and metric.
    """
    missing = [name for name in METRIC_COLUMNS if name not in metrics.columns]
    if missing:
        raise InputError(
            f"metrics table: expected the columns {', '.join(METRIC_COLUMNS)}, "
            f"found no {', '.join(missing)} (there are: {', '.join(map(str, metrics.columns))})."
        )
    key = ["dataset", "cell", "model", "fold", "seed", "scenario", "metric"]
    twice = metrics.duplicated(key)
    if twice.any():
        row = metrics.loc[twice, key].iloc[0]
        raise InputError(
            "metrics table: expected one row per run, scenario and metric, found two for "
            + ", ".join(f"{name} {row[name]}" for name in key)
            + "; aggregate the metrics again."
        )
    return metrics


def per_seed(metrics: pd.DataFrame) -> pd.DataFrame:
    """One value per cell, model, scenario, metric and seed: the mean over the seed's folds.

    A seed that lacks a fold which another seed of the same group has would shift the mean by its
    test genes, not by its seed; such a seed is left out.

    Args:
        metrics: long table of one dataset with the columns :data:`METRIC_COLUMNS`.

    Returns:
        Columns cell, model, scenario, metric, seed, value, n_genes (summed over folds), n_folds.
    """
    table = check_metrics(metrics).dropna(subset=["value"])
    grouped = table.groupby([*_GROUP, "seed"], sort=True)
    seeds = grouped.agg(
        value=("value", "mean"), n_genes=("n_genes", "sum"), n_folds=("fold", "nunique")
    ).reset_index()
    most = seeds.groupby(_GROUP)["n_folds"].transform("max")
    return seeds[seeds["n_folds"] == most].reset_index(drop=True)


def over_seeds(metrics: pd.DataFrame, level: float = 0.95) -> pd.DataFrame:
    """Summarise a metrics table over seeds.

    Args:
        metrics: long table of one dataset with the columns :data:`METRIC_COLUMNS`.
        level: coverage of the t-interval.

    Returns:
        Columns cell, model, scenario, metric, mean, sd, low, high, n_seeds, n_genes, n_folds;
        ``n_genes`` is the largest among the seeds (they normally agree).
    """
    return _summarise(per_seed(metrics), level)


def paired_over_seeds(
    metrics: pd.DataFrame, scenario: str, reference: str = "full", level: float = 0.95
) -> pd.DataFrame:
    """Change of every metric from ``reference`` to ``scenario``, paired by seed.

    Returns:
        As :func:`over_seeds`, of the differences ``scenario - reference``; empty without pairs.
    """
    return _summarise(seed_differences(metrics, scenario, reference), level)


def seed_differences(metrics: pd.DataFrame, scenario: str, reference: str = "full") -> pd.DataFrame:
    """Per-seed differences ``scenario - reference``; columns as :func:`per_seed`."""
    rows = check_metrics(metrics)
    key = ["dataset", "cell", "model", "fold", "seed", "metric"]
    left = rows[rows["scenario"] == scenario]
    right = rows.loc[rows["scenario"] == reference, [*key, "value"]]
    pairs = left.merge(right, on=key, suffixes=("", "_reference"), how="inner")
    pairs["value"] = pairs["value"] - pairs["value_reference"]
    return per_seed(pairs.drop(columns="value_reference"))


def _summarise(seeds: pd.DataFrame, level: float) -> pd.DataFrame:
    rows = []
    for key, group in seeds.groupby(_GROUP, sort=True):
        interval = t_interval(group["value"].to_numpy(), level)
        rows.append(
            (
                *key,
                interval.mean,
                interval.sd,
                interval.low,
                interval.high,
                interval.n,
                int(group["n_genes"].max()),
                int(group["n_folds"].max()),
            )
        )
    columns = [*_GROUP, "mean", "sd", "low", "high", "n_seeds", "n_genes", "n_folds"]
    return pd.DataFrame(rows, columns=columns)


def pearson(observed: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Pearson correlation along the last axis; NaN where one side is constant."""
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
    _check_level(level)
    arrays = [np.asarray(sample, dtype=float) for sample in samples]
    sizes = [array.size for array in arrays]
    if len(set(sizes)) != 1 or sizes[0] < 2:
        raise InputError(
            f"bootstrap over genes: expected samples of one length >= 2, found lengths {sizes}."
        )
    n = sizes[0]
    point = float(statistic(*(array[np.newaxis] for array in arrays))[0])
    generator = np.random.default_rng(seed)
    replicates = []
    remaining = n_resamples
    while remaining:
        block = min(remaining, max(1, _RESAMPLED_VALUES // n))
        rows = generator.integers(0, n, size=(block, n))
        replicates.append(statistic(*(array[rows] for array in arrays)))
        remaining -= block
    values = np.concatenate(replicates)
    values = values[~np.isnan(values)]
    if values.size == 0:
        return Interval(point, np.nan, np.nan, np.nan, n)
    low, high = np.quantile(values, [0.5 - level / 2, 0.5 + level / 2])
    return Interval(point, float(values.std(ddof=1)), float(low), float(high), n)


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise InputError(f"interval level: expected a number between 0 and 1, found {level!r}.")
