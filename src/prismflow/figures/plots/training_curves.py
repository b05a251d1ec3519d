"""Training loss and validation error against the step, every run of every model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from prismflow.errors import InputError
from prismflow.figures.plots import common, room, style
from prismflow.labels import model_label, target_label

_VALUES = {"train_loss": "train loss", "valid_mse": "valid. MSE"}
NEEDS = ("histories",)
_COLUMNS = ("dataset", "cell", "model", "fold", "seed", "step", "train_loss", "valid_mse")
_ROW_IN = 0.66
_LABEL_CHARS = 18
_LOG_FROM = 4.0
_SHARED_WITHIN = 3.0


@style.styled
def draw(
    data: Mapping[str, Any], experiment: Mapping[str, Any], context: Mapping[str, Any]
) -> Figure:
    """Rows are models; columns are train loss and validation MSE of each cell.

    Args:
        data: ``histories``: columns dataset cell model fold seed step train_loss valid_mse.
        experiment: ``models``, ``cells``.
        context: as in the main figure.

    Raises:
        InputError: no model has two points to join.
    """
    table = common.select(data, "histories", _COLUMNS, experiment, context)
    runs = table.groupby(["model", "cell", "fold", "seed"])["step"].transform("nunique")
    iterative = table[runs > 1]
    if iterative.empty:
        raise InputError(
            f"{common.figure_id(experiment)}: expected a history of at least two steps, found none "
            f"(models: {', '.join(sorted(table['model'].unique()))}); choose a model that is "
            "trained by steps."
        )
    models = common.model_order(iterative["model"].unique(), experiment)
    cells = common.cell_order(iterative["cell"].unique(), experiment, context)
    bands = room.bands(cells, 2)
    columns = [(place, value) for place in range(len(bands[0])) for value in _VALUES]
    lines = [(band, model) for band in bands for model in models]
    figure = style.new_figure(style.FULL_WIDTH, (_ROW_IN * len(models) + 0.5) * len(bands))
    last = iterative.groupby("model")["step"].max()
    shared = bool(last.max() <= _SHARED_WITHIN * last.min())
    grid = figure.subplots(len(lines), len(columns), squeeze=False,
                           sharex=True if shared else "row")  # fmt: skip
    for row, (band, model) in enumerate(lines):
        rows = iterative[iterative["model"] == model]
        for column, (place, value) in enumerate(columns):
            axes = grid[row][column]
            if place >= len(band):
                axes.remove()
                continue
            cell = band[place]
            _panel(axes, rows[rows["cell"] == cell], value, style.model_style(model, context))
            _scale(axes, iterative if value == "valid_mse" else rows, value)
            axes.set_xlim(0, None)
            if row % len(models) == 0:
                name = f"{common.cell_label(cell, context)}, {_VALUES[value]}"
                axes.set_title(name, loc="left")
            if (row + 1) % len(models) == 0:
                axes.set_xlabel("Step")
        label = style.wrap(model_label(model, context), _LABEL_CHARS)
        grid[row][0].set_ylabel(label, rotation=0, ha="right", va="center", labelpad=4)
    return style.finish(
        figure, _notes(table, iterative, models, cells, experiment, context), context
    )


def _notes(
    table: pd.DataFrame,
    iterative: pd.DataFrame,
    models: Sequence[str],
    cells: Sequence[str],
    experiment: Mapping[str, Any],
    context: Mapping[str, Any],
) -> list[str]:
    counts = iterative.groupby(["cell", "model"])["seed"].nunique()
    notes = [
        f"Lines: {common.range_label(counts, 'seed')} per model. Dots: lowest validation MSE, the "
        "step whose weights are kept. Train loss: each model's own loss and scale; "
        f"validation MSE of {target_label(context)}: one scale."
    ]
    closed = sorted(set(table["model"]) - set(iterative["model"]))
    if closed:
        names = ", ".join(model_label(model, context) for model in closed)
        notes.append(f"Not trained by steps: {names}.")
    notes.append(common.absent_note(table["model"].unique(), experiment, context))
    return notes


def _panel(axes: Axes, rows: pd.DataFrame, value: str, look: style.ModelStyle) -> None:
    axes.grid(axis="y")
    if rows[value].notna().sum() == 0:
        text = "no run" if rows.empty else "not recorded"
        axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center",
                  fontsize=style.SMALL_SIZE, color=style.MUTED)  # fmt: skip
        return
    for _, run in rows.groupby(["fold", "seed"], sort=True):
        run = run.sort_values("step").dropna(subset=[value])
        axes.plot(run["step"], run[value], color=look.colour, linewidth=0.8, alpha=0.75)
        if value == "valid_mse" and len(run):
            best = run.loc[run[value].idxmin()]
            axes.plot([best["step"]], [best[value]], marker="o", markersize=3.4, color=look.colour,
                      markeredgecolor=style.INK, markeredgewidth=0.6, zorder=4)  # fmt: skip


def _scale(axes: Axes, rows: pd.DataFrame, value: str) -> None:
    """Limits from the rows that share a scale; logarithmic where they span a large factor."""
    values = rows[value].to_numpy(float)
    values = values[np.isfinite(values)]
    if values.size:
        low, high = float(values.min()), float(values.max())
        if low > 0 and high / low > _LOG_FROM:
            axes.set_yscale("log")
            axes.set_ylim(low / 1.15, high * 1.15)
            axes.yaxis.set_major_locator(LogLocator(10, subs=(1.0, 2.0, 5.0), numticks=5))
            axes.yaxis.set_major_formatter(FuncFormatter(lambda number, _: f"{number:g}"))
            axes.yaxis.set_minor_locator(NullLocator())
        else:
            pad = 0.08 * ((high - low) or abs(high) or 1.0)
            axes.set_ylim(low - pad, high + pad)
            axes.locator_params(axis="y", nbins=3)
    axes.xaxis.set_major_formatter(FuncFormatter(_step_label))
    axes.locator_params(axis="x", nbins=3)


def _step_label(value: float, _: int | None = None) -> str:
    return f"{value / 1000:g}k" if abs(value) >= 1000 else f"{value:g}"
