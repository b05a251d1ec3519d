"""How far trained models look: error and change of the prediction against the distance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from prismflow.errors import InputError
from prismflow.figures.plots import common, style
from prismflow.labels import model_label

NEEDS = ("reach",)
_REPLACE = {"blank": "#0072b2", "shuffle": "#d55e00", "exchange": "#00795a"}
_INPUTS = {"both": "#222222", "sequence": "#c0509a", "signals": "#a6761d"}
_WHERE: dict[str, Literal["-", "--"]] = {"all": "-", "elements": "--"}


@style.styled
def draw(
    data: Mapping[str, Any], experiment: Mapping[str, Any], context: Mapping[str, Any]
) -> Figure:
    """A row per cell and model: error, change, and the error by kind of input.

    Args:
        data: ``reach``: columns of :mod:`prismflow.figures.read.reach`.
        experiment: ``id``, ``models``.
        context: ``cells``, ``model_labels``, ``simulated``.

    Raises:
        InputError: no model looks beyond any of the distances.
    """
    table = common.require(data, "reach", experiment)
    if table.empty or not (table["beyond_bp"] > 0).any():
        raise InputError(
            f"{common.figure_id(experiment)}: expected a model with input beyond one of the "
            "distances, found none; lower `beyond_bp` or name models with longer windows."
        )
    table = table.assign(more=100 * (table["mse"] / table["mse_full"] - 1))
    cells = common.cell_order(table["cell"].unique(), experiment, context)
    models = common.model_order(table["model"].unique(), experiment)
    places = [(c, m) for c in cells for m in models if _there(table, c, m)]
    figure = style.new_figure(style.FULL_WIDTH, 0.9 + 1.35 * len(places))
    panels = figure.subplots(len(places), 3, squeeze=False, sharex=True)
    for row, (cell, model) in zip(panels, places, strict=True):
        own = table[(table["cell"] == cell) & (table["model"] == model)]
        both = own[own["inputs"] == "both"]
        _curves(row[0], both, "more", "replace", _REPLACE)
        _curves(row[1], both, "change", "replace", _REPLACE)
        _curves(row[2], own[own["replace"] == "exchange"], "more", "inputs", _INPUTS)
        _averaged(row[0], own, "more")
        _averaged(row[1], own, "change")
        row[0].set_title(
            f"{common.cell_label(cell, context)}: {model_label(model, context)}", loc="left"
        )
        row[0].set_ylabel("MSE (% more)")
        row[1].set_ylabel("change (sd)")
        row[2].set_ylabel("MSE (% more)")
    _frame(panels, sorted(table.loc[table["beyond_bp"] > 0, "beyond_bp"].unique()))
    return style.finish(figure, [_note(table)], context)


def _there(table: pd.DataFrame, cell: str, model: str) -> bool:
    return bool(
        ((table["cell"] == cell) & (table["model"] == model) & (table["beyond_bp"] > 0)).any()
    )


def _curves(
    axes: Axes, rows: pd.DataFrame, column: str, by: str, colours: Mapping[str, str]
) -> None:
    """Mean over runs against the distance, and every run as a dot."""
    axes.axhline(0, color=style.MUTED, linewidth=0.6)
    rows = rows[rows["beyond_bp"] > 0]
    for (where, kind), part in rows.groupby(["where", by], sort=False):
        means = part.groupby("beyond_bp")[column].mean()
        colour = colours[kind]
        axes.plot(means.index, means, _WHERE[where], color=colour, marker="o", markersize=2.5)
        if part.groupby("beyond_bp").size().max() > 1:
            axes.plot(part["beyond_bp"], part[column], ".", color=colour, markersize=2, alpha=0.5)


def _averaged(axes: Axes, rows: pd.DataFrame, column: str) -> None:
    own = rows[rows["replace"] == "averaged"]
    if len(own):
        axes.axhline(own[column].mean(), color=style.INK, linestyle=":", linewidth=0.9)


def _frame(panels: Any, distances: list[int]) -> None:
    """Axes of distance, titles of columns, legends."""
    for axes in panels.ravel():
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(FixedLocator(distances))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / 1000:g}"))
        axes.grid(axis="y")
        axes.locator_params(axis="y", nbins=4)
    for axes in panels[-1]:
        axes.set_xlabel("replaced beyond (kb)")
    first = panels[0]
    replaced = [Line2D([], [], color=colour, label=name) for name, colour in _REPLACE.items()]
    places = [
        Line2D([], [], color=style.INK, linestyle=line, label=name) for name, line in _WHERE.items()
    ]
    places.append(Line2D([], [], color=style.INK, linestyle=":", label="averaged"))
    kinds = [Line2D([], [], color=colour, label=name) for name, colour in _INPUTS.items()]
    first[1].set_title("change of prediction", loc="left")
    first[2].set_title("exchanged, by input", loc="left")
    for axes, handles in ((first[0], replaced), (first[1], places), (first[2], kinds)):
        low, high = axes.get_ylim()
        axes.set_ylim(low, high + (high - low))  # above the lines
        axes.legend(handles=handles, loc="upper right", fontsize=style.SMALL_SIZE)


def _note(table: pd.DataFrame) -> str:
    runs = table.drop_duplicates(["cell", "model", "fold", "seed"])
    seeds = runs.groupby(["cell", "model"]).size()
    return (
        f"Lines: mean over {common.range_label(seeds, 'run')} per model, "
        f"{common.range_label(table['n_genes'], 'test gene')}; dots: runs. Error: MSE over that "
        "with all input; change: root mean square over the sd of predictions. Contacts are "
        "replaced with the signals. One exchange and one shuffle were drawn."
    )
