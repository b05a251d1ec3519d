"""Test metrics against the input length, by model family (paper, Figure 1d)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from prismflow.errors import InputError
from prismflow.plots import common, forest, style
from prismflow.plots.labels import base_model, metric_label, model_label
from prismflow.statistics import METRIC_COLUMNS, over_seeds, per_seed

NEEDS = ("metrics",)
_LENGTH_SUFFIX = re.compile(r"_\d+(bp|kb)$")
_LABEL_CHARS = 17


@style.styled
def draw(
    data: Mapping[str, Any], experiment: Mapping[str, Any], context: Mapping[str, Any]
) -> Figure:
    """A line per family, a point with interval per length; rows are metrics, columns cells.

    Args:
        data: ``metrics``, the long table.
        experiment: ``families`` {label: [model, ...]}, else models that differ only by a suffix
            such as ``_500bp`` or ``_20kb`` form a family; ``metrics``, ``scenario``, ``cells``.
        context: as in the main figure; ``model_lengths`` {model: window_bp}.

    Raises:
        InputError: a model has no length, or there is no result.
    """
    families = _families(data, experiment, context)
    chosen = {**experiment, "models": [name for names in families.values() for name in names]}
    table = common.select(data, "metrics", METRIC_COLUMNS, chosen, context)
    table = table[table["scenario"] == str(experiment.get("scenario", "full"))]
    seeds = per_seed(table)
    panels = forest.panels_for(seeds, experiment, context)
    if not panels:
        raise InputError(
            f"{common.figure_id(experiment)}: expected test results of the scenario "
            f"{experiment.get('scenario', 'full')}, found none; evaluate the runs first."
        )
    summary = over_seeds(table)
    summary["window_bp"] = [_length(model, experiment, context) for model in summary["model"]]
    seeds["window_bp"] = [_length(model, experiment, context) for model in seeds["model"]]
    cells = list(dict.fromkeys(panel.cell for panel in panels))
    metrics = list(dict.fromkeys(panel.metric for panel in panels))
    figure = style.new_figure(
        style.FULL_WIDTH if len(cells) > 1 else style.COLUMN_WIDTH, 1.75 * len(metrics) + 0.2
    )
    grid = figure.subplots(len(metrics), len(cells), squeeze=False, sharex=True)
    for column, cell in enumerate(cells):
        grid[0][column].set_title(common.cell_label(cell, context), loc="left")
        for row, metric in enumerate(metrics):
            here = {"summary": _of(summary, cell, metric), "seeds": _of(seeds, cell, metric)}
            _panel(grid[row][column], here, families, context)
            if column == 0:
                grid[row][column].set_ylabel(style.wrap(metric_label(metric, context), 28))
        grid[-1][column].set_xlabel("Input length (bp, log scale)")
    figure.align_ylabels()
    notes = [
        common.interval_note(summary, context),
        common.sample_note(summary, cells, context),
        common.absent_note(summary["model"].unique(), chosen, context),
    ]
    return style.finish(figure, notes, context)


def _of(table: pd.DataFrame, cell: str, metric: str) -> pd.DataFrame:
    return table[(table["cell"] == cell) & (table["metric"] == metric)]


def _families(
    data: Mapping[str, Any], experiment: Mapping[str, Any], context: Mapping[str, Any]
) -> dict[str, list[str]]:
    declared = experiment.get("families")
    if declared:
        return {str(label): [str(model) for model in models] for label, models in declared.items()}
    models = experiment.get("models")
    if not models:
        models = sorted(common.require(data, "metrics", experiment)["model"].unique())
    families: dict[str, list[str]] = {}
    for model in map(str, models):
        families.setdefault(_LENGTH_SUFFIX.sub("", model), []).append(model)
    return families


def _length(model: str, experiment: Mapping[str, Any], context: Mapping[str, Any]) -> int:
    lengths = context.get("model_lengths") or {}
    if model not in lengths:
        raise InputError(
            f"{common.figure_id(experiment)}: expected the input length of model {model}, found "
            f"lengths of {', '.join(sorted(lengths)) or 'no model'}; give model_lengths."
        )
    return int(lengths[model])


def _panel(
    axes: Axes,
    here: Mapping[str, pd.DataFrame],
    families: Mapping[str, Sequence[str]],
    context: Mapping[str, Any],
) -> None:
    summary, seeds = here["summary"], here["seeds"]
    axes.set_xscale("log")
    ends: list[tuple[float, float, str, str]] = []
    drawn = [label for label, models in families.items() if summary["model"].isin(models).any()]
    for index, label in enumerate(drawn):
        points = summary[summary["model"].isin(families[label])].sort_values("window_bp")
        own = seeds[seeds["model"].isin(families[label])]
        look = style.model_style(str(families[label][0]), context)
        dodge = 1.0 + 0.035 * (index - (len(drawn) - 1) / 2)
        x = points["window_bp"].to_numpy(float) * dodge
        y = points["mean"].to_numpy(float)
        axes.plot(own["window_bp"] * dodge * 1.03, own["value"], linestyle="", marker="o",
                  markersize=2.4, color=look.colour, alpha=0.35, markeredgewidth=0)  # fmt: skip
        axes.vlines(x, points["low"], points["high"], color=look.colour, linewidth=1.0)
        axes.plot(x, y, color=look.colour, marker=look.marker, markersize=4.4,
                  markeredgecolor="white", markeredgewidth=0.5, zorder=4)  # fmt: skip
        name = model_label(label, context) if label in _names(families) else label
        ends.append((x[-1], y[-1], name, look.colour))
    _scale(axes, summary, seeds)
    _end_labels(axes, ends)


def _names(families: Mapping[str, Sequence[str]]) -> set[str]:
    """Family labels that are names of architectures or models, and so have a label of their own."""
    return {label for label in families if base_model(label) is not None}


def _scale(axes: Axes, summary: pd.DataFrame, seeds: pd.DataFrame) -> None:
    estimates = []
    for row in summary.itertuples():
        values = tuple(seeds.loc[seeds["model"] == row.model, "value"])
        interval = forest.Interval(row.mean, row.sd, row.low, row.high, row.n_seeds)
        estimates.append(forest.Estimate(interval, values))
    axes.set_ylim(*forest.limits(estimates))
    lengths = sorted(set(summary["window_bp"]))
    span = np.log10(lengths[-1] / lengths[0]) if len(lengths) > 1 else 1.0
    axes.set_xlim(lengths[0] / 10 ** (0.06 * span), lengths[-1] * 10 ** (0.06 * span))
    shown = lengths if len(lengths) <= 6 else _thin(lengths, 0.11 * span)
    axes.xaxis.set_major_locator(FixedLocator(shown))
    axes.xaxis.set_minor_locator(
        FixedLocator(lengths) if len(shown) < len(lengths) else NullLocator()
    )
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _length_label(value)))
    axes.xaxis.set_minor_formatter(FuncFormatter(lambda value, _: ""))
    axes.grid(axis="y")
    axes.locator_params(axis="y", nbins=5)


def _thin(lengths: Sequence[int], gap: float) -> list[int]:
    shown = [lengths[0]]
    for length in lengths[1:]:
        if np.log10(length / shown[-1]) >= gap:
            shown.append(length)
    return shown


def _length_label(value: float) -> str:
    return f"{value / 1000:g}k" if value >= 1000 else f"{value:g}"


def _end_labels(axes: Axes, ends: Sequence[tuple[float, float, str, str]]) -> None:
    """Names at the right margin, moved apart, each tied to the end of its line."""
    low, high = axes.get_ylim()
    height = axes.figure.get_size_inches()[1] / axes.get_subplotspec().get_gridspec().nrows - 0.45
    texts = [style.wrap(name, _LABEL_CHARS) for _, _, name, _ in ends]
    lines = max((text.count("\n") + 1 for text in texts), default=1)
    gap = (0.02 + 0.105 * lines) / max(height, 0.5) * (high - low)
    placed = style.spread([end[1] for end in ends], gap, low, high)
    for (x, y, _, colour), text, at in zip(ends, texts, placed, strict=True):
        axes.annotate(
            text, (x, y), xytext=(1.04, at), textcoords=axes.get_yaxis_transform(), va="center",
            ha="left", fontsize=style.SMALL_SIZE, linespacing=0.95, annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.6, "shrinkA": 1,
                        "shrinkB": 3},
        )  # fmt: skip
