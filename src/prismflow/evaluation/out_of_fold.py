"""Cross-validated models: every gene predicted once, out of fold, and what folds and seeds vary.

Two summaries of one thing: the mean over folds of a metric within each, and the metric over the
test genes of all folds together (pooled), which differences between folds enter too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from prismflow.errors import InputError
from prismflow.evaluation.pooled import Pooled, pool
from prismflow.evaluation.predictions_file import read_gathered
from prismflow.files import write_tsv
from prismflow.plan.run import RunKey
from prismflow.statistics.agreement import correlation
from prismflow.statistics.paired import PAIRED_METRICS, contrast, replicate

COLUMNS = (
    "cell", "model", "metric", "n_folds", "n_seeds", "n_genes",
    "mean", "mean_low", "mean_high", "other_low", "other_high",
    "pooled", "pooled_low", "pooled_high", "sd_folds", "sd_seeds", "sd_rest",
)  # fmt: skip


def measure_out_of_fold(request: Mapping[str, Any], gathered: str, output: str) -> None:
    """Write the cross-validated metrics of an experiment's models as TSV.

    Args:
        request: ``experiment`` (``id``, ``models``), ``runs`` and ``cells``, as the plan words
            them.
        gathered: the dataset's gathered predictions.
        output: the table, columns :data:`COLUMNS`.

    Raises:
        InputError: no model has a seed with every fold.
    """
    runs = [RunKey(*run) for run in request["runs"]]
    groups = read_gathered(gathered)
    rows = []
    for cell in request["cells"]:
        for model in request["experiment"]["models"]:
            found = pool(groups, runs, cell, model)
            if found is not None:
                rows += [_row(cell, model, metric, found) for metric in PAIRED_METRICS]
    if not rows:
        raise InputError(
            f"{request['experiment']['id']}: expected a model with a seed that has every fold, "
            "found none; give the experiment's folds the same seeds."
        )
    write_tsv(pd.DataFrame(rows, columns=list(COLUMNS)), output)


def _row(cell: str, model: str, metric: str, arm: Pooled) -> dict[str, Any]:
    """One row: see docs/statistics.md, "Folds and seeds"."""
    folds = [arm.fold_of == number for number in range(len(arm.folds))]
    blocks = arm.blocks
    apart = replicate(
        [arm.observed[own] for own in folds],
        [arm.predicted[:, own] for own in folds],
        blocks=None if blocks is None else [blocks[own] for own in folds],
    )
    together = replicate(
        [arm.observed], [arm.predicted], blocks=None if blocks is None else [blocks]
    )
    mean, pooled = contrast([(1.0, apart[metric])]), contrast([(1.0, together[metric])])
    values = np.array([[_metric(metric, arm, own, seed) for seed in range(len(arm.seeds))]
                       for own in folds])  # fmt: skip
    return {
        "cell": cell, "model": model, "metric": metric, "n_folds": len(folds),
        "n_seeds": len(arm.seeds), "n_genes": arm.genes.size,
        "mean": mean.value, "mean_low": mean.low, "mean_high": mean.high,
        "pooled": pooled.value, "pooled_low": pooled.low, "pooled_high": pooled.high,
        **design(values),
    }  # fmt: skip


def _metric(metric: str, arm: Pooled, own: np.ndarray, seed: int) -> float:
    observed, predicted = arm.observed[own], arm.predicted[seed, own]
    if metric == "mse":
        return float(((observed - predicted) ** 2).mean())
    return correlation(observed, predicted)


def design(values: np.ndarray) -> dict[str, float]:
    """Spread over folds and over seeds, both as samples in one crossed design.

    Args:
        values: (F, S) a metric by fold and seed.

    Returns:
        ``sd_folds``, ``sd_seeds`` and ``sd_rest`` (what is left: fold and seed together) from the
        mean squares of a two-way table without repetition; with one seed the rest is part of
        ``sd_folds``. ``other_low`` and ``other_high``: 95 % interval of the mean for other folds
        and other seeds, degrees of freedom by Satterthwaite. Missing with one fold, or where a
        value is.
    """
    nan = float("nan")
    n_folds, n_seeds = values.shape
    names = ("sd_folds", "sd_seeds", "sd_rest", "other_low", "other_high")
    if n_folds < 2 or not np.isfinite(values).all():
        return dict.fromkeys(names, nan)
    mean = float(values.mean())
    of_folds = n_seeds * float(values.mean(axis=1).var(ddof=1))
    if n_seeds == 1:
        half = float(stats.t.ppf(0.975, n_folds - 1)) * np.sqrt(of_folds / n_folds)
        found = (np.sqrt(of_folds), nan, nan, mean - half, mean + half)
        return dict(zip(names, map(float, found), strict=True))
    of_seeds = n_folds * float(values.mean(axis=0).var(ddof=1))
    left = values - values.mean(axis=1, keepdims=True) - values.mean(axis=0) + mean
    rest = float((left**2).sum()) / ((n_folds - 1) * (n_seeds - 1))
    folds, seeds = max(0.0, of_folds - rest) / n_seeds, max(0.0, of_seeds - rest) / n_folds
    variance = max(of_folds, of_folds + of_seeds - rest) / (n_folds * n_seeds)
    terms = of_folds**2 / (n_folds - 1)
    if of_seeds > rest:
        terms += of_seeds**2 / (n_seeds - 1) + rest**2 / ((n_folds - 1) * (n_seeds - 1))
    df = (variance * n_folds * n_seeds) ** 2 / terms if terms > 0 else float("inf")
    half = float(stats.t.ppf(0.975, df)) * np.sqrt(variance)
    found = (np.sqrt(folds), np.sqrt(seeds), np.sqrt(rest), mean - half, mean + half)
    return dict(zip(names, map(float, found), strict=True))
