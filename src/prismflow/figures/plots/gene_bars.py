"""Intervals of figures where seeds are too few for Student's: over test genes and seeds at once.

Two seeds say next to nothing of their own spread, but every run has hundreds of test genes. Where
the predictions are at hand, the hierarchical bootstrap of the comparisons bounds the mean.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from prismflow.figures.plots import common
from prismflow.statistics.paired import PAIRED_METRICS, Effect, contrast, replicate

_ARM = ["cell", "model", "scenario"]


def fill(summary: pd.DataFrame, data: Mapping[str, Any], context: Mapping[str, Any]) -> Any:
    """The summary with intervals over genes and seeds where there are fewer than three seeds.

    Args:
        summary: of :func:`prismflow.statistics.seeds.over_seeds`.
        data: perhaps ``predictions`` (dataset, cell, model, fold, seed, scenario, gene_id,
            observed, predicted).
        context: ``dataset``.

    Returns:
        The summary, ``low`` and ``high`` missing where fewer than three seeds have no predictions
        or the metric is none of :data:`prismflow.statistics.paired.PAIRED_METRICS`.
    """
    kept = common.with_enough_seeds(summary)
    predictions = data.get("predictions")
    few = (kept["n_seeds"] < common.SEEDS_FOR_INTERVAL) & kept["metric"].isin(PAIRED_METRICS)
    if predictions is None or not few.any():
        return kept
    if context.get("dataset") is not None:
        predictions = predictions[predictions["dataset"] == context["dataset"]]
    wanted = kept.loc[few, _ARM].drop_duplicates()
    arms = dict(iter(predictions.merge(wanted, on=_ARM).groupby(_ARM)))
    effects = {key: _effects(rows) for key, rows in arms.items()}
    for index in kept.index[few]:
        row = kept.loc[index]
        effect = effects.get((row["cell"], row["model"], row["scenario"]), {}).get(row["metric"])
        # Seeds of the table and of the predictions must be the same runs.
        if effect is not None and effect.n_seeds == row["n_seeds"]:
            kept.loc[index, ["low", "high"]] = effect.low, effect.high
    return kept


def _effects(rows: pd.DataFrame) -> dict[str, Effect]:
    """Mean over the seeds that have every fold and gene, in each paired metric."""
    folds = [own for _, own in rows.groupby("fold", sort=True)]
    tables = [own.pivot(index="gene_id", columns="seed", values="predicted") for own in folds]
    seeds = set.intersection(*(set(table.dropna(axis=1).columns) for table in tables))
    if not seeds or min(map(len, tables)) < 2:
        return {}
    labels = [own.drop_duplicates("gene_id").set_index("gene_id")["observed"] for own in folds]
    metrics = replicate(
        [y.loc[table.index].to_numpy(float) for y, table in zip(labels, tables, strict=True)],
        [table[sorted(seeds)].to_numpy(float).T for table in tables],
    )
    return {metric: contrast([(1.0, runs)]) for metric, runs in metrics.items()}


def note(summary: pd.DataFrame, context: Mapping[str, Any]) -> str:
    """What marks and bars are, over which replicates, and where there is no interval."""
    few = summary["n_seeds"] < common.SEEDS_FOR_INTERVAL
    bars = few & summary["low"].notna()
    if not bars.any():
        return common.interval_note(summary, context)
    if (summary["n_seeds"] < 2).all():
        text = "Marks: n = 1 seed; bars: 95 % interval over test genes, for this trained model."
    else:
        text = (
            "Large marks: mean over seeds; small dots: seeds; bars: 95 % interval over test genes "
            "and seeds (bootstrap)"
        )
        text += "." if few.all() else " below 3 seeds, 95 % t-interval over seeds from 3 on."
        if (summary.loc[bars, "n_seeds"] < 2).any():
            text += " With one seed: over test genes only."
    bare = summary["low"].isna()
    return text + (" Marks without bar: no interval." if bare.any() else "")
