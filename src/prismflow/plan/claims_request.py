"""What each claim compares in the planned runs, so that its power can be stated before training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from prismflow.plan.run import Run
from prismflow.plan.runs import Plan
from prismflow.plan.worlds import EXPERIMENT, worlds_of
from prismflow.settings.claims import in_arm, tests_of


def claims_request(
    plan: Plan, dataset: str, content: Mapping[str, Any], lengths: Mapping[str, int]
) -> list[dict[str, Any]]:
    """Claims with what is planned for them, in the order of the file.

    Args:
        content: the claims file.
        lengths: window of every model, bp.

    Returns:
        Per claim ``claim``, ``readings`` (weights of the compared models' errors, one list per test
        and cell, several for tests of several models), ``seeds`` (of the arm that has fewest),
        ``runs`` (cell, model, run) and, for tests over simulated worlds, ``worlds``: true; these
        stand in ``seeds``. Claims that count and measure nothing are left out; one whose
        models are not planned has no readings.
    """
    known = {e.id: e for e in plan.experiments_of(dataset)}
    found: dict[str, dict[str, Any]] = {}
    for name, claim, test in tests_of(dict(content)):
        if test["kind"] == "parameters":
            continue
        entry = found.setdefault(
            name, {"claim": claim["claim"], "readings": [], "seeds": None, "runs": []}
        )
        test = in_arm(test, known)
        if any(experiment not in known for experiment in test["experiments"]):
            continue
        if test["kind"] == "worlds":
            _add_worlds(entry, test, plan, dataset)
            continue
        planned: dict[tuple[str, str], list[Run]] = {}
        for experiment in test["experiments"]:
            for run in known[experiment].runs:
                planned.setdefault((run.cell, run.model), []).append(run)
        points = known[test["experiments"][0]].points
        for cell in dict.fromkeys(cell for cell, _ in planned):
            there = {model for own, model in planned if own == cell}
            for weights, models in _compared(test, there, points, lengths):
                runs = {model: set(planned[cell, model]) for model in models}
                seeds = min(len({run.seed for run in own}) for own in runs.values())
                entry["readings"].append(weights)
                entry["seeds"] = min(entry["seeds"] or seeds, seeds)
                entry["runs"] += [[r.cell, r.model, r.name] for own in runs.values() for r in own]
    for entry in found.values():
        entry["runs"] = sorted(map(list, set(map(tuple, entry["runs"]))))
    return list(found.values())


def _add_worlds(entry: dict[str, Any], test: Mapping[str, Any], plan: Plan, dataset: str) -> None:
    """The planned worlds that a test counts, as far as one alternative has all of its models."""
    tested = plan.experiments[dataset, EXPERIMENT].entry["options"]["test"]
    first = int(test.get("first_world") or 0)
    worlds = [
        set(world["models"])
        for world in worlds_of(plan, dataset).values()
        if world["training"] == test["training"] and world["replicate"] >= first
    ]
    for models in zip(*(term["models"] for term in test["terms"]), strict=True):
        n = sum(world.issuperset(models) for world in worlds)
        if n and test["test"] in tested:
            entry["readings"].append([float(term["weight"]) for term in test["terms"]])
            entry["seeds"] = min(entry["seeds"] or n, n)
            entry["worlds"] = True
            return


def _compared(
    test: Mapping[str, Any],
    there: set[str],
    points: tuple[Mapping[str, Any], ...],
    lengths: Mapping[str, int],
) -> Iterator[tuple[list[float], tuple[str, ...]]]:
    """Weights and models of every contrast of a test, as far as its models are planned."""
    if test["kind"] == "contrast":
        for models in zip(*(term["models"] for term in test["terms"]), strict=True):
            if there.issuperset(models):
                yield [float(term["weight"]) for term in test["terms"]], models
                return
    elif test["kind"] == "best" and test["model"] in there:
        for other in test["against"]:
            if other in there and other != test["model"]:
                yield [1.0, -1.0], (test["model"], other)
    elif test["kind"] == "scenario":
        for model in sorted(there):
            yield [1.0, -1.0], (model, model)
    elif test["kind"] == "lengths":
        for base in dict.fromkeys(str(point["base"]) for point in points):
            own = {float(p["x"]): str(p["model"]) for p in points if p["base"] == base}
            short = lengths.get(test["like"])
            short_bp = float(short) if short in own else min(own)
            for x in sorted(own):
                if x > short_bp and {own[x], own[short_bp]} <= there:
                    yield [1.0, -1.0], (own[x], own[short_bp])
