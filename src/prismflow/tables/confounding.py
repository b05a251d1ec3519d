"""Errors, use of the background and differences from Prism without contexts, by confounding."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from prismflow.confounding import KEY, MEASURES, REFERENCE
from prismflow.errors import InputError
from prismflow.plots import common
from prismflow.plots.labels import model_label
from prismflow.tables.render import Block, Sheet, interval, number, p_value

NEEDS = ("confounding",)
OUTPUTS = ("direct", "backdoor")


def build(
    data: Mapping[str, Any], experiment: Mapping[str, Any], context: Mapping[str, Any]
) -> pd.DataFrame:
    """One row per training and test kappa, model, output and measure.

    Returns:
        The columns of :func:`prismflow.confounding.summarise`, then label, and difference,
        difference_low, difference_high, p and p_holm of :func:`prismflow.confounding.contrasts`;
        rows without a difference have none there.

    Raises:
        InputError: no world was run.
    """
    tables = common.require(data, "confounding", experiment)
    if tables["summary"].empty:
        raise InputError(
            f"{common.figure_id(experiment)}: expected measures of at least one world, found none; "
            "add a block to the experiment's `options.grid`."
        )
    differences = tables["contrasts"].drop(columns="n_worlds")
    differences = differences.rename(columns={"low": "difference_low", "high": "difference_high"})
    table = tables["summary"].merge(differences, on=[*KEY, "measure"], how="left")
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
        "measure": table["measure"].map(list(MEASURES).index),
    }
    ranks = pd.DataFrame(keys).sort_values(list(keys), kind="stable")
    return table.loc[ranks.index].reset_index(drop=True)


def sheet(table: pd.DataFrame, experiment: Mapping[str, Any], context: Mapping[str, Any]) -> Sheet:
    """The printed form: a block per training and test kappa, mean and interval over worlds."""
    blocks = []
    for (training, test), rows in table.groupby(["training", "test"], sort=False):
        lines = []
        for _, own in rows.groupby(["model", "output"], sort=False):
            values = own.set_index("measure")
            first = own.iloc[0]
            mse = values.loc["mse"]
            gap = (mse["difference"], mse["difference_low"], mse["difference_high"])
            output = "" if first["output"] == "direct" else ", backdoor"
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
        n_worlds, n_genes = rows["n_worlds"].max(), rows["n_genes"].max()
        heading = (
            f"trained at κ = {number(training, 1)}, tested at κ = {number(test, 1)}: "
            f"{common.count_label(int(n_worlds), 'world')}, {n_genes:,} test genes each"
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
        ),
    )


def _shown(values: pd.DataFrame, measure: str) -> str:
    if measure not in values.index:
        return number(float("nan"))
    row = values.loc[measure]
    return interval(row["mean"], row["low"], row["high"], 3)
