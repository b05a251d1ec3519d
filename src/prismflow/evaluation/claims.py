"""The paper's claims, judged from the runs at hand: effect, interval and verdict of every test.

A verdict is read off an interval and a bound that config/claims.yaml states beforehand: the claim
is supported where the whole interval lies on the claimed side of the bound, contradicted where it
lies on the other side, else undecided (docs/statistics.md).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from prismflow.evaluation.predictions_file import Group, read_gathered
from prismflow.evaluation.tested import Arm, Tested, comparable, effect, read_arms
from prismflow.files import write_tsv
from prismflow.plan.run import RunKey
from prismflow.settings.claims import tests_of
from prismflow.statistics.paired import Effect

SUPPORTED, CONTRADICTED, UNDECIDED = "supported", "contradicted", "undecided"
NOT_TESTED = "not tested here"
COLUMNS = (
    "claim_id", "claim", "verdict", "data", "test", "test_verdict", "cell", "metric", "effect",
    "low", "high", "relative", "holds", "bound", "n_seeds", "n_genes", "evidence", "why",
    "paper", "published", "source",
)  # fmt: skip
FULL = "full"
_WITHOUT_RUNS = {
    "{base}": "every model",
    "{long}": "longest window",
    "{short}": "short window",
    " ({other})": "",
}


def verdict_of(low: float, high: float, side: str, bound: float) -> str:
    """Verdict of an interval where the claim is that the effect lies on ``side`` of ``bound``."""
    if math.isnan(low) or math.isnan(high):
        return UNDECIDED
    above, below = low > bound, high < bound
    if side == "below":
        above, below = below, above
    return SUPPORTED if above else CONTRADICTED if below else UNDECIDED


def combined(verdicts: Iterable[str]) -> str:
    """Verdict of a claim from those of its tests: theirs where all that were made agree."""
    made = {verdict for verdict in verdicts if verdict != NOT_TESTED}
    if not made:
        return NOT_TESTED
    return made.pop() if len(made) == 1 else UNDECIDED


def judge_claims(
    content: Mapping[str, Any], request: Mapping[str, Any], gathered: str, output: str
) -> None:
    """Write the claims of a dataset with their verdicts as TSV.

    Args:
        content: the claims file.
        request: ``context`` and ``experiments``, as the plan words them; ``classes`` of the
            architectures whose parameters are counted.
        gathered: the dataset's gathered predictions.
        output: the table, columns :data:`COLUMNS`.
    """
    parameters = count_parameters(request["classes"])
    groups = read_gathered(gathered)
    table = judge(content, groups, request["experiments"], request["context"], parameters)
    write_tsv(table, output)


def judge(
    content: Mapping[str, Any],
    groups: Sequence[Group],
    experiments: Mapping[str, Mapping[str, Any]],
    context: Mapping[str, Any],
    parameters: Mapping[str, int],
) -> pd.DataFrame:
    """One row per test and cell, in the order of the claims file.

    Args:
        content: of :func:`prismflow.settings.claims.read_claims`.
        groups: gathered predictions of the dataset.
        experiments: id -> ``runs`` (cell, model, fold, seed) and ``points`` of those that are run.
        context: ``dataset``, ``title``, ``simulated``, ``names`` (model -> as readers know it),
            ``model_lengths``.
        parameters: model -> parameters at the paper's sizes.

    Returns:
        Columns :data:`COLUMNS`; effects are differences in MSE (numbers of parameters for the
        cost). A test whose experiment or model is not among the runs has the verdict
        "not tested here" and says why.
    """
    rows = []
    for name, claim, test in tests_of(dict(content)):
        judged = list(_judge_test(test, content, groups, experiments, context, parameters))
        for row in judged:
            known = {key: claim[key] for key in ("claim", "paper", "published", "source")}
            rows.append({"claim_id": name, "data": data_name(context), **known, **row})
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    table["verdict"] = table.groupby("claim_id")["test_verdict"].transform(combined)
    table.loc[table["metric"] == "parameters", "data"] = "the architecture, no data"
    return table


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
) -> Iterator[dict[str, Any]]:
    if test["kind"] == "parameters":
        yield _parameters(test, parameters)
        return
    absent = [name for name in test["experiments"] if name not in experiments]
    if absent:
        yield _untested(test, f"experiment {', '.join(absent)} is not among those run")
        return
    runs = [RunKey(*run) for name in test["experiments"] for run in experiments[name]["runs"]]
    scenarios = {FULL, *(term.get("scenario", FULL) for term in test.get("terms", []))}
    arms = read_arms(groups, runs, scenarios)
    judges = {"contrast": _contrasts, "lengths": _lengths, "best": _best}
    points = experiments[test["experiments"][0]].get("points") or []
    rows = list(judges[test["kind"]](test, content, arms, points, context))
    if rows:
        yield from rows
    else:
        yield _untested(test, "its models have no common runs here")


def _untested(test: Mapping[str, Any], why: str) -> dict[str, Any]:
    return {"test": _plain(test["label"]), "test_verdict": NOT_TESTED, "why": why,
            "evidence": _evidence(test)}  # fmt: skip


def _plain(label: str) -> str:
    """A label without the names that only runs can fill in."""
    for name, text in _WITHOUT_RUNS.items():
        label = label.replace(name, text)
    return label


def _evidence(test: Mapping[str, Any]) -> str:
    if test["kind"] == "parameters":
        return "counted from the code; tables/parameters where it is made"
    if test["kind"] == "best":
        return f"tables/{test['experiments'][0]}_comparisons"
    return ", ".join(f"figures/{name}" for name in test["experiments"])


def _cells(arms: Mapping[Arm, Tested]) -> list[str]:
    return list(dict.fromkeys(cell for cell, _, _ in arms))


def _contrasts(
    test: Mapping[str, Any],
    content: Mapping[str, Any],
    arms: Mapping[Arm, Tested],
    points: Sequence[Mapping[str, Any]],
    context: Mapping[str, Any],
) -> Iterator[dict[str, Any]]:
    for cell in _cells(arms):
        terms = []
        for term in test["terms"]:
            scenario = term.get("scenario", FULL)
            there = [model for model in term["models"] if (cell, model, scenario) in arms]
            if there:
                terms.append((float(term["weight"]), arms[cell, there[0], scenario]))
        if len(terms) == len(test["terms"]) and comparable([arm for _, arm in terms]):
            yield _row(test, test["label"], cell, terms, content)


def _lengths(
    test: Mapping[str, Any],
    content: Mapping[str, Any],
    arms: Mapping[Arm, Tested],
    points: Sequence[Mapping[str, Any]],
    context: Mapping[str, Any],
) -> Iterator[dict[str, Any]]:
    short_bp = (context.get("model_lengths") or {}).get(test["like"])
    for base in dict.fromkeys(str(point["base"]) for point in points):
        lengths = {
            float(point["x"]): str(point["model"]) for point in points if point["base"] == base
        }
        short = short_bp if short_bp in lengths else min(lengths)
        for cell in _cells(arms):
            there = [x for x in lengths if (cell, lengths[x], FULL) in arms]
            if short not in there or max(there) <= short:
                continue
            terms = [
                (1.0, arms[cell, lengths[max(there)], FULL]),
                (-1.0, arms[cell, lengths[short], FULL]),
            ]
            if comparable([arm for _, arm in terms]):
                label = test["label"].format(
                    base=_named(base, context), long=f"{max(there):,.0f} bp",
                    short=f"{short:,.0f} bp",
                )  # fmt: skip
                yield _row(test, label, cell, terms, content)


def _best(
    test: Mapping[str, Any],
    content: Mapping[str, Any],
    arms: Mapping[Arm, Tested],
    points: Sequence[Mapping[str, Any]],
    context: Mapping[str, Any],
) -> Iterator[dict[str, Any]]:
    """Against the best other model; against all of them for the verdict.

    Better than each one of k models is shown by k intervals at the plain level; that some one of k
    is better only by intervals at 1 - (1 - level) / k, because each of them had its chance.
    """
    ((side, bound),) = test["holds"].items()
    for cell in _cells(arms):
        model = arms.get((cell, test["model"], FULL))
        others = {
            name: arms[cell, name, FULL]
            for name in test["against"]
            if (cell, name, FULL) in arms and name != test["model"]
        }
        others = {name: arm for name, arm in others.items() if model and comparable([model, arm])}
        if model is None or not others:
            continue
        level = float(content["level"])
        effects = {
            name: effect([(1.0, model), (-1.0, arm)], level=level) for name, arm in others.items()
        }
        best = min(others, key=lambda name: others[name].mean("mse"))
        label = test["label"].format(other=_named(best, context))
        row = _row(test, label, cell, [(1.0, model), (-1.0, others[best])], content)
        margin = float(content["margin"])
        bounds = {name: bound * margin * arm.mean("mse") for name, arm in others.items()}
        strict = 1 - (1 - level) / len(others)
        supported = all(
            _verdict(value, value.interval(level), side, bounds[name]) == SUPPORTED
            for name, value in effects.items()
        )
        contradicted = any(
            _verdict(value, value.interval(strict), side, bounds[name]) == CONTRADICTED
            for name, value in effects.items()
        )
        row["test_verdict"] = (
            SUPPORTED if supported else CONTRADICTED if contradicted else UNDECIDED
        )
        row["why"] = f"against {len(others)} models" + (f"; {row['why']}" if row["why"] else "")
        yield row


def _verdict(value: Effect, bounds: tuple[float, float], side: str, bound: float) -> str:
    # One seed says nothing of what another training run would give.
    return UNDECIDED if value.n_seeds < 2 else verdict_of(*bounds, side, bound)


def _row(
    test: Mapping[str, Any],
    label: str,
    cell: str,
    terms: Sequence[tuple[float, Tested]],
    content: Mapping[str, Any],
) -> dict[str, Any]:
    ((side, margins),) = test["holds"].items()
    value = effect(terms, level=float(content["level"]))
    scale = next(arm.mean("mse") for weight, arm in terms if weight < 0)
    bound = float(margins) * float(content["margin"]) * scale
    return {
        "test": label,
        "test_verdict": _verdict(value, (value.low, value.high), side, bound),
        "cell": cell,
        "metric": "mse",
        "effect": value.value,
        "low": value.low,
        "high": value.high,
        "relative": value.value / scale,
        "holds": side,
        "bound": bound,
        "n_seeds": value.n_seeds,
        "n_genes": value.n_genes,
        "evidence": _evidence(test),
        "why": "one seed: nothing is known of the spread over seeds" if value.n_seeds < 2 else "",
    }


def _parameters(test: Mapping[str, Any], parameters: Mapping[str, int]) -> dict[str, Any]:
    added = parameters[test["model"]] - parameters[test["reference"]]
    agrees = abs(added - test["expected"]) <= test["within"]
    return {
        "test": test["label"],
        "test_verdict": SUPPORTED if agrees else CONTRADICTED,
        "metric": "parameters",
        "effect": added,
        "low": added,
        "high": added,
        "relative": added / parameters[test["reference"]],
        "holds": f"within {test['within']:,.0f} of",
        "bound": test["expected"],
        "evidence": _evidence(test),
        "why": "a count has no interval",
    }


def count_parameters(
    classes: Mapping[str, str], n_signals: int = 3, n_gene_features: int = 9
) -> dict[str, int]:
    """Parameters of architectures at their own default sizes, which are the paper's.

    Args:
        classes: ``module:Class`` of each architecture by its name.
        n_signals, n_gene_features: of the inputs.
    """
    from prismflow.models import build
    from prismflow.models.common import InputSpec

    inputs = InputSpec(tuple(f"signal{i}" for i in range(n_signals)), n_gene_features, 2000)
    return {
        name: sum(tensor.numel() for tensor in build(cls, {}, {}, inputs).parameters())
        for name, cls in classes.items()
    }
