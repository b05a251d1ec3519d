"""Tests on other cells and differences between cells, with what needs no model beside them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from prismflow.figures.plots import common
from prismflow.figures.tables.render import Block, Sheet, interval
from prismflow.labels import model_label

NEEDS = ("cross_cell",)
KEYS = ["part", "cell", "other_cell", "source", "from_cell", "model"]


def build(
    data: Mapping[str, Any], experiment: Mapping[str, Any], context: Mapping[str, Any]
) -> pd.DataFrame:
    """The rows of :func:`prismflow.evaluation.cross_cell.cross_cell`, with a label in words."""
    table = common.require(data, "cross_cell", experiment).copy()
    table.insert(table.columns.get_loc("model") + 1, "label", _labels(table, context))
    return table


def _labels(table: pd.DataFrame, context: Mapping[str, Any]) -> list[str]:
    return [source_label(row, context) for row in table.to_dict("records")]


def source_label(row: Mapping[str, Any], context: Mapping[str, Any]) -> str:
    """Where the numbers of a row come from, in words."""
    place = common.cell_label(str(row["from_cell"]), context)
    if row["source"] == "observed":
        return f"observed in {place} (no model)"
    if row["source"] == "mean":
        return "observed, mean over the other cells (no model)"
    if row["source"] == "equal":
        return "no difference (no model)"
    name = model_label(str(row["model"]), context)
    if row["source"] == "own" and row["part"] == "difference":
        return f"{name}, each cell's own"
    both = " for both cells" if row["part"] == "difference" else ""
    return f"{name}, trained on {place}{both}"


def sheet(table: pd.DataFrame, experiment: Mapping[str, Any], context: Mapping[str, Any]) -> Sheet:
    """The printed form: a block per tested cell, and one per pair of cells."""
    blocks = []
    for (part, cell, other), rows in table.groupby(["part", "cell", "other_cell"], sort=False):
        lines = []
        for _, own in rows.groupby(KEYS, sort=False):
            by_metric = {row["metric"]: row for row in own.to_dict("records")}
            mse, r = by_metric["mse"], by_metric["pearson"]
            lines.append(
                (
                    str(mse["label"]), str(mse["n_seeds"] or "–"), _shown(r, "value", "", 3),
                    _shown(r, "minus_own", "minus_own_", 3),
                    _shown(r, "minus_baseline", "minus_baseline_", 3), _shown(mse, "value", "", 3),
                    _shown(mse, "minus_own", "minus_own_", 3),
                    _shown(mse, "minus_baseline", "minus_baseline_", 3),
                )
            )  # fmt: skip
        name = common.cell_label(str(cell), context)
        genes = f"{int(rows['n_genes'].max()):,} test genes"
        heading = (
            f"Label in {name}, {genes}"
            if part == "level"
            else f"Label in {name} minus label in {common.cell_label(str(other), context)}, {genes}"
        )
        blocks.append(Block(heading, tuple(lines)))
    return Sheet(
        columns=(
            "Predicted by", "seeds", "Pearson r", "r minus own cell's",
            "r minus best without model", "MSE", "MSE minus own cell's",
            "MSE minus best without model",
        ),
        align="lrrrrrrr",
        blocks=tuple(blocks),
        caption=str(experiment["title"]).rstrip(".")
        + (". Simulated data." if context.get("simulated") else "."),
        notes=(
            "Intervals of 95 % over seeds and genes, differences paired by both. Without a model: "
            "the observed value of the other cell as it is, of which the better one by Pearson's r "
            "is subtracted; for differences between cells no difference, which has no correlation. "
            "A label that is a logarithm makes the difference a log ratio.",
        ),
    )  # fmt: skip


def _shown(row: Mapping[str, Any], value: str, prefix: str, digits: int) -> str:
    return interval(row[value], row[f"{prefix}low"], row[f"{prefix}high"], digits)
