"""Differences between models over simulated worlds, as claims read them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from prismflow.statistics.paired import Components, Effect
from prismflow.statistics.seeds import t_interval

TOLERANCE = 1e-9


@dataclass(frozen=True)
class WorldEffect:
    """A weighted sum of mean squared errors, paired by world.

    Attributes:
        effect: worlds in the place of seeds.
        scale: mean MSE of the first term that is subtracted.
        why: which worlds these are.
    """

    effect: Effect
    scale: float
    why: str


def effect_over_worlds(
    measures: pd.DataFrame | None, test: Mapping[str, Any], level: float
) -> WorldEffect | str:
    """The contrast of a test of kind ``worlds``, or why there is none.

    Every world has its own genome, test genes and training seed, so a t-interval over worlds covers
    all three.

    Args:
        measures: ``training``, ``test``, ``replicate``, ``model``, ``output``, ``measure``,
            ``value``, ``n_genes``.
        test: ``training``, ``test``, ``first_world`` and ``terms`` (``weight``, ``models``,
            ``output``).
        level: coverage of the interval.
    """
    if measures is None:
        return f"experiment {', '.join(test['experiments'])} is not among those run"
    first = int(test.get("first_world") or 0)
    kept = measures[
        (measures["measure"] == "mse")
        & ((measures["training"] - test["training"]).abs() < TOLERANCE)
        & ((measures["test"] - test["test"]).abs() < TOLERANCE)
        & (measures["replicate"] >= first)
    ]
    errors = kept.set_index(["model", "output", "replicate"]).sort_index()
    terms = test["terms"]
    for names in zip(*(term["models"] for term in terms), strict=True):
        keys = [(n, term.get("output") or "direct") for n, term in zip(names, terms, strict=True)]
        if all(key in errors.index.droplevel("replicate") for key in keys):
            columns = pd.concat([errors.loc[key, "value"] for key in keys], axis=1).dropna()
            if len(columns):
                genes = float(errors.loc[keys[0], "n_genes"].mean())
                return _paired(columns, [float(term["weight"]) for term in terms], genes, level)
    since = f" from world {first} on" if first else ""
    return f"its models have no common worlds here{since}"


def _paired(
    errors: pd.DataFrame, weights: list[float], n_genes: float, level: float
) -> WorldEffect:
    values = errors.to_numpy() @ np.array(weights)
    found = t_interval(values, level)
    variance = float(values.var(ddof=1)) if len(values) > 1 else float("nan")
    se = float(np.sqrt(variance / len(values)))
    effect = Effect(
        found.mean, found.low, found.high, se, float(max(len(values) - 1, 1)), float("nan"),
        len(values), round(n_genes), Components(variance / len(values), 0.0, 0.0),
    )  # fmt: skip
    subtracted = next(i for i, weight in enumerate(weights) if weight < 0)
    worlds = errors.index
    which = f"worlds {worlds.min()} to {worlds.max()}"
    return WorldEffect(effect, float(errors.iloc[:, subtracted].mean()), which)
