"""Test metrics against the input length, by model family (paper, Figure 1d)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from prismflow.errors import InputError
from prismflow.figures.plots import common, style, sweep
from prismflow.labels import base_model, model_label

NEEDS = ("metrics", "predictions", "families")
_LENGTH_SUFFIX = re.compile(r"_\d+(bp|kb)$")


@style.styled
def draw(
    data: Mapping[str, Any], experiment: Mapping[str, Any], context: Mapping[str, Any]
) -> Figure:
    """A line per family, a point with interval per length; rows are metrics, columns cells.

    Args:
        data: ``metrics``, the long table; ``predictions``, for intervals over genes and seeds;
            ``families`` {label: [model, ...]}, else models that
            differ only by a suffix such as ``_500bp`` or ``_20kb`` form a family.
        experiment: ``metrics``, ``scenario``, ``cells``.
        context: as in the main figure; ``model_lengths`` {model: window_bp}.

    Raises:
        InputError: a model has no length, or there is no result.
    """
    families = _families(data, experiment, context)
    scenario = str(experiment.get("scenario", "full"))
    rows = [
        (label, model, scenario, _length(model, experiment, context))
        for label, models in families.items()
        for model in models
    ]
    points = pd.DataFrame(rows, columns=["base", "model", "scenario", "x"])
    labels = {
        label: model_label(label, context) if base_model(label) is not None else label
        for label in families
    }
    lengths = tuple(sorted({float(x) for x in points["x"]}))
    axis = sweep.Axis("Input length (bp, log scale)", "log", lengths)
    return sweep.draw_lines(data, points, labels, (), axis, experiment, context)


def _families(
    data: Mapping[str, Any], experiment: Mapping[str, Any], context: Mapping[str, Any]
) -> dict[str, Sequence[str]]:
    declared = data.get("families")
    if declared:
        return {str(label): [str(model) for model in models] for label, models in declared.items()}
    models = experiment.get("models")
    if not models:
        models = sorted(common.require(data, "metrics", experiment)["model"].unique())
    families: dict[str, Any] = {}
    for model in map(str, models):
        families.setdefault(_LENGTH_SUFFIX.sub("", model), []).append(model)
    return families


def _length(model: str, experiment: Mapping[str, Any], context: Mapping[str, Any]) -> int:
    lengths = context.get("model_lengths") or {}
    if model not in lengths:
        raise InputError(
            f"{common.figure_id(experiment)}: expected the input length of model {model}, found "
            f"lengths of {', '.join(sorted(lengths)) or 'no model'}; give model_lengths."
        )
    return int(lengths[model])
