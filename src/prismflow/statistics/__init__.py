"""Statistics that can say no: seeds, genes, and both at once (docs/statistics.md).

``seeds`` summarises runs, ``genes`` resamples test genes, ``paired`` compares two models over seeds
and genes together, ``tests`` holds the permutation test and Holm's correction, ``power`` says how
many seeds or genes would decide a difference.
"""

from prismflow.statistics.bootstrap import bootstrap_interval, mean_squared_error, pearson, spearman
from prismflow.statistics.seeds import (
    METRIC_COLUMNS,
    Interval,
    check_metrics,
    over_seeds,
    paired_over_seeds,
    per_seed,
    seed_differences,
    t_interval,
)

__all__ = [
    "METRIC_COLUMNS",
    "Interval",
    "bootstrap_interval",
    "check_metrics",
    "mean_squared_error",
    "over_seeds",
    "paired_over_seeds",
    "pearson",
    "per_seed",
    "seed_differences",
    "spearman",
    "t_interval",
]
