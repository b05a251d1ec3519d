"""The context weights that Prism's generator gives each gene (paper, Figure 5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from prismflow.errors import InputError
from prismflow.figures.plots import common, room, style
from prismflow.labels import modality_label, model_label
from prismflow.plan.run import RunKey
from prismflow.statistics.bootstrap import spearman

NEEDS = ("context_weights", "gene_signals")
_QUANTILES = (0.1, 0.5, 0.9)
_BINS = 30


def between_context_distance(weights: np.ndarray) -> np.ndarray:
    """Root mean square difference between contexts, averaged over their pairs.

    Args:
        weights: (n_genes, d_model, n) in [0, 1].

    Returns:
        (n_genes,), between 0 (all contexts equal) and 1; NaN for n < 2.
    """
    n = weights.shape[2]
    if n < 2:
        return np.full(weights.shape[0], np.nan)
    pairs = [(i, j) for i in range(n) for j in range(i + 1, n)]
    total = sum(
        np.sqrt(((weights[:, :, i] - weights[:, :, j]) ** 2).mean(axis=1)) for i, j in pairs
    )
    return np.asarray(total) / len(pairs)


def kept_share(weights: np.ndarray, threshold: float = 0.5) -> np.ndarray:
    """Share of the weights of a gene above ``threshold``; (n_genes, d_model, n) -> (n_genes,)."""
    return (weights > threshold).mean(axis=(1, 2))


@style.styled
def draw(
    data: Mapping[str, Any], experiment: Mapping[str, Any], context: Mapping[str, Any]
) -> Figure:
    """Heat maps of a_1..a_n for sampled genes; below, all genes of all runs, and how their
    distance between contexts and kept share go with the signals at the TSS.

    Args:
        data: ``context_weights``: {(cell, model, fold, seed): (gene_ids, (n_genes, d_model, n))};
            ``gene_signals``: cell, gene_id and a column per signal.
        experiment: ``models``, ``cells``; ``model`` for the heat maps (default: the first with
            two or more contexts); ``genes`` (ids; default: the genes at the 10th, 50th and 90th
            percentile of the between-context distance); ``keep_threshold`` (default 0.5).
        context: as in the main figure.

    Raises:
        InputError: no run has context weights, or an array has a wrong shape.
    """
    runs = _runs(common.require(data, "context_weights", experiment), experiment)
    cells = common.cell_order({run[0] for run in runs}, experiment, context)
    models = common.model_order({run[1] for run in runs}, experiment)
    shown = {cell: _shown_run(runs, cell, models, experiment) for cell in cells}
    threshold = float(experiment.get("keep_threshold", 0.5))
    genes = {cell: _sampled(runs[run], experiment) for cell, run in shown.items()}
    n_maps = max(len(rows) for rows in genes.values())
    contexts = max(runs[run][1].shape[2] for run in shown.values())
    map_height = 0.19 + max(0.26, 0.105 * contexts)
    signals = data["gene_signals"]
    names = [name for name in signals.columns if name not in ("cell", "gene_id")]
    upper, ridges = map_height * n_maps + 0.35, 0.58 + 0.27 * len(models)
    lower = 0.55 + 0.16 * len(names)
    bands = room.bands(cells, 2)
    figure = style.new_figure(
        style.FULL_WIDTH if len(cells) > 1 else style.COLUMN_WIDTH,
        (upper + ridges + lower) * len(bands),
    )
    outer = figure.add_gridspec(
        3 * len(bands), 1, height_ratios=[upper, ridges, lower] * len(bands)
    )
    for number, band in enumerate(bands):
        grids = [outer[3 * number + part] for part in range(3)]
        _band(figure, grids, band, (n_maps, len(bands[0])), runs, shown, genes, models, threshold,
              signals, names, context)  # fmt: skip
    return style.finish(figure, _notes(runs, shown, threshold, experiment), context)


def _band(figure: Figure, outer: Sequence[Any], cells: Sequence[str], shape: tuple[int, int],
          runs: Mapping[RunKey, Any], shown: Mapping[str, RunKey],
          genes: Mapping[str, list[tuple[int, str]]], models: Sequence[str], threshold: float,
          signals: pd.DataFrame, names: Sequence[str],
          context: Mapping[str, Any]) -> None:  # fmt: skip
    """Heat maps, histograms and correlations of cells beside each other."""
    n_maps, across = shape
    maps = outer[0].subgridspec(n_maps, across)
    image: Any = None
    all_maps = []
    for column, cell in enumerate(cells):
        for row, (gene, note) in enumerate(genes[cell]):
            axes = figure.add_subplot(maps[row, column])
            image = _heat_map(axes, runs[shown[cell]][1], gene, note, row + 1 == len(genes[cell]))
            all_maps.append(axes)
            if row == 0:
                axes.set_title(_title(shown[cell], context), loc="left", pad=14)
    bar = figure.colorbar(image, ax=all_maps, fraction=0.02, pad=0.01, aspect=22)
    bar.ax.set_title("weight a", fontsize=style.SMALL_SIZE, fontweight="normal", loc="right")
    bar.outline.set_linewidth(0.4)
    below = outer[1].subgridspec(1, 2 * across)
    for column, cell in enumerate(cells):
        _distributions(figure, below, column, cell, models, runs, threshold, context)
    lowest = outer[2].subgridspec(1, 2 * across)
    for column, cell in enumerate(cells):
        own = signals[signals["cell"] == cell]
        series = weight_correlations(runs, shown[cell], own, names, threshold)
        for offset in (0, 1):
            axes = figure.add_subplot(lowest[0, 2 * column + offset])
            _correlations(axes, series[offset], names, (column, offset), context)


def _runs(weights: Mapping[Any, Any], experiment: Mapping[str, Any]) -> dict[RunKey, Any]:
    wanted_models = [str(model) for model in experiment.get("models") or []]
    wanted_cells = common.cells_wanted(experiment)
    runs: dict[RunKey, Any] = {}
    for key in sorted(weights, key=lambda item: tuple(map(str, item))):
        cell, model, fold, seed = key
        genes, array = weights[key]
        array = np.asarray(array, dtype=float)
        if (wanted_models and model not in wanted_models) or (
            wanted_cells and cell not in wanted_cells
        ):
            continue
        if array.ndim != 3 or array.shape[0] != len(genes):
            raise InputError(
                f"{common.figure_id(experiment)}: expected context weights (genes, features, "
                f"contexts) for {len(genes)} genes of {cell} {model} {fold} seed {seed}, found "
                f"the shape {array.shape}."
            )
        if array.shape[2] and array.shape[0]:
            runs[RunKey(str(cell), str(model), str(fold), seed)] = (list(genes), array)
    if not runs:
        raise InputError(
            f"{common.figure_id(experiment)}: expected context weights of a Prism model with "
            f"n >= 1 (models: {', '.join(wanted_models) or 'any'}), found none; evaluate one."
        )
    return runs


def _shown_run(
    runs: Mapping[RunKey, Any], cell: str, models: Sequence[str], experiment: Mapping[str, Any]
) -> RunKey:
    own = [run for run in runs if run[0] == cell]
    named = [run for run in own if run[1] == experiment.get("model")]
    several = [run for run in own if runs[run][1].shape[2] > 1]
    candidates = named or several or own
    return min(candidates, key=lambda run: (models.index(run[1]), run[2], str(run[3])))


def _sampled(
    run: tuple[list[str], np.ndarray], experiment: Mapping[str, Any]
) -> list[tuple[int, str]]:
    """Rows of the genes to show, each with a note on why it was chosen."""
    genes, weights = run
    named = [str(gene) for gene in experiment.get("genes") or []]
    found = [(genes.index(gene), gene) for gene in named if gene in genes]
    if found:
        return found
    measure = between_context_distance(weights)
    what = "distance"
    if np.isnan(measure).all():
        measure, what = kept_share(weights), "kept share"
    order = np.argsort(measure, kind="stable")
    chosen: dict[int, str] = {}
    for quantile in _QUANTILES:
        row = int(order[round(quantile * (len(order) - 1))])
        chosen.setdefault(row, f"{genes[row]}, {quantile * 100:.0f}th percentile of {what}")
    return list(chosen.items())


def _heat_map(axes: Axes, weights: np.ndarray, gene: int, note: str, last: bool) -> Any:
    order = _feature_order(weights)
    values = weights[gene][order].T
    image = axes.imshow(values, aspect="auto", vmin=0, vmax=1, cmap="cividis")
    axes.set_yticks(range(values.shape[0]), [f"a{i + 1}" for i in range(values.shape[0])])
    axes.tick_params(axis="y", length=0)
    axes.set_xticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.text(0, 1.03, note, transform=axes.transAxes, fontsize=style.SMALL_SIZE, va="bottom")
    if last:
        by = "mean a1 − a2" if values.shape[0] > 1 else "mean a1"
        axes.set_xlabel(f"{values.shape[1]} features, ordered by {by}")
    return image


def _feature_order(weights: np.ndarray) -> np.ndarray:
    mean = weights.mean(axis=0)
    key = mean[:, 0] - mean[:, 1] if mean.shape[1] > 1 else mean[:, 0]
    return np.argsort(key, kind="stable")


def _distributions(figure: Figure, grid: Any, column: int, cell: str, models: Sequence[str],
                   runs: Mapping[RunKey, Any], threshold: float,
                   context: Mapping[str, Any]) -> None:  # fmt: skip
    for offset, (what, label) in enumerate(
        (("distance", "Distance between contexts"), ("kept", f"Share of weights > {threshold:g}"))
    ):
        axes = figure.add_subplot(grid[0, 2 * column + offset])
        axes.set_ylim(len(models) - 0.7, -0.75)
        if offset == 0:
            axes.set_title(f"{common.cell_label(cell, context)}: all test genes", loc="left")
        labelled = column == 0 and offset == 0
        names = [style.wrap(model_label(model, context), 14) for model in models]
        axes.set_yticks(range(len(models)), names if labelled else [])
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.set_xlim(0, 1)
        axes.set_xlabel(label)
        axes.grid(axis="x")
        axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
        for y, model in enumerate(models):
            arrays = [runs[run][1] for run in runs if run[:2] == (cell, model)]
            seeds = [between_context_distance(array) if what == "distance"
                     else kept_share(array, threshold) for array in arrays]  # fmt: skip
            _ridge(axes, y, seeds, style.model_style(model, context).colour)


def _ridge(axes: Axes, y: int, seeds: Sequence[np.ndarray], colour: str) -> None:
    """Histogram over genes of all seeds standing on ``y``; a tick at each seed's median."""
    values = np.concatenate(seeds) if seeds else np.empty(0)
    values = values[np.isfinite(values)]
    if values.size == 0:
        text = "one context" if seeds else "no run"
        axes.text(0.5, y - 0.2, text, ha="center", va="center", fontsize=style.SMALL_SIZE,
                  color=style.MUTED)  # fmt: skip
        return
    counts, edges = np.histogram(values, bins=_BINS, range=(0, 1))
    axes.stairs(y - 0.68 * counts / counts.max(), edges, baseline=y, fill=True, color=colour,
                alpha=0.45, linewidth=0)  # fmt: skip
    axes.plot([0, 1], [y, y], color="#bdbdbd", linewidth=0.5)
    for seed in seeds:
        axes.plot([np.nanmedian(seed)] * 2, [y, y + 0.22], color=colour, linewidth=1.1)


