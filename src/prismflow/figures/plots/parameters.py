"""Parameters, operations, time and memory of every model (paper, Table 3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from prismflow.errors import InputError
from prismflow.figures.plots import common, style
from prismflow.labels import model_label

NEEDS = ("costs",)
_WIDE = 300
PANELS = (
    ("n_parameters", "parameters"),
    ("flops_training", "FLOPs per gene, training"),
    ("step_seconds", "seconds per gene and step"),
    ("step_memory_mib", "memory of a step (MiB)"),
)


@style.styled
def draw(
    data: Mapping[str, Any], experiment: Mapping[str, Any], context: Mapping[str, Any]
) -> Figure:
    """A row per model, a panel per cost, on logarithmic axes.

    Args:
        data: ``costs``: a row per model.
        experiment: ``id``, ``models``.
        context: ``model_labels``, ``architectures``.

    Raises:
        InputError: no model is trained by steps.
    """
    table = common.require(data, "costs", experiment)
    if "n_parameters" not in table.columns or table["n_parameters"].isna().all():
        raise InputError(
            f"{common.figure_id(experiment)}: expected a model that is trained by steps, found "
            f"{', '.join(table['model'])}; name a network in the experiment's `models`."
        )
    steps = table[table["n_parameters"].notna()].sort_values("n_parameters", kind="stable")
    seconds = [name for name in steps.columns if name.startswith("step_seconds")]
    steps = steps.assign(**{name: steps[name] / steps["batch_size"] for name in seconds})
    labels = [style.wrap(model_label(name, context), 26) for name in steps["model"]]
    row = 0.155 + 0.105 * max(label.count("\n") for label in labels)
    figure = style.new_figure(style.FULL_WIDTH, 0.55 + row * len(steps))
    panels = figure.subplots(1, len(PANELS), sharey=True)
    for axes, (column, label) in zip(panels, PANELS, strict=True):
        _panel(axes, steps, column, label, context)
    panels[0].set_yticks(range(len(steps)), labels)
    panels[0].set_ylim(len(steps) - 0.5, -0.5)
    return style.finish(figure, _notes(table, steps, context), {**context, "simulated": False})


def _panel(
    axes: Axes, rows: pd.DataFrame, column: str, label: str, context: Mapping[str, Any]
) -> None:
    values = rows[column].to_numpy(float)
    axes.set_xscale("log")
    for y, (name, value) in enumerate(zip(rows["model"], values, strict=True)):
        look = style.model_style(name, context)
        if value > 0:
            axes.plot([value], [y], marker=look.marker, color=look.colour, markersize=4)
        if column == "step_seconds":
            low, high = (rows[f"{column}_{end}"].iloc[y] for end in ("low", "high"))
            axes.plot([low, high], [y, y], color=look.colour, linewidth=1.1)
    positive = values[values > 0]
    if positive.size:
        axes.set_xlim(positive.min() / 2.5, positive.max() * 2.5)
    low, high = axes.get_xlim()
    subs = (1.0,) if high / low > _WIDE else (1.0, 3.0)
    axes.xaxis.set_major_locator(LogLocator(10, subs=subs, numticks=5))
    axes.xaxis.set_major_formatter(FuncFormatter(_short))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(label)
    axes.grid(axis="both")


def _short(value: float, _: int | None = None) -> str:
    for factor, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= factor:
            return f"{value / factor:g} {prefix}"
    return f"{value:g}"


def _notes(table: pd.DataFrame, steps: pd.DataFrame, context: Mapping[str, Any]) -> list[str]:
    devices = ", ".join(sorted(set(steps["device"])))
    windows = sorted(set(steps["window_bp"].astype(int)))
    span = f"{windows[0]:,}" + (f" to {windows[-1]:,}" if len(windows) > 1 else "")
    notes = [
        f"Sizes of this configuration, windows of {span} bp, on {devices}; n = 5 measured steps on "
        "random inputs, their median and range, divided by the batch. No mark: the step added no "
        "memory to what start-up used."
    ]
    tabular = [
        model_label(name, context) for name in table["model"] if name not in set(steps["model"])
    ]
    if tabular:
        notes.append(f"Not trained by steps: {', '.join(tabular)}.")
    return notes
