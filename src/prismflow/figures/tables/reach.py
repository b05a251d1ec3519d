"""Error and change of the prediction when input beyond a distance is replaced, in numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from prismflow.errors import InputError
from prismflow.figures.plots import common
from prismflow.figures.tables.render import Block, Sheet, number
from prismflow.labels import model_label

NEEDS = ("reach",)
_BY = ["cell", "model", "where", "inputs", "replace", "beyond_bp"]


def build(
    data: Mapping[str, Any], experiment: Mapping[str, Any], context: Mapping[str, Any]
) -> pd.DataFrame:
    """One row per cell, model, kind of replacement and distance; means over runs.

    Args:
        data: ``reach``: columns of :mod:`prismflow.figures.read.reach`.
        experiment: ``id``, ``models``.
        context: ``cells``.

    Raises:
        InputError: nothing was replaced anywhere.
    """
    table = common.require(data, "reach", experiment)
    if table.empty:
        raise InputError(
            f"{common.figure_id(experiment)}: expected a model with input beyond one of the "
            "distances, found none; lower `beyond_bp` or name models with longer windows."
        )
    grouped = table.groupby(_BY, sort=False)
    found = grouped[["mse", "mse_full", "change"]].mean()
    found["n_runs"], found["n_genes"] = grouped.size(), grouped["n_genes"].first()
    found = found.reset_index()
    orders = {
        "cell": common.cell_order(table["cell"].unique(), experiment, context),
        "model": common.model_order(table["model"].unique(), experiment),
        "where": ["all", "elements"], "inputs": ["both", "sequence", "signals"],
        "replace": ["blank", "shuffle", "exchange", "averaged"],
    }  # fmt: skip
    rank = {name: found[name].map({v: i for i, v in enumerate(o)}) for name, o in orders.items()}
    order = pd.DataFrame({**rank, "beyond_bp": found["beyond_bp"]}).sort_values(_BY).index
    return found.loc[order].reset_index(drop=True)


def sheet(table: pd.DataFrame, experiment: Mapping[str, Any], context: Mapping[str, Any]) -> Sheet:
    """The printed form: a block per cell and model, a line per replacement and distance."""
    blocks = []
    for (cell, model), rows in table.groupby(["cell", "model"], sort=False):
        lines = tuple(
            (_name(row), f"{row['beyond_bp'] / 1000:g}" if row["beyond_bp"] else "",
             number(row["mse"], 4), number(row["mse"] - row["mse_full"], 4),
             number(row["change"], 3))
            for row in rows.to_dict("records")
        )  # fmt: skip
        names = common.cell_label(str(cell), context), model_label(str(model), context)
        runs = common.count_label(int(rows["n_runs"].iloc[0]), "run")
        whole = f"MSE {rows['mse_full'].iloc[0]:.4f}, {runs}"
        blocks.append(Block(f"{', '.join(names)}: {whole}", lines))
    return Sheet(
        columns=("Replaced", "beyond (kb)", "MSE", "difference", "change (sd)"),
        align="lrrrr",
        blocks=tuple(blocks),
        caption=f"{str(experiment['title']).rstrip('.')}."
        + (" Simulated data." if context.get("simulated") else ""),
        notes=(
            "Difference: from the error with all input. Change: root mean square of the change of "
            "the prediction over the standard deviation of predictions. Averaged: offsets of -43, "
            "0 and +43 bp on both strands, nothing replaced.",
        ),
    )


def _name(row: Mapping[str, Any]) -> str:
    if row["replace"] == "averaged":
        return "averaged predictions"
    what = {"both": "sequence and signals"}.get(row["inputs"], row["inputs"])
    where = "elements" if row["where"] == "elements" else "all"
    done = {"blank": "taken out", "shuffle": "shuffled", "exchange": "exchanged"}
    return f"{where}, {what}, {done[row['replace']]}"
