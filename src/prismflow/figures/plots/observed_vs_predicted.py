"""Observed against predicted expression of the test genes, one panel per model and cell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator

from prismflow.errors import InputError
from prismflow.figures.plots import common, style
from prismflow.labels import model_label, target_label
from prismflow.statistics.bootstrap import bootstrap_interval, pearson, spearman

NEEDS = ("predictions",)
_COLUMNS = ("dataset", "cell", "model", "fold", "seed", "scenario", "gene_id", "observed",
            "predicted")  # fmt: skip
_HEXBIN_FROM = 3000
_LEFT_IN, _GAP_IN, _CORNER_IN, _BETWEEN_IN = 0.46, 0.08, 0.32, 0.07
_CELL_IN, _TICK_IN, _XLABEL_IN, _LINE_IN = 0.16, 0.13, 0.3, 0.115


@style.styled
def draw(
    data: Mapping[str, Any], experiment: Mapping[str, Any], context: Mapping[str, Any]
) -> Figure:
    """Scatter (hexbins above 3,000 genes) with identity line, correlations and n.

    The points, and the numbers in the corner, are those of one seed (the first that the model has
    unless ``experiment["seed"]`` says which), so that figure and number describe the same thing.

    Args:
        data: ``predictions``: dataset cell model fold seed scenario gene_id observed predicted.
        experiment: ``models``, ``cells``, ``scenario`` (default full), ``seed``,
            ``bootstrap_resamples`` (default 1000).
        context: as in the main figure.

    Raises:
        InputError: no prediction of these models, cells, scenario and seed.
    """
    table = common.select(data, "predictions", _COLUMNS, experiment, context)
    table = _one_seed(table, experiment)
    cells = common.cell_order(table["cell"].unique(), experiment, context)
    models = common.model_order(table["model"].unique(), experiment)
    columns = min(5, len(models))
    bands = -(-len(models) // columns)
    width = style.FULL_WIDTH if columns > 2 or len(cells) > 2 else style.COLUMN_WIDTH
    edge = _LEFT_IN + _number_room(table)
    side = min(1.75, (width - edge - _LINE_IN) / columns - _GAP_IN)
    names = [style.wrap(model_label(model, context), int(side / 0.05)) for model in models]
    target = style.wrap(target_label(context), int(side / style.CHAR_IN))
    more = _LINE_IN * target.count("\n")
    title = 0.06 + 0.12 * (1 + max(name.count("\n") for name in names))
    band = title + _CORNER_IN + side + _BETWEEN_IN
    block = _CELL_IN + bands * band + _TICK_IN
    height = len(cells) * block + _XLABEL_IN + more
    figure = style.new_figure(width, height, automatic=False)
    for number, cell in enumerate(cells):
        own = table[table["cell"] == cell]
        bounds = _bounds(own)
        for index, model in enumerate(models):
            left = edge + more + (index % columns) * (side + _GAP_IN)
            bottom = number * block + _CELL_IN + (index // columns + 1) * band - _BETWEEN_IN
            axes = figure.add_axes(
                (left / width, 1 - bottom / height, side / width, (side + _CORNER_IN) / height)
            )
            above = bounds[1] + (bounds[1] - bounds[0]) * _CORNER_IN / side
            axes.set_xlim(*bounds)
            axes.set_ylim(bounds[0], above)
            _panel(axes, own[own["model"] == model], bounds, model, experiment, context)
            _frame(axes, index, columns, len(models), number + 1 == len(cells), target)
            axes.set_title(names[index], loc="left", fontsize=style.SMALL_SIZE, fontweight="normal")
            if index == 0:
                axes.annotate(common.cell_label(cell, context), (0, 1), xytext=(0, 72 * title - 1),
                              xycoords="axes fraction", textcoords="offset points",
                              fontweight="bold", va="bottom")  # fmt: skip
    return style.finish(figure, _notes(table, models, experiment, context), context)


def _frame(axes: Axes, index: int, columns: int, total: int, last_cell: bool,
           target: str) -> None:  # fmt: skip
    """Tick labels at the left and the bottom of a cell's panels, names at the outer edge."""
    left = index % columns == 0
    below = index + columns >= total
    axes.tick_params(labelleft=left, labelbottom=below)
    if left:
        axes.set_ylabel(f"Predicted\n{target}")
    if below and last_cell:
        axes.set_xlabel(f"Observed\n{target}")


