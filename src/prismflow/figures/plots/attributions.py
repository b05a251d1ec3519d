"""Signals, contributions and the bases that matter most, in the windows of a few genes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.textpath import TextPath
from matplotlib.ticker import FuncFormatter
from matplotlib.transforms import Affine2D

from prismflow.figures.plots import common, style
from prismflow.figures.plots.locus import TRACK_COLOURS
from prismflow.labels import modality_label, model_label

NEEDS = ("genes", "totals", "arrays")
BASES = "ACGT"
BASE_COLOURS = ("#009e73", "#0072b2", "#e69f00", "#d55e00")
SEQUENCE_COLOUR = "#5f5f5f"
SECOND_COLOUR = "#222222"
PLACES = 3
"""Places whose bases are drawn, per gene."""
PLACE_BP = 18
SMALLEST_EFFECT = 1e-5
"""Where no base has a larger effect (unit of the label), what is left is rounding of float32."""
_BINS = 100
_ROW_IN, _LETTERS_IN, _ROOM_IN = 0.42, 0.55, 0.75


@style.styled
def draw(
    data: Mapping[str, Any], experiment: Mapping[str, Any], context: Mapping[str, Any]
) -> Figure:
    """A column per gene: each signal above its contributions, the sequence's, and bases.

    Args:
        data: ``genes``, ``totals`` (tables) and ``arrays`` of
            :func:`prismflow.explain.gather.gather`.
        experiment: ``model``, ``cell`` and ``figure_genes``, how many genes are shown.
        context: ``modality_labels``, ``cells``, ``simulated``.
    """
    genes, arrays = data["genes"], data["arrays"]
    outputs = list(dict.fromkeys(data["totals"]["output"]))
    names = [n for n in dict.fromkeys(data["totals"]["input"]) if n != "sequence"]
    highest = genes[f"{outputs[0]}_prediction"].sort_values(ascending=False, kind="stable")
    shown = highest.index[: experiment["figure_genes"]].tolist()
    rows = [_ROW_IN] * (2 * len(names) + 1) + [_LETTERS_IN]
    figure = style.new_figure(style.FULL_WIDTH, sum(rows) * 1.12 + _ROOM_IN)
    grid = figure.add_gridspec(len(rows), len(shown) * PLACES, height_ratios=rows)
    for column, row in enumerate(shown):
        own = slice(column * PLACES, (column + 1) * PLACES)
        axes = [figure.add_subplot(grid[level, own]) for level in range(len(rows) - 1)]
        importance = _importance(arrays, outputs[0], row)
        places = highest_places(importance) if _matters(importance) else []
        _gene(axes, arrays, outputs, names, row, places, context, labelled=column == 0)
        # Above a window without signals stand the names of the places.
        _title(axes[0], genes.iloc[row], outputs, 4 if names else 12)
        if not places:
            empty = figure.add_subplot(grid[len(rows) - 1, own])
            empty.set_axis_off()
            empty.text(0.5, 0.5, "no base of this window has an effect above 0.00001", ha="center",
                       va="center", color=style.MUTED)  # fmt: skip
        for number, place in enumerate(places):
            letters = figure.add_subplot(grid[len(rows) - 1, column * PLACES + number])
            _letters(letters, arrays, outputs[0], row, place, labelled=column + number == 0)
            letters.set_title("abc"[number], fontsize=style.SMALL_SIZE, fontweight="normal", pad=1)
    return style.finish(figure, _notes(arrays, outputs, experiment, context), context)


def _gene(
    axes: list[Axes],
    arrays: Mapping[str, np.ndarray],
    outputs: list[str],
    names: list[str],
    row: int,
    places: list[int],
    context: Mapping[str, Any],
    labelled: bool,
) -> None:
    length = arrays["window.codes"].shape[1]
    bp = np.arange(length) - length // 2
    for channel, name in enumerate(names):
        colour = TRACK_COLOURS.get(name, "#cc79a7")
        signal, given = axes[2 * channel], axes[2 * channel + 1]
        values = arrays["window.signals"][row, :, channel]
        signal.fill_between(bp, 0, values, step="mid", color=colour, linewidth=0, alpha=0.55)
        signal.set_ylim(0, max(float(values.max()), 1e-9) * 1.1)
        parts = [arrays[f"{output}.signals"][row, :, channel] for output in outputs]
        _bars(given, bp, parts, colour)
        if labelled:
            signal.set_ylabel(style.wrap(modality_label(name, context), 14), rotation=0,
                              ha="right", va="center")  # fmt: skip
            given.set_ylabel("contri-\nbution", rotation=0, ha="right", va="center")
    parts = [arrays[f"{output}.sequence"][row].sum(axis=-1) for output in outputs]
    _bars(axes[-1], bp, parts, SEQUENCE_COLOUR)
    if labelled:
        axes[-1].set_ylabel("sequence:\ncontri-\nbution", rotation=0, ha="right", va="center")
    for number, place in enumerate(places):
        middle = bp[place] + PLACE_BP // 2
        axes[-1].annotate("abc"[number], (middle, 1.0), xycoords=("data", "axes fraction"),
                          ha="center", va="bottom", fontsize=style.SMALL_SIZE)  # fmt: skip
    for one in axes:
        one.axvline(0, color=style.MUTED, linewidth=0.6, linestyle=(0, (2, 2)), zorder=0)
        one.set_xlim(bp[0], bp[-1])
        one.locator_params(axis="y", nbins=3)
        # A common factor above the axis would stand in the way of the title and the places.
        one.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.2g}"))
        if one is not axes[-1]:
            one.tick_params(labelbottom=False)
    axes[-1].set_xlabel("bp from TSS, forward strand")


def bin_bp(length: int) -> int:
    """Bases that a bar sums."""
    return max(1, length // _BINS)


def _bars(axes: Axes, bp: np.ndarray, parts: list[np.ndarray], colour: str) -> None:
    """Sums per bin: bars for the first output, a line for the second."""
    width = bin_bp(len(bp))
    starts = np.arange(0, len(bp), width)
    for number, values in enumerate(parts):
        sums = np.add.reduceat(values, starts)
        if number == 0:
            axes.bar(bp[starts], sums, width=width, align="edge", color=colour, linewidth=0)
        else:
            axes.step(bp[starts], sums, where="post", color=SECOND_COLOUR, linewidth=0.6)
    axes.axhline(0, color=style.FAINT, linewidth=0.5, zorder=0)


def _importance(arrays: Mapping[str, np.ndarray], output: str, row: int) -> np.ndarray:
    """(L,) of the bases that stand there: by substitutions, else by integrated gradients."""
    effects = arrays.get(f"{output}.substitutions")
    if effects is None:
        return arrays[f"{output}.sequence"][row].sum(axis=-1)
    return np.nan_to_num(-effects[row].sum(axis=-1) / 3)


def highest_places(importance: np.ndarray) -> list[int]:
    """First bases of the windows of :data:`PLACE_BP` with the largest sums of sizes, apart.

    Fewer than :data:`PLACES` where the others are 0 or unknown.
    """
    if len(importance) < PLACE_BP:
        return [0] if importance.any() else []
    sums = np.convolve(np.abs(importance), np.ones(PLACE_BP), mode="valid")
    found: list[int] = []
    while len(found) < PLACES and sums.max() > 0:
        best = int(np.argmax(sums))
        found.append(best)
        sums[max(best - PLACE_BP + 1, 0) : best + PLACE_BP] = -1
    return sorted(found)


def _matters(importance: np.ndarray) -> bool:
    return float(np.abs(importance).max()) > SMALLEST_EFFECT


def _letters(
    axes: Axes, arrays: Mapping[str, np.ndarray], output: str, row: int, first: int, labelled: bool
) -> None:
    importance = _importance(arrays, output, row)
    codes = arrays["window.codes"][row]
    top = max(float(np.abs(importance).max()), 1e-12)
    for offset in range(min(PLACE_BP, len(codes) - first)):
        code, value = int(codes[first + offset]), float(importance[first + offset]) / top
        if code < len(BASES) and value:
            axes.add_patch(PathPatch(_letter(BASES[code], offset, value), linewidth=0,
                                     facecolor=BASE_COLOURS[code]))  # fmt: skip
    start = first - len(codes) // 2
    axes.axhline(0, color=style.FAINT, linewidth=0.5, zorder=0)
    axes.set_xlim(0, PLACE_BP)
    axes.set_ylim(-1.05, 1.05)
    axes.set_xticks([0, PLACE_BP], [f"{start:+d}", f"{start + PLACE_BP:+d}"])
    left, right = axes.get_xticklabels()
    left.set_horizontalalignment("left")
    right.set_horizontalalignment("right")
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    if labelled:
        axes.set_ylabel("bases at\nthe highest\nplaces", rotation=0, ha="right", va="center")


def _letter(letter: str, left: float, height: float) -> Path:
    """Outline of a letter, one wide, from 0 to ``height``; upright below the axis, too."""
    outline = TextPath((0, 0), letter, size=1)
    box = outline.get_extents()
    scale = Affine2D().translate(-box.x0, -box.y0).scale(0.92 / box.width, abs(height) / box.height)
    return scale.translate(left + 0.04, min(height, 0.0)).transform_path(outline)


def _title(axes: Axes, gene: pd.Series, outputs: list[str], pad: float) -> None:
    said = ", ".join(
        f"{'predicted' if output == 'prediction' else output} {gene[f'{output}_prediction']:.2f}"
        for output in outputs
    )
    strand = "−" if gene["strand"] == "-" else "+"
    axes.set_title(
        f"{gene['gene_id']}, {gene['chrom']}:{int(gene['tss']):,} ({strand})\n"
        f"observed {gene['observed']:.2f}, {said}",
        loc="left", fontsize=style.SMALL_SIZE, fontweight="normal", pad=pad,
    )  # fmt: skip


def _notes(
    arrays: Mapping[str, np.ndarray],
    outputs: list[str],
    experiment: Mapping[str, Any],
    context: Mapping[str, Any],
) -> list[str]:
    width = bin_bp(arrays["window.codes"].shape[1])
    bars = f"Bars: integrated gradients ({outputs[0]}), summed over {width} bp, unit of the label"
    letters = "minus the mean effect of a base's substitutions"
    if f"{outputs[0]}.substitutions" not in arrays:
        letters = "integrated gradients"
    return [
        f"{model_label(experiment['model'], context)}, "
        f"{common.cell_label(experiment['cell'], context)}, {experiment['run']}, the genes "
        "predicted highest of those explained.",
        bars + (f"; line: {outputs[1]}." if len(outputs) > 1 else "."),
        f"Letters: {letters}, scaled to the largest in the window; below the line: lowers the "
        "prediction. One trained network, no interval.",
    ]
