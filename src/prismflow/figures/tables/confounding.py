"""Errors, use of the background and differences from Prism without contexts, by confounding."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from prismflow.errors import InputError
from prismflow.evaluation.confounding import KEY, MEASURES, REFERENCE
from prismflow.figures.plots import common
from prismflow.figures.tables.render import Block, Sheet, interval, number, p_value
from prismflow.labels import model_label

NEEDS = ("confounding",)
OUTPUTS = ("direct", "backdoor", "adapted", "contexts")
CONTEXT_MEASURES = ("mean_kept", "r_background", "r_activity")


def build(
    data: Mapping[str, Any], experiment: Mapping[str, Any], context: Mapping[str, Any]
) -> pd.DataFrame:
    """One row per training and test kappa, model, output and measure.

    Returns:
        The columns of :func:`~prismflow.evaluation.confounding.summarise`, then label, and
        difference, difference_low, difference_high, p and p_holm of
        :func:`~prismflow.evaluation.confounding.contrasts`;
        rows without a difference have none there. Rows of the output ``contexts`` hold how context
        weights go with the background C and the true activity.

    Raises:
        InputError: no world was run.
    """
    tables = common.require(data, "confounding", experiment)
    if tables["summary"].empty:
        raise InputError(
            f"{common.figure_id(experiment)}: expected measures of at least one world, found none; "
            "add a block to the experiment's `options.grid`."
        )
    contexts = tables["contexts"].assign(output="contexts")
    differences = tables["contrasts"].drop(columns="n_worlds")
    differences = differences.rename(columns={"low": "difference_low", "high": "difference_high"})
    table = tables["summary"].merge(differences, on=[*KEY, "measure"], how="left")
    table = pd.concat([table, contexts], ignore_index=True) if len(contexts) else table
    order = common.model_order(table["model"].unique(), experiment)
    table.insert(
        table.columns.get_loc("measure"),
        "label",
        [model_label(model, context) for model in table["model"]],
    )
    keys = {
        "training": -table["training"],
        "test": -table["test"],
        "model": table["model"].map(order.index),
        "output": table["output"].map(OUTPUTS.index),
        "measure": table["measure"].map([*MEASURES, *CONTEXT_MEASURES].index),
    }
    ranks = pd.DataFrame(keys).sort_values(list(keys), kind="stable")
    return table.loc[ranks.index].reset_index(drop=True)


def sheet(table: pd.DataFrame, experiment: Mapping[str, Any], context: Mapping[str, Any]) -> Sheet:
    """The printed form: a block per training and test kappa, mean and interval over worlds."""
    blocks = []
    printed = table[table["output"] != "contexts"]
    for (training, test), rows in printed.groupby(["training", "test"], sort=False):
        lines = []
        for _, own in rows.groupby(["model", "output"], sort=False):
            values = own.set_index("measure")
            first = own.iloc[0]
            mse = values.loc["mse"]
            gap = (mse["difference"], mse["difference_low"], mse["difference_high"])
            output = "" if first["output"] == "direct" else f", {first['output']}"
            lines.append(
                (
                    f"{first['label']}{output}",
                    _shown(values, "mse"),
                    number(values["mean"].get("pearson", float("nan")), 3),
                    interval(*gap, 3),
                    p_value(mse["p_holm"]),
                    _shown(values, "reliance"),
                    _shown(values, "recovery"),
                    _shown(values, "error_c"),
                )
            )
        n_worlds, n_genes = int(rows["n_worlds"].max()), int(rows["n_genes"].max())
        heading = (
            f"trained at κ = {number(training, 1)}, tested at κ = {number(test, 1)}: "
            f"{common.count_label(n_worlds, 'world')}, {n_genes:,} test genes each"
        )
        blocks.append(Block(heading, tuple(lines)))
    reference = model_label(REFERENCE[0], context)
    columns = (
        "Model", "MSE", "Pearson r", f"MSE minus that of {reference}", "p (Holm)",
        "MSE added without DNase, Hi-C", "MSE added without H3K27ac", "partial r of error and C",
    )  # fmt: skip
    return Sheet(
        columns=columns,
        align="lrrrrrrr",
        blocks=tuple(blocks),
        caption=f"{str(experiment['title']).rstrip('.')}. Simulated data.",
        notes=(
            "Mean [95 % t-interval] over worlds. Differences are paired by world; p of a paired "
            "t-test, by Holm over the models of a block. Without a signal: its values are "
            "exchanged between test genes. Partial r: true causes of expression held fixed.",
            *_context_notes(table),
        ),
    )


def _shown(values: pd.DataFrame, measure: str) -> str:
    if measure not in values.index:
        return number(float("nan"))
    row = values.loc[measure]
    return interval(row["mean"], row["low"], row["high"], 3)


def _context_notes(table: pd.DataFrame) -> list[str]:
    """How learned weights go with the background, where the shortcut holds."""
    rows = table[(table["output"] == "contexts") & (table["test"] == table["training"])]
    notes = []
    for (training, _, label), own in rows.groupby(["training", "model", "label"], sort=False):
        values = own.set_index("measure")
        notes.append(
            f"{label}, κ = {number(training, 1)}: size of the correlation of a gene's mean context "
            f"weight with C {_shown(values, 'r_background')}, with the true activity "
            f"{_shown(values, 'r_activity')}; mean weight {_shown(values, 'mean_kept')}."
        )
    return notes
