"""Mean, spread and intervals over seeds, by Student's t.

Seeds are the replicates of a training run. Where a run exists for several folds, the folds of one
seed are averaged first, so that n is always the number of seeds.
"""

from __future__ import annotations

from collections.abc import Sequence
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
    check_level(level)
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
    # As t_interval, for all groups at once: a study has tens of thousands of them.
    check_level(level)
    columns = [*_GROUP, "mean", "sd", "low", "high", "n_seeds", "n_genes", "n_folds"]
    table = (
        seeds.groupby(_GROUP, sort=True)
        .agg(
            mean=("value", "mean"),
            sd=("value", "std"),
            lowest=("value", "min"),
            highest=("value", "max"),
            n_seeds=("value", "size"),
            n_genes=("n_genes", "max"),
            n_folds=("n_folds", "max"),
        )
        .reset_index()
    )
    equal = (table["n_seeds"] > 1) & (table["lowest"] == table["highest"])
    table.loc[equal, "sd"] = 0.0
    n = table["n_seeds"].to_numpy(dtype=float)
    quantile = stats.t.ppf(0.5 + level / 2, np.where(n > 1, n - 1, np.nan))
    half = quantile * table["sd"] / np.sqrt(n)
    return table.assign(low=table["mean"] - half, high=table["mean"] + half)[columns]


def check_level(level: float) -> None:
    """Refuse a coverage that is not between 0 and 1."""
    if not 0 < level < 1:
        raise InputError(f"interval level: expected a number between 0 and 1, found {level!r}.")
