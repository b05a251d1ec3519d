"""Do tracks, genes, strands and labels fit together? Profiles at the TSS, labels, windows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from prismflow.errors import InputError
from prismflow.figures.plots import common, style
from prismflow.labels import modality_label, target_label

NEEDS = ("profiles", "examples", "checks", "summary")
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#332288", "#661100")
_COLUMNS = 4
_N_EXAMPLES = 3
_LEFT, _RIGHT, _TOP = 0.06, 0.12, 0.24
_Y_LABELS, _GAP, _X_LABELS, _TITLE = 0.6, 0.14, 0.36, 0.2
_PANEL_IN, _LEVEL_IN, _NAMES_IN, _HEAD_IN = 0.95, 0.26, 0.86, 0.18


class _Page:
    """Axes placed in inches from the top left: as many rows as there are signals and cells.

    An automatic layout gives up on so many small panels and lets them lie on each other.
    """

    def __init__(self, heights: list[float]) -> None:
        self.height = _TOP + sum(heights)
        self.figure = style.new_figure(style.FULL_WIDTH, self.height, automatic=False)
        self._down = _TOP

    def axes(self, left: float, width: float, height: float) -> Axes:
        """Axes of a row's inner size at ``left``; the title stands above, the label below."""
        top = self.height - self._down - _TITLE
        across = style.FULL_WIDTH
        return self.figure.add_axes(
            (left / across, (top - height) / self.height, width / across, height / self.height)
        )

    def next_row(self, height: float) -> None:
        """Go down by a whole row."""
        self._down += height


@style.styled
def draw(
    data: Mapping[str, Any], experiment: Mapping[str, Any], context: Mapping[str, Any]
) -> Figure:
    """One band per cell: profile of each signal around the TSS, histogram of the label, windows.

    Profiles are means over the genes of a strand, read in the direction of transcription.

    Args:
        data: ``profiles``: cell modality strand position_bp value; ``examples``: cell modality
            gene_id label position_bp value; ``checks``: cell modality spearman ...; ``summary``:
            flags, genes (kept, dropped by reason), labels (edges and counts by cell).
        experiment: ``id``.
        context: ``cells``, ``target_label``, ``modality_labels``, ``simulated``.

    Raises:
        InputError: there is no label to draw.
    """
    summary = common.require(data, "summary", experiment)
    profiles, examples = data["profiles"], data["examples"]
    cells = common.cell_order(summary["labels"], experiment, context)
    if not cells:
        raise InputError(f"{common.figure_id(experiment)}: expected labels of a cell, found none.")
    names = list(dict.fromkeys(profiles["modality"]))
    colours = {name: _COLOURS[i % len(_COLOURS)] for i, name in enumerate(names)}
    n_rows = -(-(len(names) + 1) // _COLUMNS)
    panel = _TITLE + _PANEL_IN + _X_LABELS
    window = _TITLE + _LEVEL_IN * max(len(names), 1) + _X_LABELS
    page = _Page([h for _ in cells for h in (_HEAD_IN, *[panel] * n_rows, window)])
    for cell in cells:
        own = profiles[profiles["cell"] == cell]
        page.next_row(_HEAD_IN)
        for at in range(0, len(names) + 1, _COLUMNS):
            for column, name in enumerate([*names, None][at : at + _COLUMNS]):
                axes = _panel(page, column)
                if at == column == 0:
                    _head(axes, common.cell_label(cell, context))
                if name is None:
                    _labels(axes, summary["labels"][cell], context)
                    continue
                rows = own[own["modality"] == name]
                _profile(axes, rows, data["checks"], cell, name, colours[name], context)
                if column == 0:
                    axes.set_ylabel("mean signal")
            page.next_row(panel)
        shown = examples[examples["cell"] == cell].groupby("gene_id", sort=False)
        for column, (gene, rows) in enumerate(shown):
            axes = _example(page, column, len(names))
            _window(axes, str(gene), rows, colours, context, first=column == 0)
        page.next_row(window)
    _strands(page)
    return style.finish(page.figure, _notes(summary), context)


def _panel(page: _Page, column: int) -> Axes:
    width = (style.FULL_WIDTH - _LEFT - _RIGHT) / _COLUMNS
    left = _LEFT + column * width + _Y_LABELS
    return page.axes(left, width - _Y_LABELS - _GAP, _PANEL_IN)


def _example(page: _Page, column: int, n_levels: int) -> Axes:
    width = (style.FULL_WIDTH - _NAMES_IN - _RIGHT) / _N_EXAMPLES
    return page.axes(_NAMES_IN + column * width, width - _GAP, _LEVEL_IN * max(n_levels, 1))


def _strands(page: _Page) -> None:
    lines = [Line2D([], [], color=style.INK, linestyle=line) for line in ("-", "--")]
    page.figure.legend(
        lines, ["plus genes", "minus genes"], loc="upper left", ncols=2, borderaxespad=0.2,
        bbox_to_anchor=(0, 1), bbox_transform=page.figure.transFigure,
    )  # fmt: skip


def _head(axes: Axes, cell: str) -> None:
    above = (-72 * _Y_LABELS, 72 * (_TITLE + 0.02))
    axes.annotate(_shortened(cell, 60), (0, 1), above, xycoords="axes fraction",
                  textcoords="offset points", fontweight="bold")  # fmt: skip


def _title(axes: Axes, text: str) -> None:
    axes.set_title(text, loc="left", fontsize=style.SMALL_SIZE, fontweight="normal")


def _positions(axes: Axes, rows: pd.DataFrame, label: str) -> None:
    """Ticks within the panel, so that those of neighbours stay apart."""
    reach = float(rows["position_bp"].abs().max()) if len(rows) else 1000.0
    half = float(f"{reach / 2:.1g}")
    axes.set_xlim(-reach, reach)
    axes.set_xticks([-half, 0, half], [f"−{half:,.0f}", "0", f"+{half:,.0f}"])
    axes.set_xlabel(label)


def _profile(
    axes: Axes,
    rows: pd.DataFrame,
    checks: pd.DataFrame,
    cell: str,
    name: str,
    colour: str,
    context: Mapping[str, Any],
) -> None:
    facts = checks[(checks["cell"] == cell) & (checks["modality"] == name)]
    rho = f", ρ {facts['spearman'].iloc[0]:.2f}" if len(facts) else ""
    _title(axes, _shortened(modality_label(name, context), 24 - len(rho)) + rho)
    for strand, line in (("plus", "-"), ("minus", "--")):
        own = rows[rows["strand"] == strand]
        axes.plot(own["position_bp"], own["value"], line, color=colour)
    axes.axvline(0, color=style.FAINT, zorder=0, linewidth=0.8)
    low, high = (float(f(rows["value"])) for f in (min, max)) if len(rows) else (0.0, 1.0)
    axes.set_ylim(min(0.0, low * 1.08), max(high, 1e-9) * 1.08)
    _numbers(axes)
    _positions(axes, rows, "bp from TSS")


def _numbers(axes: Axes) -> None:
    axes.yaxis.set_major_locator(MaxNLocator(3))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))


