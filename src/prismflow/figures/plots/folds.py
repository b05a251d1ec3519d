"""Test metrics in every fold of the cross-validation, and over all folds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from prismflow.figures.plots import common, style, sweep
from prismflow.labels import model_label
from prismflow.statistics.seeds import METRIC_COLUMNS

NEEDS = ("metrics",)
_ALL = "all"


@style.styled
def draw(
    data: Mapping[str, Any], experiment: Mapping[str, Any], context: Mapping[str, Any]
) -> Figure:
    """A line per model over the folds; at the right end the mean over folds with its interval.

    Args:
        data: ``metrics``, the long table with several folds.
        experiment: ``models``, ``cells``, ``metrics`` as in the main figure.
        context: as in the main figure.

    Raises:
        InputError: no model has a result.
    """
    table = common.select(data, "metrics", METRIC_COLUMNS, experiment, context)
    table = table[table["scenario"] == "full"]
    folds = sorted(table["fold"].unique(), key=_number)
    models = common.model_order(table["model"].unique(), experiment)
    rows = [(model, model, fold, float(i)) for model in models for i, fold in enumerate(folds)]
    rows += [(f"{model}|{_ALL}", model, _ALL, float(len(folds))) for model in models]
    points = pd.DataFrame(rows, columns=["base", "model", "scenario", "x"])
    labels = {base: "" for base in models}
    labels |= {f"{model}|{_ALL}": model_label(model, context) for model in models}
    names = tuple(re.sub(r"^fold(?=\d)", "", fold) for fold in folds)
    axis = sweep.Axis("Fold", "steps", tuple(range(len(folds) + 1)), (*names, _ALL))
    seeds = common.range_label(table.groupby(["cell", "model"])["seed"].nunique(), "seed")
    genes = common.range_label(table["n_genes"], "gene")
    notes = [
        f"Each fold: mean of {seeds}, {genes}; bars: 95 % t-interval over seeds, where there are"
        f" several. all: mean over {common.count_label(len(folds), 'fold')}, bars: 95 % t-interval"
        " over folds; small dots: folds. Lines only join a model's folds."
    ]
    return sweep.draw_lines(
        {"metrics": _by_fold(table)}, points, labels, (), axis, experiment, context, notes
    )


def _by_fold(table: pd.DataFrame) -> pd.DataFrame:
    """The table with folds as scenarios, and once more with folds as the replicates of ``all``."""
    means = table.groupby(["dataset", "cell", "model", "metric", "fold"], as_index=False).agg(
        value=("value", "mean"), n_genes=("n_genes", "max")
    )
    order = {fold: number for number, fold in enumerate(sorted(means["fold"].unique()))}
    whole = means.assign(scenario=_ALL, seed=means["fold"].map(order), fold=_ALL)
    single = table.assign(scenario=table["fold"], fold="one")
    return pd.concat([single, whole[list(METRIC_COLUMNS)]], ignore_index=True)


def _number(fold: str) -> tuple[int, str]:
    digits = re.search(r"\d+", fold)
    return (int(digits[0]) if digits else 0, fold)
