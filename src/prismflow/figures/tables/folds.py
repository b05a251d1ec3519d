"""Cross-validated models: the mean over folds beside all folds pooled, and what varies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from prismflow.figures.plots import common
from prismflow.figures.tables.render import (
    NOT_AVAILABLE,
    Block,
    Sheet,
    count,
    interval,
    number,
    ordered,
)
from prismflow.labels import METRIC_LABEL, model_label

NEEDS = ("out_of_fold",)
PUBLISHED = "folds"
"""Experiment of the published sheet whose rows are of this protocol, on the paper's data."""
METRIC = "pearson_pooled"


def build(
    data: Mapping[str, Any], experiment: Mapping[str, Any], context: Mapping[str, Any]
) -> pd.DataFrame:
    """The rows of :func:`prismflow.evaluation.out_of_fold.measure_out_of_fold` and published ones.

    Args:
        data: ``out_of_fold``.
        experiment: ``id``; ``published_experiment`` asks for published values of this protocol.
        context: ``published``, ``published_cells``, ``published_data``.

    Returns:
        Its columns with ``label``, ``published_pooled`` and ``published_source``. A published model
        that is not among ours has a row without own numbers.
    """
    table = common.require(data, "out_of_fold", experiment).copy()
    table["published_pooled"], table["published_source"] = float("nan"), None
    added = []
    for cell in dict.fromkeys(table["cell"]):
        for row in _published(str(cell), experiment, context).itertuples():
            own = (table["cell"] == cell) & (table["model"] == row.model)
            own &= table["metric"] == "pearson"
            if own.any():
                table.loc[own, ["published_pooled", "published_source"]] = [row.value, row.source]
                continue
            added.append(
                {"cell": cell, "model": row.model, "metric": "pearson", "n_seeds": 0,
                 "published_pooled": row.value, "published_source": row.source}
            )  # fmt: skip
    if added:
        table = pd.concat([table, pd.DataFrame(added)], ignore_index=True)
    labels = [model_label(str(model), context) for model in table["model"]]
    table.insert(table.columns.get_loc("model") + 1, "label", labels)
    order = ordered(table["model"], context)
    cells = list(dict.fromkeys(table["cell"]))
    rank = [cells.index(c) * len(order) + order.index(m) for c, m in zip(
        table["cell"], table["model"], strict=True)]  # fmt: skip
    return table.iloc[pd.Series(rank).sort_values(kind="stable").index].reset_index(drop=True)


def _published(
    cell: str, experiment: Mapping[str, Any], context: Mapping[str, Any]
) -> pd.DataFrame:
    """Published values of this cell, where the data are the paper's or an experiment asks."""
    sheet = context.get("published")
    name = experiment.get("published_experiment") or (
        PUBLISHED if context.get("published_data") else None
    )
    if sheet is None or name is None:
        return pd.DataFrame(columns=["model", "value", "source"])
    there = (context.get("published_cells") or {}).get(cell, cell)
    chosen = (sheet["experiment"] == name) & (sheet["cell"] == there) & (sheet["metric"] == METRIC)
    return sheet[chosen & sheet["value"].notna()]


def sheet(table: pd.DataFrame, experiment: Mapping[str, Any], context: Mapping[str, Any]) -> Sheet:
    """The printed form: a block per cell, a line per model."""
    quoted = table["published_pooled"].notna().any()
    blocks = []
    for cell, rows in table.groupby("cell", sort=False):
        lines = []
        for _, own in rows.groupby("model", sort=False):
            found = {row["metric"]: row for row in own.to_dict("records")}
            r, mse = found["pearson"], found.get("mse", {})
            lines.append(
                (
                    str(r["label"]),
                    *(count(r[name]) if r["n_seeds"] else NOT_AVAILABLE
                      for name in ("n_folds", "n_seeds", "n_genes")),
                    _interval(r, "mean"), _other(r), _interval(r, "pooled"),
                    number(r["sd_folds"], 3), number(r["sd_seeds"], 3), number(r["sd_rest"], 3),
                    _interval(mse, "mean"), _interval(mse, "pooled"),
                    *([number(r["published_pooled"], 3)] if quoted else []),
                )
            )  # fmt: skip
        blocks.append(Block(common.cell_label(str(cell), context), tuple(lines)))
    r, mse = METRIC_LABEL["pearson"], METRIC_LABEL["mse"]
    columns = (
        "Model", "folds", "seeds", "genes", f"{r}, mean over folds", "for other folds and seeds",
        f"{r}, all folds pooled", "sd over folds", "over seeds", "left over",
        f"{mse}, mean over folds", f"{mse}, all folds pooled",
        *(["published pooled r"] if quoted else []),
    )  # fmt: skip
    return Sheet(
        columns=columns,
        align="l" + "r" * (len(columns) - 1),
        blocks=tuple(blocks),
        caption=str(experiment["title"]).rstrip(".")
        + (". Simulated data." if context.get("simulated") else "."),
        notes=(
            "Pooled: one correlation over the test genes of all folds, each predicted out of fold; "
            "differences between folds enter it. Intervals of 95 % over seeds and genes of these "
            "folds; 'for other folds and seeds' takes both as samples of one crossed design. "
            "Training sets of folds overlap, so folds are not quite independent.",
            *_quoted_notes(table),
        ),
    )


def _interval(row: Mapping[str, Any], name: str) -> str:
    if name not in row:
        return NOT_AVAILABLE
    return interval(row[name], row[f"{name}_low"], row[f"{name}_high"], 3)


def _other(row: Mapping[str, Any]) -> str:
    low, high = number(row["other_low"], 3), number(row["other_high"], 3)
    return NOT_AVAILABLE if low == NOT_AVAILABLE else f"[{low}, {high}]"


def _quoted_notes(table: pd.DataFrame) -> list[str]:
    sources = sorted(set(table["published_source"].dropna()))
    if not sources:
        return []
    return [f"The published column is quoted, not computed here: {'; '.join(sources)}."]
