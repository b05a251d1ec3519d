"""One trained model read out in several ways: a row per scenario, grouped by model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from prismflow.figures.plots import common, forest, style
from prismflow.labels import model_label
from prismflow.statistics.seeds import METRIC_COLUMNS, over_seeds, per_seed

NEEDS = ("metrics",)


@style.styled
def draw(
    data: Mapping[str, Any], experiment: Mapping[str, Any], context: Mapping[str, Any]
) -> Figure:
    """Rows are scenarios below the name of their model; a panel per cell and metric.

    Args:
        data: ``metrics``, the long table.
        experiment: ``models``, ``scenarios``, ``scenario_labels`` {scenario: text}; ``cells``,
            ``metrics`` as in the main figure.
        context: as in the main figure.

    Raises:
        InputError: no model was tested in these scenarios.
    """
    table = common.select(data, "metrics", METRIC_COLUMNS, experiment, context)
    wanted = [str(name) for name in experiment.get("scenarios") or ["full"]]
    table = table[table["scenario"].isin(wanted)]
    seeds = per_seed(table)
    expected = f"results of the scenarios {', '.join(wanted)}"
    panels = forest.panels_for(seeds, experiment, context, expected)
    labels = experiment.get("scenario_labels") or {}
    tested = set(zip(table["model"], table["scenario"], strict=True))
    rows = []
    for model in common.model_order(table["model"].unique(), experiment):
        rows.append(forest.Row(f"{model}|", model_label(model, context), header=True))
        rows.extend(
            forest.Row(f"{model}|{name}", str(labels.get(name, name.replace("_", " "))), model)
            for name in wanted
            if (model, name) in tested
        )
    plan = forest.Plan(
        rows=rows,
        panels=panels,
        estimates=forest.estimates_of(seeds, lambda names: f"{names[0]}|{names[1]}"),
        extra_notes=[
            "Rows below one name are the same trained weights.",
            common.absent_note(table["model"].unique(), experiment, context),
        ],
    )
    return forest.draw(plan, over_seeds(table), experiment, context)
