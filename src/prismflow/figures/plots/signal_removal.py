"""What a trained model loses when a signal is taken away at test time (paper, Figure 1f)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from prismflow.errors import InputError
from prismflow.figures.plots import common, forest, style
from prismflow.labels import modality_label, model_label
from prismflow.statistics.seeds import METRIC_COLUMNS, paired_over_seeds, seed_differences

NEEDS = ("metrics",)
_PREFIX = "without_"
_HOW = {"zero": "set to zero", "mean": "mean-imputed", "permute": "permuted"}


@style.styled
def draw(
    data: Mapping[str, Any], experiment: Mapping[str, Any], context: Mapping[str, Any]
) -> Figure:
    """Change of each metric against the same run with full inputs, paired by seed.

    Args:
        data: ``metrics``, the long table, with scenario ``full`` and the removals.
        experiment: ``scenarios``, names or {name: {"remove": [...], "how": ...}}; without them
            every scenario ``without_<modality>`` of the table; ``scenario_settings``, what names
            mean; ``models``, ``cells``, ``metrics``.
        context: as in the main figure; ``modality_labels``.

    Raises:
        InputError: no run has both the full and a removal scenario.
    """
    table = common.select(data, "metrics", METRIC_COLUMNS, experiment, context)
    removals = _removals(table, experiment, context)
    seeds = pd.concat([seed_differences(table, name) for name in removals] or [table.head(0)])
    if seeds.empty:
        found = ", ".join(sorted(map(str, table["scenario"].unique())))
        raise InputError(
            f"{common.figure_id(experiment)}: expected runs tested with 'full' and with a scenario "
            f"without_<modality>, found the scenarios {found}; evaluate the missing ones."
        )
    summary = pd.concat([paired_over_seeds(table, name) for name in removals])
    rows = _rows(seeds, removals, experiment, context)
    plan = forest.Plan(
        rows=rows,
        panels=forest.panels_for(seeds, experiment, context, "changes of the metrics"),
        estimates=forest.estimates_of(seeds, lambda names: f"{names[1]}|{names[0]}"),
        change=True,
        extra_notes=[
            "Differences are paired by seed. Mean-imputed: the mean of the training genes; "
            "permuted: exchanged between test genes.",
            common.absent_note(seeds["model"].unique(), experiment, context),
        ],
    )
    return forest.draw(plan, summary, experiment, context)


def _rows(
    seeds: pd.DataFrame,
    removals: Mapping[str, str],
    experiment: Mapping[str, Any],
    context: Mapping[str, Any],
) -> list[forest.Row]:
    rows = []
    for scenario, label in removals.items():
        models = seeds.loc[seeds["scenario"] == scenario, "model"].unique()
        if not len(models):
            continue
        rows.append(forest.Row(f"{scenario}|", label, header=True))
        rows.extend(
            forest.Row(f"{scenario}|{model}", model_label(model, context), model)
            for model in common.model_order(models, experiment)
        )
    return rows


def _removals(
    table: pd.DataFrame, experiment: Mapping[str, Any], context: Mapping[str, Any]
) -> dict[str, str]:
    """Removal scenarios -> their headers, in the experiment's order."""
    declared = experiment.get("scenarios") or []
    settings: Mapping[str, Any] = experiment.get("scenario_settings") or {}
    specs: dict[str, Mapping[str, Any]] = (
        {str(name): spec or {} for name, spec in declared.items()}
        if isinstance(declared, Mapping)
        else {str(name): settings.get(str(name), {}) for name in declared}
    )
    chosen = [name for name, spec in specs.items() if spec.get("remove") or _is_removal(name)]
    if not chosen:
        chosen = sorted(name for name in map(str, table["scenario"].unique()) if _is_removal(name))
    return {name: _header(name, specs.get(name, {}), context) for name in chosen}


def _is_removal(name: str) -> bool:
    return name.startswith(_PREFIX)


def _header(name: str, spec: Mapping[str, Any], context: Mapping[str, Any]) -> str:
    removed: Sequence[str] = [str(item) for item in spec.get("remove") or []]
    how = str(spec.get("how", ""))
    if not removed:
        rest = name.removeprefix(_PREFIX)
        for suffix in _HOW:
            if rest.endswith(f"_{suffix}"):
                rest, how = rest.removesuffix(f"_{suffix}"), suffix
        removed = [rest]
    text = "Without " + " + ".join(modality_label(item, context) for item in removed)
    return f"{text} ({_HOW[how]})" if how in _HOW else text
