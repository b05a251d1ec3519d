"""Rows of mean, interval and seeds over several panels: the layout of most comparisons.

Models (or signal sets, or removals) are rows with their labels beside them, so that no legend is
needed; cells and metrics are panels; the mean stands in numbers at the right of each panel.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import offset_copy

from prismflow.errors import InputError
from prismflow.figures.plots import common, style
from prismflow.labels import HIGHER_IS_BETTER, metric_label
from prismflow.statistics.seeds import Interval, t_interval

MAX_PANELS = 4
ROW_IN = 0.17
LINE_IN = 0.105
SEED_OFFSET_IN = 0.052
LABEL_CHARS = 25
CROWDED = 0.25
"""Rows that together take a smaller share of the axis than this get the axis to themselves."""


@dataclass(frozen=True)
class Row:
    """One line of the figure; a header has a label and no points."""

    key: str
    label: str
    model: str = ""
    header: bool = False


@dataclass(frozen=True)
class Panel:
    """One column of points."""

    cell: str
    metric: str


@dataclass(frozen=True)
class Estimate:
    """Mean and interval of a row in a panel, and the seeds that they come from."""

    interval: Interval
    seeds: tuple[float, ...]


@dataclass
class Plan:
    """Everything a forest figure shows; ``estimates`` is keyed by (row key, cell, metric)."""

    rows: list[Row]
    panels: list[Panel]
    estimates: dict[tuple[str, str, str], Estimate]
    change: bool = False
    reference_row: str | None = None
    left: Callable[[Axes, list[float], bool], None] | None = None
    left_inches: float = 0.0
    head_inches: float = 0.0
    extra_notes: list[str] = field(default_factory=list)


def estimates_of(seeds: pd.DataFrame, key: Callable[[Any], str]) -> dict[Any, Estimate]:
    """Group per-seed values (columns of :func:`prismflow.statistics.per_seed`) into estimates."""
    found: dict[tuple[str, str, str], Estimate] = {}
    for names, group in seeds.groupby(["model", "scenario", "cell", "metric"], sort=True):
        model, scenario, cell, metric = names
        values = group.sort_values("seed")["value"].to_numpy(float)
        found[(key((model, scenario)), str(cell), str(metric))] = Estimate(
            t_interval(values), tuple(values)
        )
    return found


def draw(plan: Plan, summary: pd.DataFrame, experiment: Mapping[str, Any],
         context: Mapping[str, Any]) -> Figure:  # fmt: skip
    """Draw the figure: bands of at most four panels, one row per line."""
    bands = _bands(plan.panels)
    labels = [style.wrap(row.label, 30 if row.header else LABEL_CHARS) for row in plan.rows]
    heights = [ROW_IN + LINE_IN * label.count("\n") for label in labels]
    ys = list(np.cumsum([0.0, *heights[:-1]]) + np.array(heights) / 2) if heights else []
    total = sum(heights)
    below = max(_axis_name(panel, plan, context).count("\n") for panel in plan.panels)
    extra = plan.head_inches + LINE_IN * below
    figure = style.new_figure(style.FULL_WIDTH, len(bands) * (total + extra + 0.62))
    has_left = int(plan.left is not None)
    truncated = False
    for number, band in enumerate(bands):
        columns = len(band) + has_left
        widths = [plan.left_inches] * has_left + [1.0] * len(band)
        if has_left:
            room = style.FULL_WIDTH - 1.5 - plan.left_inches
            widths = [plan.left_inches] + [room / len(band)] * len(band)
        grid = figure.add_gridspec(len(bands), 1)[number].subgridspec(
            1, columns, width_ratios=widths
        )
        first: Axes | None = None
        if plan.left is not None:
            first = figure.add_subplot(grid[0])
            _row_labels(first, plan, labels, ys, total, context)
            plan.left(first, ys, number == 0)
        for index, panel in enumerate(band):
            axes = figure.add_subplot(grid[index + has_left])
            if first is None:
                _row_labels(axes, plan, labels, ys, total, context)
                first = axes
            else:
                axes.set_ylim(total, 0)
                axes.set_yticks([])
            truncated |= _panel(axes, panel, plan, ys, context)
            axes.set_title(common.cell_label(panel.cell, context), loc="left")
    notes = [
        common.interval_note(summary, context),
        common.sample_note(summary, cells_of(plan), context),
    ]
    if truncated:
        notes.append("Arrowheads: a value or its interval lies beyond the axis.")
    notes.extend(plan.extra_notes)
    return style.finish(figure, notes, context)


def cells_of(plan: Plan) -> list[str]:
    """Cells in panel order."""
    return list(dict.fromkeys(panel.cell for panel in plan.panels))


def panels_for(
    seeds: pd.DataFrame,
    experiment: Mapping[str, Any],
    context: Mapping[str, Any],
    expected: str,
) -> list[Panel]:
    """Cells x metrics that have values; metrics from ``experiment["metrics"]``.

    Raises:
        InputError: there is none; ``expected`` says what should have been there.
    """
    metrics = [str(name) for name in experiment.get("metrics") or ("mse", "pearson")]
    there = set(zip(seeds["cell"].astype(str), seeds["metric"].astype(str), strict=True))
    cells = common.cell_order(seeds["cell"].unique(), experiment, context)
    panels = [Panel(cell, name) for cell in cells for name in metrics if (cell, name) in there]
    if not panels:
        raise InputError(
            f"{common.figure_id(experiment)}: expected {expected}, found none; evaluate the runs "
            "first."
        )
    return panels


def _bands(panels: list[Panel]) -> list[list[Panel]]:
    by_cell: dict[str, list[Panel]] = {}
    for panel in panels:
        by_cell.setdefault(panel.cell, []).append(panel)
    bands: list[list[Panel]] = [[]]
    for group in by_cell.values():
        if bands[-1] and len(bands[-1]) + len(group) > MAX_PANELS:
            bands.append([])
        bands[-1].extend(group)
    return bands


def _row_labels(axes: Axes, plan: Plan, labels: Sequence[str], ys: Sequence[float], total: float,
                context: Mapping[str, Any]) -> None:  # fmt: skip
    axes.set_ylim(total, 0)
    axes.set_yticks(ys, labels)
    axes.tick_params(axis="y", length=0, pad=3)
    for text, row in zip(axes.get_yticklabels(), plan.rows, strict=True):
        text.set_linespacing(0.95)
        text.set_fontsize(style.SMALL_SIZE if "\n" in text.get_text() else style.FONT_SIZE)
        if row.header:
            text.set_fontweight("bold")


def _panel(
    axes: Axes, panel: Panel, plan: Plan, ys: Sequence[float], context: Mapping[str, Any]
) -> bool:
    found = {row.key: plan.estimates.get((row.key, panel.cell, panel.metric)) for row in plan.rows}
    low, high = limits([item for item in found.values() if item], zero=plan.change)
    axes.set_xlim(low, high)
    reference = found.get(plan.reference_row) if plan.reference_row else None
    if plan.change or reference:
        at = 0.0 if plan.change or reference is None else reference.interval.mean
        axes.axvline(at, color="#8c8c8c", linewidth=0.7, linestyle=(0, (4, 2)), zorder=0)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")
    axes.locator_params(axis="x", nbins=3 if plan.change and len(plan.panels) > 2 else 4)
    figure: Any = axes.figure
    beside = offset_copy(axes.get_yaxis_transform(), figure, x=4, units="points")
    truncated = False
    for row, y in zip(plan.rows, ys, strict=True):
        if row.header:
            continue
        axes.axhline(y, color="#f1f1f1", linewidth=0.5, zorder=-1)
        item = found[row.key]
        text = _number(item.interval.mean, plan.change) if item else "–"
        # Far enough from the edge for an arrowhead on it.
        axes.text(1, y, text, transform=beside, fontsize=style.SMALL_SIZE, va="center", ha="left",
                  color=style.INK if item else style.MUTED)  # fmt: skip
        if item:
            truncated |= _points(axes, item, y, style.model_style(row.model, context), (low, high))
    better = "higher" if HIGHER_IS_BETTER.get(panel.metric, False) else "lower"
    hint = "full inputs = 0" if plan.change else f"{better} is better"
    axes.set_xlabel(f"{_axis_name(panel, plan, context)}\n({hint})")
    return truncated


def _axis_name(panel: Panel, plan: Plan, context: Mapping[str, Any]) -> str:
    """Metric and unit, on two lines where they are wider than a panel."""
    widest = max(len(band) for band in _bands(plan.panels))
    room = (style.FULL_WIDTH - 1.5 - plan.left_inches) / widest
    return style.wrap(metric_label(panel.metric, context, plan.change), int(room / style.CHAR_IN))


def _points(axes: Axes, item: Estimate, y: float, look: style.ModelStyle,
            bounds: tuple[float, float]) -> bool:  # fmt: skip
    interval = item.interval
    if not bounds[0] <= interval.mean <= bounds[1]:
        edge, marker = (bounds[0], "<") if interval.mean < bounds[0] else (bounds[1], ">")
        axes.plot([edge], [y], marker=marker, markersize=4.6, color=look.colour,
                  markeredgewidth=0, clip_on=False, zorder=4)  # fmt: skip
        return True
    if interval.n > 1:
        axes.plot(item.seeds, [y + SEED_OFFSET_IN] * len(item.seeds), linestyle="", marker="o",
                  markersize=2.6, markerfacecolor=look.colour, markeredgewidth=0, alpha=0.45,
                  zorder=2)  # fmt: skip
    beyond = False
    if _has_bar(item):
        low, high = max(interval.low, bounds[0]), min(interval.high, bounds[1])
        axes.plot([low, high], [y, y], color=look.colour, linewidth=1.3, zorder=3)
        for end, edge, marker in ((interval.low, bounds[0], "<"), (interval.high, bounds[1], ">")):
            if (end < edge) if marker == "<" else (end > edge):
                beyond = True
                axes.plot([edge], [y], marker=marker, markersize=3.2, color=look.colour,
                          markeredgewidth=0, clip_on=False, zorder=3)  # fmt: skip
    axes.plot([interval.mean], [y], marker=look.marker, markersize=4.6, color=look.colour,
              markeredgecolor="white", markeredgewidth=0.5, zorder=4)  # fmt: skip
    return beyond


def _has_bar(item: Estimate) -> bool:
    return item.interval.bounded and item.interval.n >= common.SEEDS_FOR_INTERVAL


def limits(items: Sequence[Estimate], zero: bool = False) -> tuple[float, float]:
    """Axis limits that show what is compared.

    Every seed is shown, and every interval unless one would dwarf the points; at most a third of
    the rows are left outside where they would press all others into one spot.
    """
    items = _crowd(items)
    points = [value for item in items for value in (*item.seeds, item.interval.mean)]
    points = [value for value in points if math.isfinite(value)]
    if zero:
        points.append(0.0)
    if not points:
        return 0.0, 1.0
    low, high = min(points), max(points)
    span = (high - low) or max(abs(high) * 0.1, 1e-3)
    ends = [end for item in items if _has_bar(item)
            for end in (item.interval.low, item.interval.high)]  # fmt: skip
    wanted_low, wanted_high = min([low, *ends]), max([high, *ends])
    low = max(wanted_low, low - 0.4 * span)
    high = min(wanted_high, high + 0.4 * span)
    pad = 0.05 * (high - low or span)
    return low - pad, high + pad


def _crowd(items: Sequence[Estimate]) -> Sequence[Estimate]:
    """The rows without those so far off that the others could not be told apart."""
    ordered = sorted(
        (item for item in items if math.isfinite(item.interval.mean)),
        key=lambda item: item.interval.mean,
    )
    if len(ordered) < 4:
        return items
    means = [item.interval.mean for item in ordered]
    span = means[-1] - means[0]
    for outside in range(1, len(ordered) // 3 + 1):
        for first in range(outside + 1):
            last = len(ordered) - 1 - (outside - first)
            if means[last] - means[first] < CROWDED * span:
                return ordered[first : last + 1]
    return items


def _number(value: float, signed: bool) -> str:
    if not math.isfinite(value):
        return "–"
    text = f"{value:+.3f}" if signed else f"{value:.3f}"
    if abs(value) >= 100:
        text = f"{value:+.0f}" if signed else f"{value:.0f}"
    return text.replace("-", "−")
