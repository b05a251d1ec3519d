"""Which model of an experiment is compared with which; pure, because planning asks.

Every model is compared with the ``reference`` that the experiment names. Where it names none, a
variant is compared with the model that was varied, and every other model with Prism.
Experiments of the categories Checks and Description compare nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from prismflow.errors import InputError

NOT_COMPARED = ("Checks", "Description")
"""Categories of experiments that show something else than errors of models."""

REFERENCE = "prism"
"""The reference of an experiment that names none; where it is absent, the first varied model."""


def references(
    entry: Mapping[str, Any],
    models: Sequence[str],
    points: Sequence[Mapping[str, Any]] = (),
) -> dict[str, str]:
    """Model -> the model that it is compared with; models without one are left out.

    Args:
        entry: the experiment; ``reference`` (a model or None), ``vary``, ``category``.
        models: all its models, variants included.
        points: ``base`` and ``model`` of variants with a number.

    Raises:
        InputError: the named reference is not among the models.
    """
    if entry.get("category") in NOT_COMPARED:
        return {}
    bases = {str(point["model"]): str(point["base"]) for point in points}
    varied = sorted(entry.get("vary", {}).get("models", []), key=len, reverse=True)
    reference = _reference(entry, models)
    chosen = {}
    for model in models:
        named = [base for base in varied if model.startswith(f"{base}_")]
        base = bases.get(model)
        if base is None and named and model not in entry.get("models", []):
            base = named[0]
        own = "reference" not in entry and base in models and base != model
        against = base if own else reference
        if against in models and against != model:
            chosen[model] = str(against)
    return chosen


def _reference(entry: Mapping[str, Any], models: Sequence[str]) -> str | None:
    if "reference" not in entry:
        fallbacks = [REFERENCE, *entry.get("vary", {}).get("models", [])]
        return next((name for name in fallbacks if name in models), None)
    reference = entry["reference"]
    if reference is not None and reference not in models:
        raise InputError(
            f"experiment {entry.get('title', '')!r}: expected its reference among its models "
            f"({', '.join(models)}), found {reference!r}; correct `reference`, or null for none."
        )
    return None if reference is None else str(reference)


def compares(entry: Mapping[str, Any], chosen: Mapping[str, str], scenarios: Sequence[str]) -> bool:
    """Whether an experiment has anything to compare: models, or scenarios with the full input.

    Args:
        entry: the experiment.
        chosen: its :func:`references`.
        scenarios: how its models are tested.
    """
    several = len(scenarios) > 1 and not entry.get("transfer")
    return entry.get("category") not in NOT_COMPARED and (several or bool(chosen))
