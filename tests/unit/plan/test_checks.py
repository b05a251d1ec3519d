"""The target that reads all inputs: each has a row, and each row a job of the workflow."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from prismflow.plan import checks
from prismflow.plan.runs import Plan

Make = Callable[..., Plan]


def workflow(*targets: str) -> SimpleNamespace:
    return SimpleNamespace(
        dag_settings=SimpleNamespace(targets=set(targets)),
        execution_settings=SimpleNamespace(keep_going=False),
        scheduler=SimpleNamespace(keepgoing=False),
    )


def test_every_input_has_a_row_and_a_job(plan: Make) -> None:
    request = json.loads(json.dumps(checks.checks_request(plan())))
    assert [sheet["n"] for sheet in request["sheets"] if sheet["input"] == "sheet of cells"] == [2]
    dataset = request["datasets"]["demo"]
    names = {(row["input"], row.get("cell", "")) for row in dataset["rows"]}
    modalities = plan().config.modalities_of("simA")
    assert names == {
        ("genome", ""), ("genes", ""), ("blacklist", ""), ("all together", ""),
        *((f"split {fold}", "") for fold in plan().config.datasets["demo"]["splits"]["folds"]),
        *((name, cell) for cell in ("simA", "simB") for name in [*modalities, "labels", "store"]),
    }  # fmt: skip
    jobs = dataset["jobs"]
    assert {row["job"] for row in dataset["rows"]} == set(jobs)
    assert {needed for job in jobs.values() for needed in job["needs"]} < set(jobs)


def test_the_target_asks_for_stores_and_checks_and_for_no_training(plan: Make) -> None:
    assert checks.checked(plan()) == [
        "results/demo/simA/store", "results/demo/simB/store", "results/demo/checks/summary.json",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("targets", "asked"), [((), False), (("all",), False), (("checks",), True)]
)
def test_a_failed_job_stops_no_other_one_only_where_the_target_is_asked_for(
    targets: tuple[str, ...], asked: bool
) -> None:
    started = workflow(*targets)
    checks.go_on_where_asked(started)
    assert started.execution_settings.keep_going is asked
    assert started.scheduler.keepgoing is asked


def test_nothing_is_told_after_other_targets_fail(
    plan: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[object] = []
    monkeypatch.setattr(checks.subprocess, "run", lambda *a, **k: called.append(a))
    checks.tell_what_was_refused(workflow("all"), plan())
    assert called == []
    checks.tell_what_was_refused(workflow("checks"), plan())
    assert len(called) == 1
