"""Models trained on one cell and tested on another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from prismflow.errors import InputError
from prismflow.figures.plots import common, forest, style
from prismflow.labels import model_label
from prismflow.statistics.seeds import METRIC_COLUMNS, Interval, over_seeds, per_seed

NEEDS = ("metrics", "cross_cell")
_PREFIX = "on_"
_BASELINES = {"observed": "observed in {}", "mean": "observed, mean of others"}


@style.styled
def draw(
    data: Mapping[str, Any], experiment: Mapping[str, Any], context: Mapping[str, Any]
) -> Figure:
    """A panel per tested cell and metric, a row per cell of training, grouped by model.

    Args:
        data: ``metrics``, the long table, with scenarios ``full`` and ``on_<cell>``;
            ``cross_cell`` of :mod:`prismflow.evaluation.cross_cell`, whose rows without a model
            stand below.
        experiment: ``models``; ``cells``, ``metrics`` as in the main figure.
        context: as in the main figure.

    Raises:
        InputError: no run was tested on another cell.
    """
    table = common.select(data, "metrics", METRIC_COLUMNS, experiment, context)
    elsewhere = table["scenario"].str.startswith(_PREFIX)
    if not elsewhere.any():
        raise InputError(
            f"{common.figure_id(experiment)}: expected runs tested on another cell (scenario "
            f"on_<cell>), found the scenarios {', '.join(sorted(table['scenario'].unique()))}."
        )
    table = _by_tested_cell(table[elsewhere | (table["scenario"] == "full")])
    cells = common.cell_order(table["cell"].unique(), experiment, context)
    names = {cell: common.cell_label(cell, context) for cell in cells}
    tested = {**context, "cells": {cell: f"Tested on {name}" for cell, name in names.items()}}
    seeds = per_seed(table)
    rows = []
    for model in common.model_order(table["model"].unique(), experiment):
        rows.append(forest.Row(f"{model}|", model_label(model, context), header=True))
        rows.extend(
            forest.Row(f"{model}|{cell}", f"trained on {names.get(cell, cell)}", model)
            for cell in cells
            if ((table["model"] == model) & (table["scenario"] == cell)).any()
        )
    trivial, estimates = _without_model(data["cross_cell"], names)
    plan = forest.Plan(
        rows=[*rows, *trivial],
        panels=forest.panels_for(
            seeds, {**experiment, "cells": cells}, tested, "results on both cells"
        ),
        estimates={
            **forest.estimates_of(seeds, lambda names: f"{names[0]}|{names[1]}"),
            **estimates,
        },
        extra_notes=[
            "No test gene is in any model's training set. Without a model: the value that was "
            "observed in the other cell stands for the prediction.",
            common.absent_note(table["model"].unique(), experiment, context),
        ],
    )
    return forest.draw(plan, over_seeds(table), experiment, tested)


def _without_model(
    table: pd.DataFrame, names: Mapping[str, str]
) -> tuple[list[forest.Row], dict[tuple[str, str, str], forest.Estimate]]:
    """Rows of observed values that stand for predictions, and their numbers."""
    found = table[(table["part"] == "level") & table["source"].isin(list(_BASELINES))]
    rows: dict[str, forest.Row] = {"|": forest.Row("|", "Without a model", header=True)}
    estimates = {}
    for row in found.to_dict("records"):
        key = f"|{row['source']}|{row['from_cell']}"
        place = names.get(row["from_cell"], row["from_cell"])
        rows[key] = forest.Row(key, _BASELINES[row["source"]].format(place))
        value = float(row["value"])
        interval = Interval(value, float("nan"), float("nan"), float("nan"), 1)
        estimates[key, row["cell"], row["metric"]] = forest.Estimate(interval, (value,))
    return (list(rows.values()) if estimates else []), estimates


def _by_tested_cell(table: pd.DataFrame) -> pd.DataFrame:
    """The cell that was tested in the column cell, the cell of training as the scenario."""
    own = table["scenario"] == "full"
    tested = table["cell"].where(own, table["scenario"].str.removeprefix(_PREFIX))
    return table.assign(scenario=table["cell"], cell=tested)