def weight_correlations(
    runs: Mapping[RunKey, Any],
    shown: RunKey,
    signals: pd.DataFrame,
    names: Sequence[str],
    threshold: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Spearman correlations over genes of two measures of the weights with each signal.

    Args:
        runs: gene ids and weights by run.
        shown: the run of the heat maps; the runs of its cell and model are used.
        signals: gene_id and the columns ``names`` of the cell.
        names: signals.
        threshold: of the kept share.

    Returns:
        For the distance between contexts and for the kept share: (runs, signals), NaN where one
        of the two is constant.
    """
    found: tuple[list[list[float]], list[list[float]]] = ([], [])
    by_gene = signals.set_index("gene_id")
    for run in sorted(run for run in runs if run[:2] == shown[:2]):
        genes, weights = runs[run]
        values = by_gene.loc[[str(gene) for gene in genes]]
        measures = (between_context_distance(weights), kept_share(weights, threshold))
        for rows, measure in zip(found, measures, strict=True):
            rows.append([_spearman(measure, values[name].to_numpy(float)) for name in names])
    return np.array(found[0]), np.array(found[1])


def _spearman(one: np.ndarray, two: np.ndarray) -> float:
    known = np.isfinite(one) & np.isfinite(two)
    if known.sum() < 3 or np.ptp(one[known]) == 0 or np.ptp(two[known]) == 0:
        return float("nan")
    return float(spearman(one[known], two[known]))


def _correlations(
    axes: Axes,
    values: np.ndarray,
    names: Sequence[str],
    place: tuple[int, int],
    context: Mapping[str, Any],
) -> None:
    """A row per signal: a dot per run, and their mean."""
    axes.axvline(0, color=style.FAINT, linewidth=0.8, zorder=0)
    colour = style.model_style("prism").colour
    for y in range(len(names)):
        known = values[np.isfinite(values[:, y]), y]
        axes.plot(known, np.full(len(known), y), "o", color=colour, markersize=2.5, alpha=0.6,
                  linewidth=0)  # fmt: skip
        if len(known):
            axes.plot([known.mean()] * 2, [y - 0.3, y + 0.3], color=style.INK, linewidth=1.1)
        else:
            axes.text(0, y, "constant", ha="center", va="center", fontsize=style.SMALL_SIZE,
                      color=style.MUTED)  # fmt: skip
    axes.set_xlim(-1, 1)
    axes.set_xticks([-1, 0, 1])
    axes.set_ylim(len(names) - 0.5, -0.5)
    labels = [modality_label(name, context) for name in names] if place == (0, 0) else []
    axes.set_yticks(range(len(names)), labels)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="y")
    axes.set_xlabel(f"ρ with {('distance', 'kept share')[place[1]]}")


def _title(run: RunKey, context: Mapping[str, Any]) -> str:
    label = model_label(run[1], context)
    return f"{common.cell_label(run[0], context)}: {label}, seed {run[3]}"


def _notes(
    runs: Mapping[RunKey, Any],
    shown: Mapping[str, RunKey],
    threshold: float,
    experiment: Mapping[str, Any],
) -> list[str]:
    per_group: dict[tuple[str, str], int] = {}
    for run in runs:
        per_group[run[:2]] = per_group.get(run[:2], 0) + 1
    genes = common.range_label((len(runs[run][0]) for run in runs), "gene")
    notes = [
        "Distance: root mean square difference of the weights of two contexts, averaged over pairs "
        f"of contexts. Histograms: all test genes ({genes}) of "
        f"{common.range_label(per_group.values(), 'run')} per model; ticks: median of each run. "
        "Lowest row: Spearman correlation over the test genes with the mean signal at TSS ± 500 "
        "bp, for the model of the heat maps; dots: seeds, bars: their mean; no test."
    ]
    missing = [str(gene) for gene in experiment.get("genes") or []
               if all(str(gene) not in runs[run][0] for run in shown.values())]  # fmt: skip
    if missing:
        notes.append(f"Not among the test genes: {', '.join(missing)}.")
    return notes
