"""Models whose shortcut over the background state holds, is gone, or is turned round."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from prismflow.errors import InputError
from prismflow.figures.plots import common, style
from prismflow.labels import model_label, target_label

NEEDS = ("confounding",)
PANELS = {
    "mse": "MSE of\n{target}",
    "difference": "MSE minus that\nof n = 0",
    "reliance": "MSE added without\nDNase, Hi-C",
    "recovery": "MSE added without\nH3K27ac",
    "error_c": "partial r of error\nand C",
}
COLOURS = ("#0072b2", "#5f5f5f", "#d55e00", "#009e73", "#cc79a7")
"""By kappa of the test genes, largest first."""
ROW_IN = 0.235
TITLE_CHARS = 25
OUTPUT_LABEL = {"direct": "", "backdoor": ", backdoor", "adapted": ", adapted"}


@style.styled
def draw(
    data: Mapping[str, Any], experiment: Mapping[str, Any], context: Mapping[str, Any]
) -> Figure:
    """A line per model and prediction, a mark per kappa of the test genes, a band per training.

    Args:
        data: ``confounding``: the tables of :func:`prismflow.evaluation.confounding.gather`.
        experiment: ``id``, ``models`` in their order.
        context: ``model_labels``, ``target_label``.

    Raises:
        InputError: no world was run.
    """
    tables = common.require(data, "confounding", experiment)
    summary = tables["summary"]
    if summary.empty:
        raise InputError(
            f"{common.figure_id(experiment)}: expected measures of at least one world, found none; "
            "add a block to the experiment's `options.grid`."
        )
    drawn = pd.concat([summary, _differences(tables["contrasts"])], ignore_index=True)
    trainings = sorted(summary["training"].unique(), reverse=True)
    lines = [lines_of(summary[summary["training"] == t], experiment) for t in trainings]
    heights = [ROW_IN * len(own) + 0.55 for own in lines]
    figure = style.new_figure(style.FULL_WIDTH, sum(heights) + 0.3)
    grid = figure.add_gridspec(len(trainings), len(PANELS), height_ratios=heights)
    for band, (training, own) in enumerate(zip(trainings, lines, strict=True)):
        rows = drawn[drawn["training"] == training]
        for column, measure in enumerate(PANELS):
            axes = figure.add_subplot(grid[band, column])
            _panel(axes, rows[rows["measure"] == measure], own)
            if measure != "mse":
                axes.axvline(0, color=style.INK, linewidth=0.6)
            labels = [_label(line, context) for line in own] if column == 0 else []
            axes.set_yticks(range(len(own)), labels)
            if column:
                axes.set_yticks([])
            axes.set_xlabel(PANELS[measure].format(target=target_label(context)))
            if column == 0:
                axes.set_title(f"Trained at κ = {training:g}", loc="left", x=-1.25)
            if column == 0:
                _legend(axes, sorted(rows["test"].unique(), reverse=True), float(training))
    return style.finish(figure, _notes(summary), context)


def _differences(contrasts: pd.DataFrame) -> pd.DataFrame:
    """Paired differences in MSE, as rows of the measure ``difference``."""
    rows = contrasts[contrasts["measure"] == "mse"].assign(measure="difference")
    return rows.rename(columns={"difference": "mean"})


def lines_of(rows: pd.DataFrame, experiment: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(model, output) in the experiment's order, the direct prediction first."""
    there = set(zip(rows["model"], rows["output"], strict=True))
    models = common.model_order({model for model, _ in there}, experiment)
    return [(m, output) for m in models for output in OUTPUT_LABEL if (m, output) in there]


def state(test: float, training: float) -> str:
    """What kappa of the test genes means for a model trained at another."""
    if abs(test - training) < 1e-9:
        return "holds"
    return "turned" if test * training < 0 else "gone"


def _label(line: tuple[str, str], context: Mapping[str, Any]) -> str:
    model, output = line
    label = style.wrap(model_label(model, context) + OUTPUT_LABEL[output], 32)
    # Names keep the width that the title of the band, which begins above them, needs.
    return label.rjust(TITLE_CHARS, "\u2007")


def _colours(tests: Sequence[float]) -> dict[float, str]:
    return {test: COLOURS[i % len(COLOURS)] for i, test in enumerate(tests)}


def _panel(axes: Axes, rows: pd.DataFrame, lines: Sequence[tuple[str, str]]) -> None:
    tests = sorted(rows["test"].unique(), reverse=True)
    colours = _colours(tests)
    axes.set_ylim(len(lines) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    axes.spines["left"].set_visible(False)
    for boundary in range(1, len(lines)):
        axes.axhline(boundary - 0.5, color="#ececec", linewidth=0.5)
    for offset, test in enumerate(tests):
        for _, row in rows[rows["test"] == test].iterrows():
            line = (row["model"], row["output"])
            y = lines.index(line) + 0.24 * (offset - (len(tests) - 1) / 2)
            if pd.notna(row["low"]) and row["n_worlds"] >= common.SEEDS_FOR_INTERVAL:
                axes.plot([row["low"], row["high"]], [y, y], color=colours[test], linewidth=0.9)
            axes.plot(row["mean"], y, "o", color=colours[test], markersize=2.6)


def _legend(axes: Axes, tests: Sequence[float], training: float) -> None:
    words = {"holds": "shortcut holds", "gone": "gone", "turned": "turned round"}
    colours = _colours(tests)
    x = 0.0
    for test in tests:
        word = "" if training == 0 else f" ({words[state(test, training)]})"
        text = f"● κ = {test:g} at test{word}".replace("-", "−")
        label = axes.annotate(text, (0, 1), (x, 4), xycoords="axes fraction",
                              textcoords="offset points", color=colours[test],
                              fontsize=style.SMALL_SIZE, va="bottom")  # fmt: skip
        label.set_in_layout(False)
        x += 72 * style.SMALL_CHAR_IN * len(text) + 12


def _notes(summary: pd.DataFrame) -> list[str]:
    parts = []
    for training, rows in summary.groupby("training", sort=False):
        worlds = common.range_label(rows["n_worlds"], "world")
        genes = common.range_label(rows["n_genes"], "test gene")
        parts.append(f"κ = {training:g}: {worlds}, {genes} each.")
    return [
        _interval_note(int(summary["n_worlds"].min()), int(summary["n_worlds"].max())),
        "κ: correlation of the background state C with the true activity. Without a signal: its "
        "values are exchanged between test genes, in a trained model. Partial r: error (predicted "
        "minus observed) against C, true causes of expression held fixed; 0 where C is not used.",
        "Prism's name alone is its direct prediction. Differences from Prism with n = 0 are paired "
        "by world.",
        *parts,
    ]


def _interval_note(fewest: int, most: int) -> str:
    if most == 1:
        return "Marks: n = 1 world, no interval."
    drawn_anew = "(genome, test genes and training seed drawn anew in each)"
    if most < common.SEEDS_FOR_INTERVAL:
        return f"Marks: mean over worlds {drawn_anew}. No interval: two worlds give none."
    note = f"Marks: mean over worlds; bars: 95 % t-interval over worlds {drawn_anew}."
    return note + (" No bar below 3 worlds." if fewest < common.SEEDS_FOR_INTERVAL else "")