def _one_seed(table: pd.DataFrame, experiment: Mapping[str, Any]) -> pd.DataFrame:
    scenario = str(experiment.get("scenario", "full"))
    kept = table[table["scenario"] == scenario]
    if "seed" in experiment and experiment["seed"] is not None:
        kept = kept[kept["seed"] == experiment["seed"]]
    else:
        kept = kept[kept["seed"] == kept.groupby(["cell", "model"])["seed"].transform("min")]
    if kept.empty:
        found = ", ".join(sorted(map(str, table["scenario"].unique())))
        raise InputError(
            f"{common.figure_id(experiment)}: expected predictions of scenario {scenario}, seed "
            f"{experiment.get('seed', 'any')}, found the scenarios {found}, seeds "
            f"{', '.join(map(str, sorted(table['seed'].unique())))}."
        )
    return kept


def _number_room(rows: pd.DataFrame) -> float:
    """Inches that the longest number beside a panel takes beyond the usual three characters."""
    numbers = MaxNLocator(4).tick_values(*_bounds(rows))
    return style.SMALL_CHAR_IN * max(0, max(len(f"{value:g}") for value in numbers) - 3)


def _bounds(rows: pd.DataFrame) -> tuple[float, float]:
    values = rows[["observed", "predicted"]].to_numpy(float)
    values = values[np.isfinite(values)]
    low, high = float(values.min()), float(values.max())
    pad = 0.05 * ((high - low) or 1.0)
    return low - pad, high + pad


def _panel(
    axes: Axes,
    rows: pd.DataFrame,
    bounds: tuple[float, float],
    model: str,
    experiment: Mapping[str, Any],
    context: Mapping[str, Any],
) -> None:
    ticks = MaxNLocator(4, integer=bounds[1] - bounds[0] > 2.5).tick_values(*bounds)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(FixedLocator([t for t in ticks if bounds[0] <= t <= bounds[1]]))
    axes.plot(bounds, bounds, color="#8c8c8c", linewidth=0.6, linestyle=(0, (4, 2)), zorder=1)
    rows = rows.dropna(subset=["observed", "predicted"])
    if rows.empty:
        axes.text(0.5, 0.5, "no run", transform=axes.transAxes, ha="center", va="center",
                  fontsize=style.SMALL_SIZE, color=style.MUTED)  # fmt: skip
        return
    observed, predicted = rows["observed"].to_numpy(float), rows["predicted"].to_numpy(float)
    colour = style.model_style(model, context).colour
    if len(rows) >= _HEXBIN_FROM:
        ramp = LinearSegmentedColormap.from_list(model, ["#d4d4d4", colour, "#1a1a1a"])
        axes.hexbin(observed, predicted, gridsize=36, extent=(*bounds, *bounds), cmap=ramp,
                    bins="log", mincnt=1, linewidths=0, zorder=2)  # fmt: skip
    else:
        alpha = float(np.clip(120 / len(rows), 0.22, 0.7))
        axes.scatter(observed, predicted, s=4 if len(rows) > 300 else 7, color=colour, alpha=alpha,
                     linewidths=0, zorder=2, rasterized=True)  # fmt: skip
    resamples = int(experiment.get("bootstrap_resamples", 1000))
    lines = [
        _statistic("r", pearson, observed, predicted, resamples),
        _statistic("ρ", spearman, observed, predicted, resamples),
        f"n = {len(rows):,}",
    ]
    axes.text(0.03, 0.995, "\n".join(lines), transform=axes.transAxes, va="top", ha="left",
              fontsize=style.SMALL_SIZE, linespacing=1.1, zorder=5)  # fmt: skip


def _statistic(symbol: str, statistic: Any, observed: np.ndarray, predicted: np.ndarray,
               resamples: int) -> str:  # fmt: skip
    if len(observed) < 3:
        return f"{symbol}: too few genes"
    interval = bootstrap_interval(statistic, observed, predicted, n_resamples=resamples)
    if not np.isfinite(interval.mean):
        return f"{symbol} undefined"
    if not interval.bounded:
        return f"{symbol} {interval.mean:.2f}"
    text = f"{symbol} {interval.mean:.2f} ({interval.low:.2f}–{interval.high:.2f})"
    return text.replace("-", "−")


def _notes(
    table: pd.DataFrame,
    models: list[str],
    experiment: Mapping[str, Any],
    context: Mapping[str, Any],
) -> list[str]:
    seeds = sorted(table["seed"].unique())
    which = f"seed {seeds[0]}" if len(seeds) == 1 else "the first seed of each model"
    folds = table["fold"].nunique()
    largest = table.groupby(["cell", "model"]).size().max()
    marks = "Dots: test genes" if largest < _HEXBIN_FROM else "Hexagons: genes, darker is more"
    return [
        f"{marks}, predictions of {which}" + (f", {folds} folds together" if folds > 1 else "")
        + ". r: Pearson, ρ: Spearman, with 95 % bootstrap intervals over genes; n: genes. "
        "Dashed: identity.",
        common.absent_note(models, experiment, context),
    ]  # fmt: skip
