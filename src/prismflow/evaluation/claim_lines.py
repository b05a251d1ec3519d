"""Lines of the table of claims: an effect read against its bound, or why nothing was tested."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

from prismflow.evaluation.tested import Tested, design_effect_of, effect
from prismflow.evaluation.world_effects import effect_over_worlds
from prismflow.statistics.paired import Effect
from prismflow.statistics.verdicts import NOT_TESTED, Reading

_WITHOUT_RUNS = {
    "{base}": "every model",
    "{long}": "every longer window",
    "{short}": "short window",
    " ({other})": "",
}


@dataclass(frozen=True)
class Judged:
    """One line of the table, and what the claim's verdict is made from.

    Attributes:
        values: of the columns.
        readings: of the line; none where nothing was tested, or where something was counted.
        parts: what the line stands for, by name, and whether it was tested.
        unit: what a part is, in the plural.
    """

    values: dict[str, Any]
    readings: tuple[Reading, ...] = ()
    parts: dict[str, bool] = field(default_factory=dict)
    unit: str = "tests"


def untested(
    test: Mapping[str, Any], why: str, cell: str | None = None, parts: Sequence[str] = ()
) -> Judged:
    """A line that says why there is no effect.

    Args:
        parts: names of what was not tested; none: the test itself.
    """
    label = plain_label(test["label"])
    values = {"test": label, "test_verdict": NOT_TESTED, "why": why, "evidence": evidence_of(test)}
    if cell is not None:
        values["cell"] = cell
    return Judged(values, (), dict.fromkeys(parts or [label], False), unit_of(test))


def unit_of(test: Mapping[str, Any]) -> str:
    """What a test is made of, in the plural."""
    units = {"best": "models", "lengths": "windows", "scenario": "models"}
    return units.get(test["kind"], "tests")


def plain_label(label: str) -> str:
    """A label without the names that only runs can fill in."""
    for name, text in _WITHOUT_RUNS.items():
        label = label.replace(name, text)
    return label


def evidence_of(test: Mapping[str, Any]) -> str:
    """Where a reader finds what a test rests on."""
    if test["kind"] == "parameters":
        return "counted from the code; tables/parameters where it is made"
    if test["kind"] == "best":
        return f"tables/{test['experiments'][0]}_comparisons"
    return ", ".join(f"figures/{name}" for name in test["experiments"])


def line_of(
    test: Mapping[str, Any],
    label: str,
    cell: str,
    terms: Sequence[tuple[float, Tested]],
    content: Mapping[str, Any],
    parts: dict[str, bool],
    why: str = "",
) -> Judged:
    """A contrast of arms of one cell, over seeds and genes."""
    value = effect(terms, level=float(content["level"]))
    scale = next(arm.mean("mse") for weight, arm in terms if weight < 0)
    own = {
        "cell": cell,
        "n_blocks": terms[0][1].metrics["mse"].n_blocks,
        "design_effect": design_effect_of(terms),
        "why": why,
    }
    line = read_effect(test, label, value, scale, content, parts)
    return replace(line, values={**line.values, **own})


def read_effect(
    test: Mapping[str, Any],
    label: str,
    value: Effect,
    scale: float,
    content: Mapping[str, Any],
    parts: dict[str, bool],
) -> Judged:
    """An effect in MSE read against the test's bound."""
    ((side, margins),) = test["holds"].items()
    level = float(content["level"])
    reading = Reading(value, side, float(margins) * float(content["margin"]) * scale)
    values = {
        "test": label,
        "test_verdict": reading.verdict(level),
        "metric": "mse",
        "effect": value.value,
        "low": value.low,
        "high": value.high,
        "relative": value.value / scale,
        "holds": side,
        "bound": reading.bound,
        "n_seeds": value.n_seeds,
        "n_genes": value.n_genes,
        "evidence": evidence_of(test),
    }
    return Judged(values, (reading,), parts, unit_of(test))


def line_over_worlds(
    test: Mapping[str, Any], content: Mapping[str, Any], worlds: pd.DataFrame | None
) -> Judged:
    """A difference over simulated worlds, each with its own genome and training."""
    found = effect_over_worlds(worlds, test, float(content["level"]))
    if isinstance(found, str):
        return untested(test, found)
    label = str(test["label"])
    line = read_effect(test, label, found.effect, found.scale, content, {label: True})
    return replace(line, values={**line.values, "metric": "mse over worlds", "why": found.why})
