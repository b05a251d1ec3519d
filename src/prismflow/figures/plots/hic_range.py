"""Contact partners of a gene with the pseudocount and without it (paper, Table 8)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from prismflow.figures.plots import common, room, style

NEEDS = ("contact_range",)
#: Column -> label, colour, line and width; also the order of the labels.
COUNTS = {
    "with_pseudocount": ("pseudocount added, value > 0", "#d55e00", "-", 3.0),
    "emptied_with_pseudocount": ("the same, all distant contacts taken out", "#222222", ":", 1.6),
    "without_pseudocount": ("no pseudocount, contact > 0", "#0072b2", "--", 1.0),
    "above_expected": ("contact > mean at that distance", "#009e73", "-", 1.1),
}


@style.styled
def draw(
    data: Mapping[str, Any], experiment: Mapping[str, Any], context: Mapping[str, Any]
) -> Figure:
    """Cumulative share of genes against the number of positions with a value; a panel per cell.

    Args:
        data: ``contact_range``: cell and the columns of
            :func:`prismflow.evaluation.contact_range.count_contacts`.
        experiment: ``id``.
        context: ``cells``, ``simulated``.

    Raises:
        InputError: no cell has contacts.
    """
    table = common.contact_range(data, experiment)
    cells = common.cell_order(table["cell"].unique(), experiment, context)
    width = style.FULL_WIDTH if len(cells) > 1 else style.COLUMN_WIDTH
    bands = room.bands(cells, 2)
    figure = style.new_figure(width, 2.3 * len(bands))
    panels = figure.subplots(len(bands), len(bands[0]), sharey=True, squeeze=False)
    for axes, cell in zip(panels.flat, cells, strict=False):
        _panel(axes, table[table["cell"] == cell], cell, context)
    for axes in panels.flat[len(cells) :]:
        axes.remove()
    for axes in panels[:, 0]:
        axes.set_ylabel("genes with at most so many (%)")
    return style.finish(figure, _notes(table, cells, context), context)


def _panel(axes: Axes, rows: pd.DataFrame, cell: str, context: Mapping[str, Any]) -> None:
    share = 100 * np.arange(1, len(rows) + 1) / len(rows)
    top = int(rows["range_bp"].iloc[0])
    for number, (column, (label, colour, line, width)) in enumerate(COUNTS.items()):
        values = np.sort(rows[column].to_numpy(float))
        x, y = np.concatenate([[0], values, [top]]), np.concatenate([[0], share, [100]])
        axes.step(x, y, where="post", color=colour, linestyle=line, linewidth=width)
        text = f"{label}: median {np.median(values):,.0f}"
        axes.text(0.02, 0.97 - 0.1 * number, text, transform=axes.transAxes, color=colour,
                  fontsize=style.SMALL_SIZE, va="top")  # fmt: skip
    axes.set_title(f"{common.cell_label(cell, context)}: {len(rows):,} genes", loc="left")
    axes.set_xlim(0, top * 1.02)
    axes.set_ylim(0, 165)
    axes.set_yticks([0, 25, 50, 75, 100])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda bp, _: f"{bp / 1000:g}"))
    axes.set_xlabel(f"positions of the {top / 1000:g}-kb window with a value (thousands)")
    axes.grid(axis="y")


def _notes(table: pd.DataFrame, cells: list[str], context: Mapping[str, Any]) -> list[str]:
    constant = table["pseudocount"].iloc[0]
    notes = [
        f"The pseudocount is the constant {constant:.6f}, added to every position of a gene whose "
        "own surroundings have contacts. n = 1 count per gene; no seed, no test. Lines of "
        "different width lie on each other where counts are equal."
    ]
    for cell in cells:
        rows = table[table["cell"] == cell]
        recorded = rows["bins_recorded"].median()
        notes.append(
            f"{common.cell_label(cell, context)}: {rows['normalisation'].iloc[0]} contacts at "
            f"{rows['resolution_bp'].iloc[0] / 1000:g} kb; in the median gene {recorded:g} of "
            f"{rows['n_bins'].median():g} bins have a contact, "
            f"{rows['bins_beyond_tss'].median():g} of them beyond the TSS's own bin."
        )
    return notes
