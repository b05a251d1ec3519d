"""Where models err: by class of gene, by predicted level, and what averaging gains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from prismflow.figures.plots import common, style
from prismflow.figures.tables.strata import grouping_label
from prismflow.labels import model_label

NEEDS = ("strata",)
ROW_IN = 0.15
MAX_LEGEND = 6
"""More models than that are named by their colours in the other figures."""
WAYS = {
    "seeds averaged": "seeds",
    "strands averaged": "strands",
    "both averaged": "both",
}


@style.styled
def draw(
    data: Mapping[str, Any], experiment: Mapping[str, Any], context: Mapping[str, Any]
) -> Figure:
    """Per cell: error by class at the left, calibration above, gain of averaging below.

    Args:
        data: ``strata`` of :mod:`prismflow.evaluation.strata`.
        experiment: ``id``, ``models``.
        context: as in the main figure.
    """
    table = common.require(data, "strata", experiment)
    cells = common.cell_order(table["cell"].unique(), experiment, context)
    models = common.model_order(table["model"].unique(), experiment)
    by_class = table[(table["part"] == "stratum") & (table["metric"] == "mse")]
    most = max(
        len(own.drop_duplicates(["grouping", "class"])) + own["grouping"].nunique()
        for _, own in by_class.groupby("cell")
    )
    figure = style.new_figure(style.FULL_WIDTH, (0.7 + ROW_IN * most) * len(cells))
    grid = figure.add_gridspec(
        2 * len(cells), 2, width_ratios=[1.1, 1], height_ratios=[1.6, 1] * len(cells)
    )
    for number, cell in enumerate(cells):
        own = table[table["cell"] == cell]
        left = figure.add_subplot(grid[2 * number : 2 * number + 2, 0])
        left.set_title(common.cell_label(cell, context), loc="left")
        _classes(left, by_class[by_class["cell"] == cell], models, context)
        above = figure.add_subplot(grid[2 * number, 1])
        _calibration(above, own[own["part"] == "calibration"], models, context)
        below = figure.add_subplot(grid[2 * number + 1, 1])
        _gains(below, own[own["part"] == "averaging"], models, context)
    notes = [
        f"Bars: 95 % intervals over seeds and genes; {_sizes(table)}. Left: mean squared error in "
        "classes of at least 10 test genes (number in brackets). Above: mean observed by mean "
        "predicted level, in tenths of the genes by predicted level; on the line predictions are "
        "calibrated. Below: what averaging predictions over seeds, over both strands of a "
        "network's input, or over both changes; over seeds for these seeds."
    ]
    return style.finish(figure, notes, context)


def _sizes(table: pd.DataFrame) -> str:
    genes = table.loc[table["grouping"] == "all", "n_genes"]
    seeds = common.range_label(table["n_seeds"], "seed")
    return f"n = {seeds}, {common.range_label(genes, 'test gene')}"


def _offsets(models: Sequence[str], height: float) -> dict[str, float]:
    return dict(zip(models, np.linspace(-height, height, len(models)), strict=True))


def _looks(models: Sequence[str], context: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Colour and mark of every model; a second one of the same architecture has hollow marks."""
    found: dict[str, dict[str, Any]] = {}
    for model in models:
        look = style.model_style(model, context)
        known = {"color": look.colour, "marker": look.marker}
        hollow = any(known.items() <= other.items() for other in found.values())
        found[model] = {**known, "markerfacecolor": "white"} if hollow else known
    return found


def _classes(
    axes: Axes, table: pd.DataFrame, models: Sequence[str], context: Mapping[str, Any]
) -> None:
    ticks: dict[float, str] = {}
    looks = _looks(models, context)
    offsets = _offsets(models, 0.28 if len(models) > 1 else 0.0)
    y = 0.0
    for grouping, rows in table.groupby("grouping", sort=False):
        if grouping != "all":
            axes.text(0.0, y, grouping_label(str(grouping), context), fontweight="bold",
                      transform=axes.get_yaxis_transform(), va="center", ha="left",
                      fontsize=style.SMALL_SIZE)  # fmt: skip
            y += 1
        for name, own in rows.groupby("class", sort=False):
            label = "all test genes" if grouping == "all" else str(name)
            ticks[y] = f"{label} ({int(own['n_genes'].iloc[0]):,})"
            for row in own.dropna(subset=["value"]).to_dict("records"):
                look = looks[row["model"]]
                at = y + offsets[row["model"]]
                axes.hlines(at, row["low"], row["high"], color=look["color"], linewidth=1)
                axes.plot(row["value"], at, markersize=3, **look)
            y += 1
    axes.set_yticks(list(ticks), list(ticks.values()))
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(y - 0.4, -0.7)
    axes.set_xlim(left=0)
    axes.set_xlabel("MSE")
    axes.grid(axis="x")


def _calibration(
    axes: Axes, table: pd.DataFrame, models: Sequence[str], context: Mapping[str, Any]
) -> None:
    looks = _looks(models, context)
    ends = []
    for model in models:
        own = table[table["model"] == model]
        predicted = own[own["metric"] == "predicted"]
        observed = own[own["metric"] == "observed"]
        slope = own[own["metric"] == "slope"]["value"]
        look = looks[model]
        label = style.wrap(model_label(model, context), 24)
        if len(slope):
            label += f": slope {slope.iloc[0]:.2f}"
        axes.plot(predicted["value"], observed["value"], "-", markersize=3, linewidth=0.9,
                  label=label, **look)  # fmt: skip
        axes.vlines(predicted["value"], observed["low"], observed["high"], color=look["color"],
                    linewidth=0.8)  # fmt: skip
        ends += [*predicted["value"], *observed["value"]]
    if ends:
        axes.plot([min(ends), max(ends)], [min(ends), max(ends)], ":", color=style.MUTED, zorder=0)
    if len(models) <= MAX_LEGEND:
        low, high = axes.get_ylim()
        axes.set_ylim(low, high + 0.2 * len(models) * (high - low))  # above the lines
        axes.legend(loc="upper left")
    axes.set_xlabel("mean predicted")
    axes.set_ylabel("mean observed")
    axes.grid()


def _gains(
    axes: Axes, table: pd.DataFrame, models: Sequence[str], context: Mapping[str, Any]
) -> None:
    rows = table[(table["metric"] == "mse") & table["gain"].notna()]
    ways = [way for way in WAYS if (rows["class"] == way).any()]
    looks = _looks(models, context)
    offsets = _offsets(models, 0.25 if len(models) > 1 else 0.0)
    for row in rows.to_dict("records"):
        look = looks[row["model"]]
        at = ways.index(row["class"]) + offsets[row["model"]]
        axes.hlines(at, row["gain_low"], row["gain_high"], color=look["color"], linewidth=1.2)
        axes.plot(row["gain"], at, markersize=4, **look)
    axes.axvline(0, color=style.MUTED, linestyle=":", linewidth=0.9, zorder=0)
    axes.set_yticks(range(len(ways)), [WAYS[way] for way in ways])
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(max(len(ways), 1) - 0.5, -0.5)
    axes.set_xlabel("MSE minus that of one model")
    axes.locator_params(axis="x", nbins=4)
    axes.grid(axis="x")
