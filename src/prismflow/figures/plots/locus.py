"""Tracks, contacts, predictions and observed expression of a few genes (paper, Figure 6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from prismflow.errors import InputError
from prismflow.figures.plots import common, style
from prismflow.labels import modality_label, model_label, target_label

NEEDS = ("loci",)
TRACK_COLOURS = {"h3k27ac": "#0072b2", "dnase": "#009e73", "hic": "#d55e00"}
_OTHER = ("#cc79a7", "#e69f00", "#56b4e9", "#332288")
_STRAND = {"-": "−"}
_TRACK_IN, _MODEL_IN, _ROOM_IN = 0.27, 0.14, 0.92


@style.styled
def draw(
    data: Mapping[str, Any], experiment: Mapping[str, Any], context: Mapping[str, Any]
) -> Figure:
    """A column per gene, a band per cell: its tracks, and below every model's prediction.

    Args:
        data: ``loci``: tables ``genes``, ``tracks`` and ``predictions`` as
            :func:`prismflow.figures.read.loci.load` gives them.
        experiment: ``models``, ``cells``, ``genes``.
        context: ``target_label``, ``modality_labels``, ``model_labels``.

    Raises:
        InputError: there is no gene to show.
    """
    loci = common.require(data, "loci", experiment)
    genes, tracks, predictions = (loci[name] for name in ("genes", "tracks", "predictions"))
    if genes.empty:
        raise InputError(f"{common.figure_id(experiment)}: expected genes to show, found none.")
    cells = common.cell_order(genes["cell"].unique(), experiment, context)
    models = common.model_order(predictions["model"].unique(), experiment)
    signals = list(dict.fromkeys(tracks["modality"]))
    columns = int(genes.groupby("cell").size().max())
    names = [style.wrap(model_label(model, context), 26) for model in models]
    row = _MODEL_IN + 0.12 * max((name.count("\n") for name in names), default=0)
    upper, lower = _TRACK_IN * len(signals) + 0.3, row * len(models) + 0.3
    height = len(cells) * (upper + lower + _ROOM_IN - 0.6)
    figure = style.new_figure(style.FULL_WIDTH, height)
    ratios = [part for _ in cells for part in (upper, lower)]
    grid = figure.add_gridspec(2 * len(cells), columns, height_ratios=ratios)
    for band, cell in enumerate(cells):
        own = tracks[tracks["cell"] == cell]
        tops = own.groupby("modality")["value"].max()
        predicted = predictions[predictions["cell"] == cell]
        shown = genes[genes["cell"] == cell]
        bounds = _bounds(predicted, shown)
        for column, gene in enumerate(shown.to_dict("records")):
            axes = figure.add_subplot(grid[2 * band, column])
            rows = own[own["gene_id"] == gene["gene_id"]]
            _tracks(axes, rows, signals, tops, context, labelled=column == 0)
            _title(axes, gene, cell, experiment, context)
            axes = figure.add_subplot(grid[2 * band + 1, column])
            rows = predicted[predicted["gene_id"] == gene["gene_id"]]
            _predictions(axes, rows, models, gene["observed"], bounds, context)
            if column == 0:
                axes.set_yticks(range(len(models)), names)
    return style.finish(figure, _notes(loci, experiment, context), context)


def _tracks(
    axes: Axes,
    rows: pd.DataFrame,
    signals: Sequence[str],
    tops: pd.Series,
    context: Mapping[str, Any],
    labelled: bool,
) -> None:
    """Tracks above each other, each on the scale of its highest value in this band."""
    others = [name for name in signals if name not in TRACK_COLOURS]
    for level, name in enumerate(reversed(signals)):
        colour = TRACK_COLOURS.get(name) or _OTHER[others.index(name) % len(_OTHER)]
        own = rows[rows["modality"] == name]
        top = max(float(tops[name]), 1e-9)
        axes.fill_between(own["position_bp"], level, level + 0.64 * own["value"] / top, step="mid",
                          color=colour, linewidth=0)  # fmt: skip
        axes.axhline(level, color=style.FAINT, linewidth=0.5, zorder=0)
        text = f"{own['value'].max():.3g}"
        axes.text(0.995, level + 0.99, text, transform=axes.get_yaxis_transform(), ha="right",
                  va="top", fontsize=style.SMALL_SIZE, color=style.MUTED)  # fmt: skip
    axes.axvline(0, color=style.MUTED, linewidth=0.6, linestyle=(0, (2, 2)), zorder=0)
    axes.set_ylim(0, len(signals))
    axes.set_xlim(rows["position_bp"].min(), rows["position_bp"].max())
    labels = [modality_label(name, context) for name in reversed(signals)] if labelled else []
    axes.set_yticks([level + 0.32 for level in range(len(labels))], labels)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.locator_params(axis="x", nbins=5)
    axes.set_xlabel("bp from TSS, forward strand")


def _title(
    axes: Axes,
    gene: Mapping[str, Any],
    cell: str,
    experiment: Mapping[str, Any],
    context: Mapping[str, Any],
) -> None:
    why = "named" if pd.isna(gene["difference"]) else f"difference {gene['difference']:+.2f}"
    where = f"{gene['chrom']}:{int(gene['tss']):,} ({_STRAND.get(gene['strand'], gene['strand'])})"
    axes.set_title(
        f"{common.cell_label(cell, context)}: {gene['gene_id']}\n{where}, {why}",
        loc="left", fontsize=style.SMALL_SIZE, fontweight="normal",
    )  # fmt: skip


def _bounds(predicted: pd.DataFrame, genes: pd.DataFrame) -> tuple[float, float]:
    values = pd.concat([predicted["predicted"], genes["observed"]])
    low, high = float(values.min()), float(values.max())
    pad = 0.08 * ((high - low) or 1.0)
    return low - pad, high + pad


def _predictions(
    axes: Axes,
    rows: pd.DataFrame,
    models: Sequence[str],
    observed: float,
    bounds: tuple[float, float],
    context: Mapping[str, Any],
) -> None:
    axes.axvline(observed, color=style.INK, linewidth=1.0, zorder=1)
    for y, model in enumerate(models):
        look = style.model_style(model, context)
        values = rows.loc[rows["model"] == model, "predicted"]
        axes.plot(values, [y] * len(values), "o", color=look.colour, markersize=2, alpha=0.6)
        if len(values):
            axes.plot([values.mean()], [y], marker=look.marker, color=look.colour, markersize=4)
    axes.set_xlim(*bounds)
    axes.set_ylim(len(models) - 0.5, -0.5)
    axes.set_yticks(range(len(models)), [])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="y")
    axes.locator_params(axis="x", nbins=4)
    axes.set_xlabel(f"predicted {target_label(context)}; line: observed {observed:.2f}")


def _notes(
    loci: Mapping[str, pd.DataFrame], experiment: Mapping[str, Any], context: Mapping[str, Any]
) -> list[str]:
    per_gene = loci["predictions"].groupby(["cell", "model", "gene_id"]).size()
    seeds = common.range_label(per_gene, "seed")
    notes = [
        "Numbers on the right: the highest value shown; tracks of a cell share their scale over "
        f"its genes. Large marks: mean over seeds, small dots: {seeds}; "
        "single genes, no interval, no test."
    ]
    pair = experiment.get("between", ("prism", "caduceus_signals"))
    names = " minus ".join(model_label(name, context) for name in pair)
    notes.append(f"Difference: mean prediction of {names}; its largest sizes choose the genes.")
    missing = [gene for gene in experiment.get("genes", ())
               if gene not in set(loci["genes"]["gene_id"])]  # fmt: skip
    if missing:
        notes.append(f"Not among the test genes: {', '.join(missing)}.")
    return notes
