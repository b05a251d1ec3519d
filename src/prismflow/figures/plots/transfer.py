"""Models trained on one cell and tested on another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from prismflow.errors import InputError
from prismflow.figures.plots import common, forest, style
from prismflow.labels import model_label
from prismflow.statistics.seeds import METRIC_COLUMNS, over_seeds, per_seed

NEEDS = ("metrics",)
_PREFIX = "on_"


@style.styled
def draw(
    data: Mapping[str, Any], experiment: Mapping[str, Any], context: Mapping[str, Any]
) -> Figure:
    """A panel per tested cell and metric, a row per cell of training, grouped by model.

    Args:
        data: ``metrics``, the long table, with scenarios ``full`` and ``on_<cell>``.
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
    plan = forest.Plan(
        rows=rows,
        panels=forest.panels_for(
            seeds, {**experiment, "cells": cells}, tested, "results on both cells"
        ),
        estimates=forest.estimates_of(seeds, lambda names: f"{names[0]}|{names[1]}"),
        extra_notes=[
            "No test gene is in any model's training set.",
            common.absent_note(table["model"].unique(), experiment, context),
        ],
    )
    return forest.draw(plan, over_seeds(table), experiment, tested)


def _by_tested_cell(table: pd.DataFrame) -> pd.DataFrame:
    """The cell that was tested in the column cell, the cell of training as the scenario."""
    own = table["scenario"] == "full"
    tested = table["cell"].where(own, table["scenario"].str.removeprefix(_PREFIX))
    return table.assign(scenario=table["cell"], cell=tested)
