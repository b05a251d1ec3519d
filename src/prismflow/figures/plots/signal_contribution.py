"""Models trained on subsets of the signals (paper, Figure 1e)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from prismflow.errors import InputError
from prismflow.figures.plots import common, forest, style
from prismflow.labels import modality_label, model_label
from prismflow.statistics.seeds import METRIC_COLUMNS, over_seeds, per_seed

NEEDS = ("metrics",)
_COLUMN_IN = 0.2


@style.styled
def draw(
    data: Mapping[str, Any], experiment: Mapping[str, Any], context: Mapping[str, Any]
) -> Figure:
    """Rows are models, a dot matrix shows the signals each was trained on.

    Args:
        data: ``metrics``, the long table.
        experiment: ``subsets`` {model: [modality, ...]} (an empty list is a model without
            signals); ``metrics``, ``scenario``, ``cells`` as in the main figure.
        context: as in the main figure; ``modality_labels`` and, in the place of ``subsets``,
            ``model_modalities`` {model: [modality, ...]}; models that ``excluded_features`` {model:
            [gene feature, ...]} names with ``promoter_activity`` stand below the others.

    Raises:
        InputError: no subsets are declared, or none of their models has a result.
    """
    subsets = _subsets(experiment, context)
    chosen = {**experiment, "models": list(subsets)}
    table = common.select(data, "metrics", METRIC_COLUMNS, chosen, context)
    table = table[table["scenario"] == str(experiment.get("scenario", "full"))]
    seeds = per_seed(table)
    expected = f"test results of the models {', '.join(subsets)}"
    panels = forest.panels_for(seeds, experiment, context, expected)
    there = set(seeds["model"])
    models = sorted(
        (model for model in subsets if model in there),
        key=lambda model: (len(subsets[model]), list(subsets).index(model)),
    )
    modalities = _modalities(subsets)
    largest = max(models, key=lambda model: len(subsets[model]))
    rows = _rows(models, subsets, context)
    plan = forest.Plan(
        rows=rows,
        panels=panels,
        estimates=forest.estimates_of(seeds, lambda names: str(names[0])),
        reference_row=largest,
        left=_matrix(rows, subsets, modalities, context),
        left_inches=_COLUMN_IN * max(1, len(modalities)),
        head_inches=0.045
        * max((len(modality_label(name, context)) for name in modalities), default=0),
        extra_notes=[
            f"Filled: trained on the signal. Dashed: {model_label(largest, context)}.",
            common.absent_note(models, chosen, context),
        ],
    )
    return forest.draw(plan, over_seeds(table), experiment, context)


def _rows(
    models: Sequence[str], subsets: Mapping[str, Sequence[str]], context: Mapping[str, Any]
) -> list[forest.Row]:
    """Rows named by their signals; models without promoter activity under a header of their own."""
    excluded = context.get("excluded_features") or {}
    without = [model for model in models if "promoter_activity" in (excluded.get(model) or [])]
    if not without:
        return [forest.Row(model, model_label(model, context), model) for model in models]
    rows = []
    for header, group in (
        ("With promoter activity", [model for model in models if model not in without]),
        ("Without promoter activity", without),
    ):
        rows.append(forest.Row(f"{header}|", header, header=True))
        for model in group:
            names = " + ".join(modality_label(name, context) for name in subsets[model])
            rows.append(forest.Row(model, names or "sequence only", model))
    return rows


def _subsets(experiment: Mapping[str, Any], context: Mapping[str, Any]) -> dict[str, list[str]]:
    declared = experiment.get("subsets")
    if not declared:
        known = context.get("model_modalities") or {}
        declared = {
            model: known[model] for model in experiment.get("models") or [] if model in known
        }
    if not declared:
        raise InputError(
            f"{common.figure_id(experiment)}: expected 'subsets' (model: list of signals) in the "
            "experiment, found none; add it to the experiments file."
        )
    return {str(model): [str(name) for name in names or []] for model, names in declared.items()}


def _modalities(subsets: Mapping[str, Sequence[str]]) -> list[str]:
    largest_first = sorted(subsets.values(), key=len, reverse=True)
    return list(dict.fromkeys(name for names in largest_first for name in names))


def _matrix(
    rows: Sequence[forest.Row],
    subsets: Mapping[str, Sequence[str]],
    modalities: Sequence[str],
    context: Mapping[str, Any],
) -> Any:
    def paint(axes: Axes, ys: list[float], _first: bool) -> None:
        for spine in axes.spines.values():
            spine.set_visible(False)
        axes.set_xlim(-0.6, max(1, len(modalities)) - 0.4)
        names = [modality_label(name, context) for name in modalities]
        axes.xaxis.tick_top()
        axes.set_xticks(range(len(modalities)), names, rotation=55, ha="left",
                        rotation_mode="anchor")  # fmt: skip
        axes.tick_params(axis="x", length=0, pad=1)
        for y, row in zip(ys, rows, strict=True):
            if row.header:
                continue
            own, model = subsets[row.model], row.model
            columns = [index for index, name in enumerate(modalities) if name in own]
            axes.scatter(range(len(modalities)), [y] * len(modalities), s=15, color=style.FAINT,
                         linewidths=0, zorder=1)  # fmt: skip
            colour = style.model_style(model, context).colour
            if len(columns) > 1:
                axes.plot([columns[0], columns[-1]], [y, y], color=colour, linewidth=1, zorder=2)
            axes.scatter(columns, [y] * len(columns), s=19, color=colour, linewidths=0, zorder=3)

    return paint
