"""Do models predict how a gene differs between two cells?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from prismflow.errors import InputError
from prismflow.figures.plots import common, style
from prismflow.labels import METRIC_LABEL, model_label

NEEDS = ("cross_cell",)
METRICS = ("pearson", "mse")
ROW_IN = 0.17
MAX_PAIRS = 6
"""More pairs of cells stand in the table alone."""


@style.styled
def draw(
    data: Mapping[str, Any], experiment: Mapping[str, Any], context: Mapping[str, Any]
) -> Figure:
    """A row of panels per pair of cells: correlation and error of the predicted difference.

    Args:
        data: ``cross_cell`` of :mod:`prismflow.evaluation.cross_cell`.
        experiment: ``id``, ``models``.
        context: as in the main figure.

    Raises:
        InputError: no pair of cells.
    """
    table = common.require(data, "cross_cell", experiment)
    table = table[table["part"] == "difference"]
    pairs = list(dict.fromkeys(zip(table["cell"], table["other_cell"], strict=True)))
    if not pairs:
        raise InputError(
            f"{common.figure_id(experiment)}: expected differences between two cells, found none; "
            "give the experiment two cells."
        )
    shown, more = pairs[:MAX_PAIRS], len(pairs) - MAX_PAIRS
    models = common.model_order(table.loc[table["model"] != "", "model"].unique(), experiment)
    lines = [(model, source) for model in models for source in ("own", "elsewhere")]
    n_rows = 3 * len(models) + len(models)
    figure = style.new_figure(style.FULL_WIDTH, (0.75 + ROW_IN * n_rows) * len(shown))
    panels = figure.subplots(len(shown), len(METRICS), squeeze=False, sharey="row")
    for row, (first, second) in zip(panels, shown, strict=True):
        own = table[(table["cell"] == first) & (table["other_cell"] == second)]
        for axes, metric in zip(row, METRICS, strict=True):
            _panel(axes, own[own["metric"] == metric], lines, metric, context)
        label = (common.cell_label(first, context), common.cell_label(second, context))
        row[0].set_title(f"{label[0]} minus {label[1]}", loc="left")
    counts = table.loc[table["n_seeds"] > 0, "n_seeds"]
    notes = [
        "Predicted against observed difference of the labels (a log ratio where the label is a "
        "logarithm); bars: 95 % intervals over seeds and genes. Each cell's own: two models, each "
        "on the cell that it was trained on; else one model for both. Dotted: a correlation of 0; "
        f"the error of predicting no difference. {common.range_label(counts, 'seed')}, "
        f"{common.range_label(table['n_genes'], 'gene')}."
    ]
    if more > 0:
        notes.append(f"{common.count_label(more, 'further pair')} of cells: in the table.")
    return style.finish(figure, notes, context)


def _panel(
    axes: Axes,
    table: pd.DataFrame,
    lines: list[tuple[str, str]],
    metric: str,
    context: Mapping[str, Any],
) -> None:
    ticks: list[float] = []
    names: list[str] = []
    y = 0.0
    for model, source in lines:
        rows = table[(table["model"] == model) & (table["source"] == source)]
        look = style.model_style(model, context)
        for row in rows.to_dict("records"):
            axes.hlines(y, row["low"], row["high"], color=look.colour, linewidth=1.3)
            axes.plot(row["value"], y, look.marker, color=look.colour, markersize=4.6)
            text = f"{row['value']:.3f}".replace("-", "−")
            axes.text(1.02, y, text, transform=axes.get_yaxis_transform(), va="center",
                      fontsize=style.SMALL_SIZE)  # fmt: skip
            place = common.cell_label(str(row["from_cell"]), context)
            where = "each cell's own" if source == "own" else f"trained on {place}"
            label = style.wrap(f"{model_label(model, context)}, {where}", 34)
            names.append(label)
            ticks.append(y)
            y += 1.0 + 0.45 * label.count("\n")
        y += 0.4 if source == "elsewhere" else 0.0
    equal = table[table["source"] == "equal"]["value"]
    at = 0.0 if metric == "pearson" else float(equal.iloc[0])
    axes.axvline(at, color=style.MUTED, linestyle=":", linewidth=0.9, zorder=0)
    axes.set_yticks(ticks, names)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(y - 0.2, -0.8)
    axes.set_xlabel(f"{METRIC_LABEL[metric]} of the difference between the cells")
    axes.grid(axis="x")
