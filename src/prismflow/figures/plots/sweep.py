"""Test metrics against a number that was varied: a setting, a loss weight, a length.

Each series is a line with a mark and an interval per value; models that were not varied are dashed
horizontal lines. Names stand at the right margin, so that no legend is needed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from prismflow.figures.plots import common, forest, gene_bars, room, style
from prismflow.labels import metric_label, model_label
from prismflow.statistics.seeds import METRIC_COLUMNS, over_seeds, per_seed

NEEDS = ("metrics", "predictions")
_LABEL_CHARS = 17
MAX_CELLS = 2
"""Panels beside each other: the names at their right margins take room too."""
_POINT_COLUMNS = ["base", "model", "scenario", "x"]


@dataclass(frozen=True)
class Axis:
    """The varied number: its label, ``log`` or ``steps`` (equal distances), and its values.

    ``names`` stand at the ticks in the place of the values.
    """

    label: str
    scale: str
    values: tuple[float, ...]
    names: tuple[str, ...] = ()

    def at(self, x: np.ndarray | pd.Series) -> np.ndarray:
        """Positions of values."""
        numbers = np.asarray(x, dtype=float)
        return numbers if self.scale == "log" else np.searchsorted(self.values, numbers) * 1.0

    def moved(self, x: np.ndarray, share: float) -> np.ndarray:
        """Positions moved to the right by a share of a step."""
        return x * (1 + share) if self.scale == "log" else x + share


@style.styled
def draw(
    data: Mapping[str, Any], experiment: Mapping[str, Any], context: Mapping[str, Any]
) -> Figure:
    """A line per varied model; rows are metrics, columns cells.

    Args:
        data: ``metrics``, the long table; ``predictions``, for intervals over genes and seeds.
        experiment: ``points`` [{base, model, scenario, x}]; ``models`` that no point names are
            references; ``x_label``; ``scale`` (``log`` or ``steps``); ``reference_labels`` {model:
            text}; ``metrics``, ``cells`` as in the main figure.
        context: as in the main figure.

    Raises:
        InputError: no point has a result.
    """
    points = pd.DataFrame(experiment.get("points") or [], columns=_POINT_COLUMNS)
    named = set(points["model"])
    references = [str(m) for m in experiment.get("models") or [] if str(m) not in named]
    shown = {**(experiment.get("reference_labels") or {})}
    lines = [(model, str(shown.get(model) or model_label(model, context))) for model in references]
    axis = Axis(
        str(experiment.get("x_label", "value")),
        str(experiment.get("scale", "steps")),
        tuple(sorted({float(x) for x in points["x"]})),
    )
    labels = {str(base): model_label(str(base), context) for base in points["base"].unique()}
    return draw_lines(data, points, labels, lines, axis, experiment, context)


def draw_lines(
    data: Mapping[str, Any],
    points: pd.DataFrame,
    labels: Mapping[str, str],
    references: Sequence[tuple[str, str]],
    axis: Axis,
    experiment: Mapping[str, Any],
    context: Mapping[str, Any],
    notes: Sequence[str] = (),
) -> Figure:
    """The figure itself, also that of other renderers with a number on the x axis.

    Args:
        points: columns base, model, scenario, x.
        labels: base -> name of its line, in the order of drawing; an empty name is not written.
        references: models of the dashed lines and their names.
        notes: in the place of the usual ones on intervals and n.

    Raises:
        InputError: no point has a result.
    """
    chosen = {**experiment, "models": [*points["model"], *(name for name, _ in references)]}
    table = common.select(data, "metrics", METRIC_COLUMNS, chosen, context)
    bounded = gene_bars.fill(over_seeds(table), data, context)
    summary = bounded.merge(points, on=["model", "scenario"])
    seeds = per_seed(table).merge(points, on=["model", "scenario"])
    varied = ", ".join(map(str, points["model"].unique())) or "varied models"
    panels = forest.panels_for(seeds, experiment, context, f"test results of {varied}")
    flat = bounded[bounded["scenario"] == "full"]
    cells = list(dict.fromkeys(panel.cell for panel in panels))
    metrics = list(dict.fromkeys(panel.metric for panel in panels))
    width = style.FULL_WIDTH if len(cells) > 1 else style.COLUMN_WIDTH
    bands = room.bands(cells, MAX_CELLS)
    per_band, columns = len(metrics), len(bands[0])
    figure = style.new_figure(
        width, (_row_inches(labels, references) * per_band + 0.2) * len(bands)
    )
    grid = figure.subplots(per_band * len(bands), columns, squeeze=False, sharex=True)
    for number, cell in enumerate(cells):
        first, column = per_band * (number // columns), number % columns
        grid[first][column].set_title(common.cell_label(cell, context), loc="left")
        for row, metric in enumerate(metrics, start=first):
            axes = grid[row][column]
            means, each, level = (_of(frame, cell, metric) for frame in (summary, seeds, flat))
            _panel(axes, means, each, level, labels, references, axis, context)
            if column == 0:
                axes.set_ylabel(style.wrap(metric_label(metric, context), 28))
        grid[first + per_band - 1][column].set_xlabel(axis.label)
        # Shared axes are named below the last band only; every band is read by itself.
        grid[first + per_band - 1][column].tick_params(labelbottom=True)
    for number in range(len(cells), len(bands) * columns):
        for row in range(per_band):
            grid[per_band * (number // columns) + row][number % columns].remove()
    figure.align_ylabels()
    usual = (
        gene_bars.note(_shown(summary, cells, metrics), context),
        common.sample_note(summary, cells, context),
    )
    notes = [
        *(notes or usual),
        "Arrowheads: a value or its interval lies beyond the axis." if _cut(figure) else "",
        _reference_note(flat, references),
        common.absent_note(table["model"].unique(), chosen, context),
    ]
    return style.finish(figure, notes, context)


def _shown(summary: pd.DataFrame, cells: Sequence[str], metrics: Sequence[str]) -> pd.DataFrame:
    return summary[summary["cell"].isin(cells) & summary["metric"].isin(metrics)]


def _reference_note(flat: pd.DataFrame, references: Sequence[tuple[str, str]]) -> str:
    if not references:
        return ""
    barred = flat[flat["model"].isin([model for model, _ in references])]["low"].notna().any()
    end = ", their intervals at the right edge." if barred else "."
    return f"Dashed: models without this setting{end}"


def _row_inches(labels: Mapping[str, str], references: Sequence[tuple[str, str]]) -> float:
    """Height of a row of panels: a name at the end of each line must find its place."""
    names = [*filter(None, labels.values()), *(name for _, name in references)]
    lines = max((style.wrap(name, _LABEL_CHARS).count("\n") + 1 for name in names), default=1)
    return max(1.75, 0.7 + (len(names) + 1) * (0.07 + 0.105 * lines))


def _cut(figure: Figure) -> bool:
    return any(line.get_marker() in ("v", "^") and not line.get_clip_on()
               for axes in figure.axes for line in axes.lines)  # fmt: skip


def _of(table: pd.DataFrame, cell: str, metric: str) -> pd.DataFrame:
    return table[(table["cell"] == cell) & (table["metric"] == metric)]


def _panel(
    axes: Axes,
    summary: pd.DataFrame,
    seeds: pd.DataFrame,
    flat: pd.DataFrame,
    labels: Mapping[str, str],
    references: Sequence[tuple[str, str]],
    axis: Axis,
    context: Mapping[str, Any],
) -> None:
    if axis.scale == "log":
        axes.set_xscale("log")
    ends: list[tuple[float, float, str, str]] = []
    bars: list[tuple[float, float, float, str]] = []
    lines: list[tuple[np.ndarray, np.ndarray, str]] = []
    drawn = [base for base in labels if (summary["base"] == base).any()]
    looks: set[tuple[str, str]] = set()
    for index, base in enumerate(drawn):
        own = summary[summary["base"] == base].sort_values("x")
        dots = seeds[seeds["base"] == base]
        look = style.model_style(str(own["model"].iloc[0]), context)
        apart = 0.035 if axis.scale == "log" else min(0.1, 0.5 / len(drawn))
        shift = apart * (index - (len(drawn) - 1) / 2)
        x, y = axis.moved(axis.at(own["x"]), shift), own["mean"].to_numpy(float)
        axes.plot(axis.moved(axis.at(dots["x"]), shift + 0.04), dots["value"], linestyle="",
                  marker="o", markersize=2.4, color=look.colour, alpha=0.35,
                  markeredgewidth=0)  # fmt: skip
        bars += [
            (at, *ends_of, look.colour)
            for at, *ends_of in zip(x, own["low"], own["high"], strict=True)
        ]
        # Two named lines of one architecture have one colour: the second has open marks.
        named_line = bool(labels[base]) and len(own) > 1
        again = named_line and (look.colour, look.marker) in looks
        if named_line:
            looks.add((look.colour, look.marker))
        axes.plot(x, y, color=look.colour, marker=look.marker, markersize=4.4,
                  linestyle=(0, (1, 1.2)) if again else "-",
                  markerfacecolor="white" if again else look.colour,
                  markeredgecolor=look.colour if again else "white",
                  markeredgewidth=0.9 if again else 0.5, zorder=4)  # fmt: skip
        lines.append((x, y, look.colour))
        if labels[base]:
            ends.append((x[-1], y[-1], labels[base], look.colour))
    estimates = _estimates(summary, seeds)
    estimates += _reference_lines(axes, flat, references, ends, axis)
    named = flat[flat["model"].isin([model for model, _ in references])]
    axes.set_ylim(*_with_gene_bars(forest.limits(estimates), pd.concat([summary, named])))
    _ticks(axes, axis)
    _bars(axes, bars)
    _beyond(axes, lines)
    _reference_bars(axes, flat, references)
    _end_labels(axes, ends)


def _with_gene_bars(limits: tuple[float, float], rows: pd.DataFrame) -> tuple[float, float]:
    """Limits with room for the intervals over genes and seeds, which never run away, of the rows.

    Those of rows whose mean lies outside stay outside with it.
    """
    low, high = limits
    few = rows["n_seeds"] < common.SEEDS_FOR_INTERVAL
    inside = rows[few & rows["low"].notna() & rows["mean"].between(low, high)]
    if inside.empty:
        return limits
    pad = 0.03 * (inside["high"].max() - inside["low"].min())
    return min(low, inside["low"].min() - pad), max(high, inside["high"].max() + pad)


def _beyond(axes: Axes, lines: Sequence[tuple[np.ndarray, np.ndarray, str]]) -> None:
    """An arrowhead at the edge of the panel for each mean that lies outside."""
    bottom, top = axes.get_ylim()
    for x, y, colour in lines:
        for outside, edge, marker in ((y < bottom, bottom, "v"), (y > top, top, "^")):
            if outside.any():
                axes.plot(x[outside], np.full(outside.sum(), edge), linestyle="", marker=marker,
                          markersize=3.2, color=colour, markeredgewidth=0, clip_on=False,
                          zorder=3)  # fmt: skip


def _estimates(summary: pd.DataFrame, seeds: pd.DataFrame) -> list[forest.Estimate]:
    found = []
    for row in summary.itertuples():
        mine = (seeds["model"] == row.model) & (seeds["scenario"] == row.scenario)
        interval = forest.Interval(row.mean, row.sd, row.low, row.high, row.n_seeds)
        found.append(forest.Estimate(interval, tuple(seeds.loc[mine, "value"])))
    return found


def _reference_lines(
    axes: Axes,
    flat: pd.DataFrame,
    references: Sequence[tuple[str, str]],
    ends: list[tuple[float, float, str, str]],
    axis: Axis,
) -> list[forest.Estimate]:
    found = []
    for (model, label), colour in zip(references, _reference_colours(references), strict=True):
        for row in flat[flat["model"] == model].itertuples():
            axes.axhline(row.mean, color=colour, linewidth=0.9, linestyle=(0, (4, 2)), zorder=1)
            last = float(axis.at(np.array(axis.values[-1:]))[0])
            ends.append((axis.moved(np.array(last), 0.06).item(), row.mean, label, colour))
            # Its interval may go on beyond the axis; the line itself must be in sight.
            interval = forest.Interval(row.mean, 0.0, row.mean, row.mean, row.n_seeds)
            found.append(forest.Estimate(interval, ()))
    return found


def _reference_bars(axes: Axes, flat: pd.DataFrame, references: Sequence[tuple[str, str]]) -> None:
    """Intervals of the dashed lines, at the right edge of the panel."""
    edge = axes.get_xlim()[1]
    inside = axes.transData.inverted().transform(axes.transAxes.transform([(0.985, 0), (0.96, 0)]))
    for number, ((model, _), colour) in enumerate(
        zip(references, _reference_colours(references), strict=True)
    ):
        at = float(inside[number][0]) if number < len(inside) else edge
        rows = flat[flat["model"] == model]
        _bars(axes, [(at, row.low, row.high, colour) for row in rows.itertuples()])


def _reference_colours(references: Sequence[tuple[str, str]]) -> list[str]:
    return [style.MUTED if number else style.INK for number in range(len(references))]


def _bars(axes: Axes, bars: Sequence[tuple[float, float, float, str]]) -> None:
    """Intervals, cut at the edge of the panel with an arrowhead where they go on."""
    bottom, top = axes.get_ylim()
    for at, low, high, colour in bars:
        if not np.isfinite(low):
            continue
        inside = (max(low, bottom), min(high, top))
        axes.plot([at, at], inside, color=colour, linewidth=1.0, zorder=2)
        for end, edge, marker in ((low, bottom, "v"), (high, top, "^")):
            if (end < edge) if marker == "v" else (end > edge):
                axes.plot([at], [edge], marker=marker, markersize=3.2, color=colour,
                          markeredgewidth=0, clip_on=False, zorder=3)  # fmt: skip


def _ticks(axes: Axes, axis: Axis) -> None:
    values = np.array(axis.values)
    at = axis.at(values)
    if axis.scale == "log":
        span = np.log10(values[-1] / values[0]) if len(values) > 1 else 1.0
        axes.set_xlim(values[0] / 10 ** (0.1 * span), values[-1] * 10 ** (0.1 * span))
        shown = list(values) if len(values) <= 6 else _thin(values, 0.11 * span)
        axes.xaxis.set_major_locator(FixedLocator(shown))
        thinned = len(shown) < len(values)
        axes.xaxis.set_minor_locator(FixedLocator(list(values)) if thinned else NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _length_label(value)))
        axes.xaxis.set_minor_formatter(FuncFormatter(lambda value, _: ""))
    else:
        axes.set_xlim(at[0] - 0.35, at[-1] + 0.35)
        axes.set_xticks(at, axis.names or [f"{value:g}" for value in values])
    axes.grid(axis="y")
    axes.locator_params(axis="y", nbins=5)


def _thin(lengths: Sequence[float] | np.ndarray, gap: float) -> list[float]:
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
    place: Any = axes.get_subplotspec()
    figure: Any = axes.figure
    height = figure.get_size_inches()[1] / place.get_gridspec().nrows - 0.6
    texts = [style.wrap(name, _LABEL_CHARS) for _, _, name, _ in ends]
    lines = max((text.count("\n") + 1 for text in texts), default=1)
    gap = (0.07 + 0.105 * lines) / max(height, 0.5) * (high - low)
    inset = min(gap / 2, 0.2 * (high - low))
    placed = style.spread([end[1] for end in ends], gap, low + inset, high - inset)
    for (x, y, _, colour), text, at in zip(ends, texts, placed, strict=True):
        # A line to a value outside would reach across the page and squeeze the panels.
        axes.annotate(
            text, (x, min(max(y, low), high)), xytext=(1.04, at), va="center", ha="left",
            textcoords=axes.get_yaxis_transform(), fontsize=style.SMALL_SIZE, linespacing=0.95,
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.6, "shrinkA": 1,
                        "shrinkB": 3, "relpos": (0, 0.5)},
        )  # fmt: skip
