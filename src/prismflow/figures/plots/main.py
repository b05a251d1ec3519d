"""Test error and correlation of every model (the comparison of the paper's Table 1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from prismflow.figures.plots import common, forest, style
from prismflow.labels import HIGHER_IS_BETTER, model_label
from prismflow.statistics.seeds import METRIC_COLUMNS, over_seeds, per_seed

NEEDS = ("metrics",)


@style.styled
def draw(
    data: Mapping[str, Any], experiment: Mapping[str, Any], context: Mapping[str, Any]
) -> Figure:
    """Models as rows, best mean MSE on top; a panel per cell and metric.

    Args:
        data: ``metrics``, the long table.
        experiment: ``models``, ``cells``, ``metrics`` (default mse, pearson), ``scenario``
            (default full), ``order`` ("value", default, or "given").
        context: ``dataset``, ``simulated``, ``model_labels``, ``cells``, ``target_label``.

    Raises:
        InputError: no row of these models, cells and scenario.
    """
    table = common.select(data, "metrics", METRIC_COLUMNS, experiment, context)
    scenario = str(experiment.get("scenario", "full"))
    table = table[table["scenario"] == scenario]
    seeds = per_seed(table)
    panels = forest.panels_for(seeds, experiment, context, f"values of scenario {scenario}")
    summary = over_seeds(table)
    models = _ordered(summary, panels, experiment)
    plan = forest.Plan(
        rows=[forest.Row(model, model_label(model, context), model) for model in models],
        panels=panels,
        estimates=forest.estimates_of(seeds, lambda names: str(names[0])),
        extra_notes=[common.absent_note(models, experiment, context)],
    )
    return forest.draw(plan, summary, experiment, context)


def _ordered(
    summary: pd.DataFrame, panels: list[forest.Panel], experiment: Mapping[str, Any]
) -> list[str]:
    given = common.model_order(summary["model"].unique(), experiment)
    if experiment.get("order", "value") == "given":
        return given
    metric = panels[0].metric
    means = summary[summary["metric"] == metric].pivot(index="model", columns="cell", values="mean")
    relative = (means / means.mean()).mean(axis=1)
    if HIGHER_IS_BETTER.get(metric, False):
        relative = -relative
    last = float("inf")
    return sorted(given, key=lambda model: (relative.get(model, last), given.index(model)))