def _shortened(text: str, width: int) -> str:
    return text if len(text) <= width else text[: max(width - 1, 1)].rstrip() + "…"


def _labels(axes: Axes, histogram: Mapping[str, Any], context: Mapping[str, Any]) -> None:
    edges, counts = np.array(histogram["edges"]), np.array(histogram["counts"])
    axes.bar(edges[:-1], counts, np.diff(edges), align="edge", color="#8c8c8c", linewidth=0)
    _title(axes, f"label, {int(counts.sum()):,} genes")
    axes.set_xlabel(_shortened(target_label(context), 26))
    widest = max(len(f"{edge:.2g}") for edge in edges)
    axes.xaxis.set_major_locator(MaxNLocator(4 if widest < 5 else 2))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
    _numbers(axes)


def _window(
    axes: Axes,
    gene: str,
    rows: pd.DataFrame,
    colours: Mapping[str, str],
    context: Mapping[str, Any],
    first: bool,
) -> None:
    """Tracks of one gene above each other, each scaled to its highest value in this window."""
    names = list(dict.fromkeys(rows["modality"]))
    for level, name in enumerate(reversed(names)):
        own = rows[rows["modality"] == name]
        top = max(float(own["value"].max()), 1e-9)
        axes.fill_between(own["position_bp"], level, level + 0.6 * own["value"] / top, step="mid",
                          color=colours[name], linewidth=0)  # fmt: skip
        axes.text(1, level + 0.98, f"max {top:.3g}", transform=axes.get_yaxis_transform(),
                  ha="right", va="top", fontsize=style.SMALL_SIZE, color=style.MUTED)  # fmt: skip
    axes.axvline(0, color=style.FAINT, zorder=0, linewidth=0.8)
    axes.set_ylim(0, len(names))
    named = [_shortened(modality_label(n, context), 14) for n in reversed(names)] if first else []
    axes.set_yticks(np.arange(len(named)) + 0.4, named)
    axes.tick_params(axis="y", length=0)
    _title(axes, f"{_shortened(gene, 24)}, label {rows['label'].iloc[0]:.3g}")
    _positions(axes, rows, "bp from TSS")


def _notes(summary: Mapping[str, Any]) -> list[str]:
    genes = summary["genes"]
    dropped = ", ".join(f"{n:,} {reason}" for reason, n in sorted(genes["dropped"].items()))
    notes = [f"{genes['kept']:,} genes kept; dropped: {dropped or 'none'}."]
    flags = [f"FLAG: {text}" for text in summary["flags"]]
    notes.append("ρ: Spearman correlation of a gene's mean signal with its label.")
    return [*notes, *(flags or ["No flag was raised."])]
