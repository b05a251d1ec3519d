"""Scores of element-gene pairs against CRISPR interference, and what windows can reach."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from prismflow.errors import InputError
from prismflow.figures.plots import common, style

NEEDS = ("crispri",)
_EVERYWHERE = "all distances"
_SETS = {"all": ("all pairs", "#0072b2", "o"), "tested": ("test genes", "#d55e00", "s")}
_LINES = ("-", "--", "-.")
_COLOURS = ("#7a7a7a", "#2b8cbe", "#0b3c7d", "#c0509a", "#a6761d", "#00795a", "#b8400b", "#222222")


@style.styled
def draw(
    data: Mapping[str, Any], experiment: Mapping[str, Any], context: Mapping[str, Any]
) -> Figure:
    """A row per benchmark: average precision by score, by distance, and the reach of windows.

    Args:
        data: ``crispri``: ``summary`` and ``reach`` of :mod:`prismflow.evaluation.crispri`.
        experiment: ``id``.
        context: ``cells``, ``simulated``.

    Raises:
        InputError: no cell has a benchmark.
    """
    tables = common.require(data, "crispri", experiment)
    summary, reach = tables["summary"], tables["reach"]
    if summary.empty:
        raise InputError(
            f"{common.figure_id(experiment)}: expected tested pairs of at least one cell, found "
            "none; add a row to the sheet of perturbations or remove the experiment from "
            "`run.experiments`."
        )
    names = list(dict.fromkeys(zip(summary["cell"], summary["benchmark"], strict=True)))
    n_scores = summary["score"].nunique()
    figure = style.new_figure(style.FULL_WIDTH, (1.5 + 0.2 * n_scores) * len(names))
    panels = figure.subplots(len(names), 3, squeeze=False, width_ratios=[1.1, 1.2, 0.8])
    for row, (cell, benchmark) in zip(panels, names, strict=True):
        own = summary[(summary["cell"] == cell) & (summary["benchmark"] == benchmark)]
        own = own[own["measure"] == "average_precision"]
        _scores(row[0], own[own["distance_group"] == _EVERYWHERE])
        row[0].set_title(f"{common.cell_label(cell, context)}: {benchmark}", loc="left")
        judged = "tested" if (own["pairs"] == "tested").any() else "all"
        scores = list(dict.fromkeys(own["score"]))
        _distances(row[1], own[own["pairs"] == judged], scores)
        row[1].set_title(f"{_SETS[judged][0]}, colours as on the left", loc="left")
        _reach(row[2], reach[(reach["cell"] == cell) & (reach["benchmark"] == benchmark)])
    return style.finish(figure, _notes(summary), context)


def _scores(axes: Axes, rows: pd.DataFrame) -> None:
    """Average precision with its interval, a line per score."""
    scores = list(dict.fromkeys(rows["score"]))
    for number, (name, (label, colour, marker)) in enumerate(_SETS.items()):
        own = rows[rows["pairs"] == name].set_index("score").reindex(scores)
        y = np.arange(len(scores)) + 0.22 * (number - 0.5) * 2
        axes.hlines(y, own["low"], own["high"], color=colour, linewidth=1)
        axes.plot(own["value"], y, marker, color=colour, markersize=3.5, label=label)
        base = (own["n_regulated"] / own["n_pairs"]).dropna()
        if len(base):
            axes.axvline(base.iloc[0], color=colour, linestyle=":", linewidth=0.8)
    axes.set_yticks(range(len(scores)), scores)
    for number, tick in enumerate(axes.get_yticklabels()):
        tick.set_color(_COLOURS[number % len(_COLOURS)])
    axes.set_ylim(len(scores) - 0.4, -1.7)
    axes.set_xlim(0, 1)
    axes.set_xlabel("average precision (dotted: chance)")
    axes.legend(loc="upper right")
    axes.grid(axis="x")


def _distances(axes: Axes, rows: pd.DataFrame, scores: list[str]) -> None:
    """Average precision by group of distance, a line per score, and that of chance."""
    groups = [group for group in dict.fromkeys(rows["distance_group"]) if group != _EVERYWHERE]
    for number, score in enumerate(scores):
        colour, line = _COLOURS[number % len(_COLOURS)], _LINES[number // len(_COLOURS) % 3]
        own = rows[rows["score"] == score].set_index("distance_group").reindex(groups)
        axes.plot(groups, own["value"], line, color=colour, marker="o", markersize=2.5, label=score)
    first = rows.drop_duplicates("distance_group").set_index("distance_group").reindex(groups)
    chance = first["n_regulated"] / first["n_pairs"]
    axes.plot(groups, chance, ":", color=style.INK, label="chance")
    axes.set_ylim(0, 1)
    axes.tick_params(axis="x", rotation=20)
    axes.set_xlabel("distance of element and TSS")
    axes.set_ylabel("average precision")
    axes.legend(handles=axes.lines[-1:], loc="upper right")
    axes.grid(axis="y")


def _reach(axes: Axes, rows: pd.DataFrame) -> None:
    """Regulated pairs whose element lies in a window round the TSS."""
    share = 100 * rows["share"].to_numpy(float)
    names = [f"{window / 1000:g}" for window in rows["window_bp"]]
    axes.bar(names, share, color=style.FAINT, edgecolor=style.MUTED, linewidth=0.6)
    for x, (value, n) in enumerate(zip(share, rows["n_reached"], strict=True)):
        axes.text(x, value + 2, f"{n}", ha="center", fontsize=style.SMALL_SIZE)
    axes.set_ylim(0, 108)
    axes.set_xlabel("window (kb)")
    axes.set_ylabel("regulated pairs in reach (%)")


def _notes(summary: pd.DataFrame) -> list[str]:
    """What n is, and how intervals were made."""
    rows = summary[summary["distance_group"] == _EVERYWHERE]
    rows = rows.drop_duplicates(["cell", "benchmark", "pairs"])
    counts = "; ".join(
        f"{row.cell} {row.benchmark}, {_SETS[row.pairs][0]}: n = {row.n_pairs:,} pairs of "
        f"{row.n_genes:,} genes, {row.n_regulated:,} regulated"
        for row in rows.itertuples()
    )
    return [
        f"{counts}. Lines: 95 % bootstrap over genes, each with its pairs. Test genes lie in a "
        "test split of the dataset, pooled over folds: only on them may trained models be judged."
    ]
