"""The paper's claims, judged from the runs at hand: effect, interval and verdict of every test.

A verdict is read off an interval and a bound that config/claims.yaml states beforehand: the claim
is supported where the whole interval lies on the claimed side of the bound, contradicted where it
lies on the other side, else undecided; how tests combine, the claim says (docs/statistics.md).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from prismflow.evaluation.claim_lines import (
    Judged,
    evidence_of,
    line_of,
    line_over_worlds,
    plain_label,
    untested,
)
from prismflow.evaluation.paper_sizes import count_parameters
from prismflow.evaluation.predictions_file import Group, read_gathered
from prismflow.evaluation.tested import (
    Arm,
    Tested,
    comparable,
    effect,
    read_arms,
)
from prismflow.files import read_tsv, write_tsv
from prismflow.plan.run import RunKey
from prismflow.settings.claims import in_arm, tests_of
from prismflow.statistics.verdicts import (
    CONTRADICTED,
    SUPPORTED,
    Reading,
    combine,
    in_part,
)

COLUMNS = (
    "claim_id", "claim", "verdict", "data", "test", "test_verdict", "cell", "metric", "effect",
    "low", "high", "relative", "holds", "bound", "n_seeds", "n_genes", "n_blocks",
    "design_effect", "evidence", "why",
    "paper", "published", "source",
)  # fmt: skip
FULL = "full"
NO_RUNS = "its models have no common runs here"
_ARMS = {
    "matched": ", all trained under one protocol",
    "published": ", as configured; no matched arm is run",
}


def judge_claims(
    content: Mapping[str, Any],
    request: Mapping[str, Any],
    gathered: str | None,
    worlds: str | None,
    output: str,
) -> None:
    """Write the claims of a dataset with their verdicts as TSV.

    Args:
        content: the claims file.
        request: ``context`` and ``experiments``, as the plan words them; ``classes`` of the
            architectures whose parameters are counted.
        gathered: the dataset's gathered predictions, if it has runs.
        worlds: measures of its simulated worlds, if it has any.
        output: the table, columns :data:`COLUMNS`.
    """
    parameters = count_parameters(request["classes"])
    groups = read_gathered(gathered) if gathered else []
    measures = read_tsv(worlds) if worlds else None
    table = judge(content, groups, request["experiments"], request["context"], parameters, measures)
    write_tsv(table, output)


def judge(
    content: Mapping[str, Any],
    groups: Sequence[Group],
    experiments: Mapping[str, Mapping[str, Any]],
    context: Mapping[str, Any],
    parameters: Mapping[str, int],
    worlds: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """One row per test and cell, in the order of the claims file.

    Args:
        content: of :func:`prismflow.settings.claims.read_claims`.
        groups: gathered predictions of the dataset.
        experiments: id -> ``runs`` (cell, model, fold, seed) and ``points`` of those that are run.
        context: ``dataset``, ``title``, ``simulated``, ``names`` (model -> as readers know it),
            ``model_lengths``.
        parameters: model -> parameters at the paper's sizes.
        worlds: of :func:`prismflow.evaluation.confounding.gather`, the table ``measures``.

    Returns:
        Columns :data:`COLUMNS`; effects are differences in MSE (numbers of parameters for the
        cost). A test whose experiment or model is not among the runs has the verdict
        "not tested here" and says why.
    """
    rows: list[dict[str, Any]] = []
    judged: dict[str, tuple[str, list[Judged]]] = {}
    for name, claim, test in tests_of(dict(content)):
        if test["kind"] == "worlds":
            lines = [line_over_worlds(test, content, worlds)]
        else:
            lines = list(_judge_test(test, content, groups, experiments, context, parameters))
        judged.setdefault(name, (claim["require"], []))[1].extend(lines)
        known = {key: claim[key] for key in ("claim", "paper", "published", "source")}
        rows += [
            {"claim_id": name, "data": data_name(context), **known, **line.values} for line in lines
        ]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    verdicts = {
        name: claim_verdict(require, lines, float(content["level"]))
        for name, (require, lines) in judged.items()
    }
    table["verdict"] = table["claim_id"].map(verdicts)
    table.loc[table["metric"] == "parameters", "data"] = "the architecture, no data"
    return table


def claim_verdict(require: str, lines: Sequence[Judged], level: float) -> str:
    """Verdict of a claim; it names the parts that were tested nowhere, or not in every cell."""
    counted = [line for line in lines if line.values.get("metric") == "parameters"]
    if counted:
        return str(counted[0].values["test_verdict"])
    cells: dict[str, list[Reading]] = {}
    parts: dict[str, list[tuple[str, bool]]] = {}
    for line in lines:
        cell = str(line.values.get("cell") or "")
        cells.setdefault(cell, []).extend(line.readings)
        for part, tested in line.parts.items():
            parts.setdefault(part, []).append((cell, tested))
    untested = []
    for part, places in parts.items():
        absent = [cell for cell, tested in places if not tested]
        if len(absent) == len(places):
            untested.append(part)
        elif absent:
            untested.append(f"{part} in {', '.join(absent)}")
    units = {line.unit for line in lines}
    unit = units.pop() if len(units) == 1 else "tests"
    verdict = combine(list(cells.values()), require, level)
    return in_part(verdict, require, list(parts), untested, unit)


def _named(model: str, context: Mapping[str, Any]) -> str:
    """A model as readers know it; planning says how, so that another word of it is no new code."""
    return str((context.get("names") or {}).get(model, model))


def data_name(context: Mapping[str, Any]) -> str:
    """The data at hand, by name."""
    title = str(context.get("title") or "").strip()
    name = f"{context['dataset']}: {title}" if title else str(context["dataset"])
    return f"simulated ({name})" if context.get("simulated") else name


def _judge_test(
    test: Mapping[str, Any],
    content: Mapping[str, Any],
    groups: Sequence[Group],
    experiments: Mapping[str, Mapping[str, Any]],
    context: Mapping[str, Any],
    parameters: Mapping[str, int],
) -> Iterator[Judged]:
    if test["kind"] == "parameters":
        yield _parameters(test, parameters)
        return
    test = in_arm(dict(test), experiments)
    absent = [name for name in test["experiments"] if name not in experiments]
    if absent:
        why = f"experiment {', '.join(absent)} is not among those run"
        yield untested(test, why, parts=_all_parts(test, context))
        return
    runs = [RunKey(*run) for name in test["experiments"] for run in experiments[name]["runs"]]
    scenarios = {t.get("scenario", FULL) for t in (test, *test.get("terms", ()))} | {FULL}
    arms = read_arms(groups, runs, scenarios)
    points = experiments[test["experiments"][0]].get("points") or []
    cells = list(dict.fromkeys(run.cell for run in runs))
    yield from judge_arms(test, content, arms, cells, points, context)


def judge_arms(
    test: Mapping[str, Any],
    content: Mapping[str, Any],
    arms: Mapping[Arm, Tested],
    cells: Sequence[str],
    points: Sequence[Mapping[str, Any]],
    context: Mapping[str, Any],
) -> list[Judged]:
    """Lines of a test whose arms are resampled already; no test of kind ``parameters``.

    Args:
        arms: by cell, model and scenario.
        cells: in which the test is to be made.
        points: ``base``, ``model`` and ``x`` (bp) of every window, for tests of kind ``lengths``.
        test, content, context: as :func:`judge` takes them.
    """
    judges = {"contrast": _contrasts, "lengths": _lengths, "best": _best, "scenario": _changed}
    lines = list(judges[test["kind"]](test, content, arms, cells, points, context))
    return lines or [untested(test, NO_RUNS, parts=_all_parts(test, context))]


def _all_parts(test: Mapping[str, Any], context: Mapping[str, Any]) -> list[str]:
    """Names of what a test is made of, where none of it was run."""
    if test["kind"] == "best":
        return [_named(name, context) for name in test["against"] if name != test["model"]]
    return [plain_label(test["label"])]


def _contrasts(
    test: Mapping[str, Any],
    content: Mapping[str, Any],
    arms: Mapping[Arm, Tested],
    cells: Sequence[str],
    points: Sequence[Mapping[str, Any]],
    context: Mapping[str, Any],
) -> Iterator[Judged]:
    """The first alternative that all terms have: no term takes its model from another one."""
    label = str(test["label"])
    for cell in cells:
        for names in zip(*(term["models"] for term in test["terms"]), strict=True):
            keys = [
                (cell, name, term.get("scenario", FULL))
                for name, term in zip(names, test["terms"], strict=True)
            ]
            if all(key in arms for key in keys) and comparable([arms[key] for key in keys]):
                weights = [float(term["weight"]) for term in test["terms"]]
                terms = [(w, arms[key]) for w, key in zip(weights, keys, strict=True)]
                why = "of " + ", ".join(dict.fromkeys(_named(name, context) for name in names))
                yield line_of(test, label, cell, terms, content, {label: True}, why)
                break
        else:
            yield untested(test, NO_RUNS, cell)


def _lengths(
    test: Mapping[str, Any],
    content: Mapping[str, Any],
    arms: Mapping[Arm, Tested],
    cells: Sequence[str],
    points: Sequence[Mapping[str, Any]],
    context: Mapping[str, Any],
) -> Iterator[Judged]:
    """Every longer window against the short one: a gain at one of them is a gain."""
    short_bp = (context.get("model_lengths") or {}).get(test["like"])
    for base in dict.fromkeys(str(point["base"]) for point in points):
        lengths = {
            float(point["x"]): str(point["model"]) for point in points if point["base"] == base
        }
        short = short_bp if short_bp in lengths else min(lengths)
        for cell in cells:
            reference = arms.get((cell, lengths[short], FULL))
            for long in sorted(x for x in lengths if x > short):
                model = arms.get((cell, lengths[long], FULL))
                part = f"{_named(base, context)} at {long:,.0f} bp"
                if model and reference and comparable([model, reference]):
                    label = test["label"].format(
                        base=_named(base, context), long=f"{long:,.0f} bp", short=f"{short:,.0f} bp"
                    )
                    terms = [(1.0, model), (-1.0, reference)]
                    yield line_of(test, label, cell, terms, content, {part: True})
                else:
                    yield untested(test, NO_RUNS, cell, [part])


def _best(
    test: Mapping[str, Any],
    content: Mapping[str, Any],
    arms: Mapping[Arm, Tested],
    cells: Sequence[str],
    points: Sequence[Mapping[str, Any]],
    context: Mapping[str, Any],
) -> Iterator[Judged]:
    """Against every other model for the verdict; the effect shown is that against the best one."""
    ((side, margins),) = test["holds"].items()
    wanted = [name for name in test["against"] if name != test["model"]]
    level = float(content["level"])
    for cell in cells:
        model = arms.get((cell, test["model"], FULL))
        others = {
            name: arms[cell, name, FULL]
            for name in wanted
            if model and (cell, name, FULL) in arms and comparable([model, arms[cell, name, FULL]])
        }
        parts = {_named(name, context): name in others for name in wanted}
        if model is None or not others:
            yield untested(test, NO_RUNS, cell, list(parts))
            continue
        margin = float(margins) * float(content["margin"])
        readings = tuple(
            Reading(effect([(1.0, model), (-1.0, arm)]), side, margin * arm.mean("mse"))
            for arm in others.values()
        )
        best = min(others, key=lambda name: others[name].mean("mse"))
        label = test["label"].format(other=_named(best, context))
        terms = [(1.0, model), (-1.0, others[best])]
        line = line_of(test, label, cell, terms, content, parts)
        verdict = combine([readings], "all", level)
        why = f"against {len(others)} of {len(wanted)} models{_ARMS.get(test.get('arm', ''), '')}"
        yield replace(
            line, values={**line.values, "test_verdict": verdict, "why": why}, readings=readings
        )


def _changed(
    test: Mapping[str, Any],
    content: Mapping[str, Any],
    arms: Mapping[Arm, Tested],
    cells: Sequence[str],
    points: Sequence[Mapping[str, Any]],
    context: Mapping[str, Any],
) -> Iterator[Judged]:
    """Every model that the scenario concerns: its error there minus its error as trained."""
    models = list(dict.fromkeys(m for _, m, scenario in arms if scenario == test["scenario"]))
    for cell in cells:
        for model in sorted(models):
            changed, whole = (arms.get((cell, model, s)) for s in (test["scenario"], FULL))
            name = _named(model, context)
            if changed and whole and comparable([changed, whole]):
                label = test["label"].format(base=name)
                terms = [(1.0, changed), (-1.0, whole)]
                yield line_of(test, label, cell, terms, content, {name: True})
            else:
                yield untested(test, NO_RUNS, cell, [name])


def _parameters(test: Mapping[str, Any], parameters: Mapping[str, int]) -> Judged:
    added = parameters[test["model"]] - parameters[test["reference"]]
    agrees = abs(added - test["expected"]) <= test["within"]
    values = {
        "test": test["label"],
        "test_verdict": SUPPORTED if agrees else CONTRADICTED,
        "metric": "parameters",
        "effect": added,
        "low": added,
        "high": added,
        "relative": added / parameters[test["reference"]],
        "holds": f"within {test['within']:,.0f} of",
        "bound": test["expected"],
        "evidence": evidence_of(test),
        "why": "a count has no interval",
    }
    return Judged(values)
