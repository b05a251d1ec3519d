"""Resolved settings of every run, from ``model.json`` (paper, Table 9)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from prismflow.figures.plots import common
from prismflow.figures.tables.render import Block, Sheet
from prismflow.labels import model_label

NEEDS = ("records",)
GROUPS = {
    "model": "Input",
    "hyperparameters": "Architecture",
    "loss": "Loss weights",
    "training": "Training",
    "run": "Runs",
}


def build(
    data: Mapping[str, Any], experiment: Mapping[str, Any], context: Mapping[str, Any]
) -> pd.DataFrame:
    """One row per run and setting, as loaded: cell, model, fold, seed, group, setting, value."""
    return common.require(data, "records", experiment)


def sheet(table: pd.DataFrame, experiment: Mapping[str, Any], context: Mapping[str, Any]) -> Sheet:
    """A block per model, a line per setting; runs that differ in a setting are listed there."""
    blocks = []
    for model in common.model_order(table["model"].unique(), experiment):
        own = table[table["model"] == model]
        n_runs = len(own[["cell", "fold", "seed"]].drop_duplicates())
        heading = f"{model_label(model, context)} ({common.count_label(n_runs, 'run')})"
        lines = []
        for group, title in GROUPS.items():
            part = own[own["group"] == group]
            for setting in dict.fromkeys(part["setting"]):
                rows = part[part["setting"] == setting]
                lines.append((title, setting.replace("_", " "), _values(rows)))
        blocks.append(Block(heading, tuple(lines)))
    folds = ", ".join(sorted(table["fold"].unique()))
    seeds = ", ".join(str(seed) for seed in sorted(table["seed"].unique()))
    return Sheet(
        columns=("", "setting", "value"),
        align="lll",
        blocks=tuple(blocks),
        caption=f"{str(experiment['title']).rstrip('.')}: folds {folds}; seeds {seeds}.",
        notes=(
            "As recorded beside the trained weights (model.json), defaults filled in; several "
            "values are those of runs that differ.",
        ),
    )


def _values(rows: pd.DataFrame) -> str:
    """The one value of all runs, the values by cell, or the range over runs."""
    values = list(dict.fromkeys(rows["value"]))
    if len(values) == 1:
        return values[0]
    by_cell = rows.groupby("cell", sort=True)["value"].agg(lambda v: list(dict.fromkeys(v)))
    if all(len(own) == 1 for own in by_cell):
        return "; ".join(f"{cell}: {own[0]}" for cell, own in by_cell.items())
    numbers = pd.to_numeric(pd.Series(values), errors="coerce")
    if numbers.notna().all():
        return f"{numbers.min():g} to {numbers.max():g}"
    return "; ".join(values)
