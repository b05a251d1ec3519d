"""Do tracks, genes, strands and labels fit together? Profiles at the TSS, labels, windows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from prismflow.errors import InputError
from prismflow.figures.plots import common, style
from prismflow.labels import modality_label, target_label

NEEDS = ("profiles", "examples", "checks", "summary")
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
_ROW_IN, _EXAMPLE_IN = 1.25, 0.95
_N_EXAMPLES = 3


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
    n_columns = max(len(names) + 1, _N_EXAMPLES)
    bands = [height for _ in cells for height in (_ROW_IN, _EXAMPLE_IN)]
    figure = style.new_figure(style.FULL_WIDTH, sum(bands) + 0.3)
    grid = figure.add_gridspec(len(bands), 12, height_ratios=bands)
    for number, cell in enumerate(cells):
        width = 12 // n_columns
        for column, name in enumerate(names):
            axes = figure.add_subplot(grid[2 * number, column * width : (column + 1) * width])
            own = profiles[(profiles["cell"] == cell) & (profiles["modality"] == name)]
            _profile(axes, own, data["checks"], cell, name, colours[name], context)
            if column == 0:
                axes.set_ylabel(f"{common.cell_label(cell, context)}\nmean signal")
        axes = figure.add_subplot(grid[2 * number, len(names) * width : 12])
        _labels(axes, summary["labels"][cell], context)
        own = examples[examples["cell"] == cell]
        for column, (gene, window) in enumerate(own.groupby("gene_id", sort=False)):
            axes = figure.add_subplot(grid[2 * number + 1, 4 * column : 4 * column + 4])
            _window(axes, str(gene), window, colours, context, column == 0)
    return style.finish(figure, _notes(summary), context)


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
    title = modality_label(name, context)
    if len(facts):
        title += f", ρ with label {facts['spearman'].iloc[0]:.2f}"
    axes.set_title(title, loc="left", fontsize=style.SMALL_SIZE, fontweight="normal")
    for strand, line in (("plus", "-"), ("minus", "--")):
        own = rows[rows["strand"] == strand]
        axes.plot(own["position_bp"], own["value"], line, color=colour, label=f"{strand} genes")
    axes.axvline(0, color=style.FAINT, zorder=0, linewidth=0.8)
    low, high = (float(f(rows["value"])) for f in (min, max)) if len(rows) else (0.0, 1.0)
    # Room above the curves for the legend.
    axes.set_ylim(min(0.0, low), max(high, 1e-9) * 1.25)
    axes.set_xlabel("bp from TSS, downstream positive")
    axes.legend(loc="upper left", ncols=2, handlelength=1.6, columnspacing=1.0, borderaxespad=0.1)


def _labels(axes: Axes, histogram: Mapping[str, Any], context: Mapping[str, Any]) -> None:
    edges, counts = np.array(histogram["edges"]), np.array(histogram["counts"])
    axes.bar(edges[:-1], counts, np.diff(edges), align="edge", color="#8c8c8c", linewidth=0)
    axes.set_title(f"label, {int(counts.sum()):,} genes", loc="left", fontsize=style.SMALL_SIZE,
                   fontweight="normal")  # fmt: skip
    axes.set_xlabel(target_label(context))
    axes.set_ylabel("genes")


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
        axes.fill_between(own["position_bp"], level, level + 0.72 * own["value"] / top, step="mid",
                          color=colours[name], linewidth=0)  # fmt: skip
        axes.text(1, level + 0.98, f"max {top:.3g}", transform=axes.get_yaxis_transform(),
                  ha="right", va="top", fontsize=style.SMALL_SIZE, color=style.MUTED)  # fmt: skip
    axes.axvline(0, color=style.FAINT, zorder=0, linewidth=0.8)
    axes.set_ylim(0, len(names))
    named = [modality_label(name, context) for name in reversed(names)] if first else []
    axes.set_yticks(np.arange(len(named)) + 0.4, named)
    axes.tick_params(axis="y", length=0)
    axes.set_title(f"{gene}, label {rows['label'].iloc[0]:.2f}", loc="left",
                   fontsize=style.SMALL_SIZE, fontweight="normal")  # fmt: skip
    axes.set_xlabel("bp from TSS")


def _notes(summary: Mapping[str, Any]) -> list[str]:
    genes = summary["genes"]
    dropped = ", ".join(f"{n:,} {reason}" for reason, n in sorted(genes["dropped"].items()))
    notes = [f"{genes['kept']:,} genes kept; dropped: {dropped or 'none'}."]
    flags = [f"FLAG: {text}" for text in summary["flags"]]
    return [*notes, *(flags or ["No flag was raised."])]
