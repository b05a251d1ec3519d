"""Thousands of jobs: planning them, running them, and working up their results.

The jobs' scripts are stubs (``stubbed.py``), everything else is the workflow. ``make test`` runs it
with one seed; the tests marked ``long`` (``make test-all``) with 5,000 jobs and 5,000 runs.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import yaml
from load.stubbed import NAMES, evaluate
from workflow.conftest import Workflow

from prismflow.plan.runs import Plan, make_plan
from prismflow.settings import config as configuration
from prismflow.settings.datasets import merge
from prismflow.statistics.agreement import regression_metrics

HERE = Path(__file__).parent
MEASURED = HERE / "measured.py"
PAPER = "config/config.yaml"
#: Rules that work up the results of runs.
WORKING_UP = ("aggregate_metrics", "gather_predictions", "compare_models", "write_comparisons",
              "judge_claims", "write_claims", "measure_cross_cell", "measure_out_of_fold",
              "plot_figure", "write_table")  # fmt: skip
MANY_SEEDS = 38


def _workflow(folder: Path, root: Path, seeds: int) -> Workflow:
    workflow = Workflow(folder, root)
    # One thread per job, so that as many stubs as cores run at once.
    content = {"seeds": list(range(1, seeds + 1)), "run": {"train_threads": 1}}
    (workflow.folder / "config" / "load.yaml").write_text(yaml.safe_dump(content))
    return workflow


def _stubbed(workflow: Workflow, *arguments: str, genes: int, cores: int, real: str = "") -> float:
    """Run to the end; seconds."""
    environment = os.environ | {
        "PYTHONPATH": str(workflow.folder / "src"), "STUB_GENES": str(genes), "STUB_REAL": real,
        "OMP_NUM_THREADS": "1", "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }  # fmt: skip
    command = [
        sys.executable, HERE / "stubbed.py", *arguments, "--cores", cores, "--quiet", "rules",
        "--configfile", PAPER, "config/load.yaml",
    ]  # fmt: skip
    began = time.monotonic()
    done = subprocess.run(
        list(map(str, command)), cwd=workflow.folder, env=environment, capture_output=True,
        text=True, timeout=2400, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, (done.stdout + done.stderr)[-5000:]
    return time.monotonic() - began


def _plan(workflow: Workflow, monkeypatch: pytest.MonkeyPatch) -> Plan:
    monkeypatch.chdir(workflow.folder)
    merged: dict = {}
    for file in (PAPER, "config/load.yaml"):
        merged = merge(merged, yaml.safe_load(Path(file).read_text()))
    files = [PAPER, "config/load.yaml"]
    return make_plan(configuration.load(merged, files))


def _check_metrics(workflow: Workflow, plan: Plan, genes: int) -> int:
    """Every metric of every scenario of every run stands in the table, once; number of runs."""
    runs = 0
    for dataset in plan.config.datasets:
        table = pd.read_csv(workflow.folder / "results" / dataset / "metrics.tsv", sep="\t")
        found = table.groupby(["cell", "model", "fold", "seed", "scenario"])["metric"].apply(set)
        wanted = {
            (run.cell, run.model, run.fold, run.seed, scenario)
            for run in plan.runs(dataset)
            for scenario in plan.tested(run)
        }
        assert set(found.index) == wanted
        assert all(names == set(regression_metrics([0, 1, 2], [0, 1, 3])) for names in found)
        assert len(table) == sum(map(len, found))
        assert (table["n_genes"] == genes).all()
        runs += len(plan.runs(dataset))
    return runs


def test_the_papers_configuration_is_planned_in_time(tmp_path: Path, root: Path) -> None:
    workflow = Workflow(tmp_path / "project", root)
    used = tmp_path / "used.json"
    planned = workflow.plan(configfiles=(PAPER,), through=(MEASURED, used))
    cost = json.loads(used.read_text())
    print(f"{sum(planned.rules.values())} jobs: {cost}")
    assert planned.rules["evaluate"] > 500
    assert sum(planned.rules.values()) > 1000
    assert cost["cpu_seconds"] < 60
    assert cost["peak_mb"] < 2048


def test_hundreds_of_jobs_and_a_whole_table(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workflow = _workflow(tmp_path / "project", root, seeds=1)
    _stubbed(workflow, genes=40, cores=2, real="aggregate_metrics")
    assert _check_metrics(workflow, _plan(workflow, monkeypatch), 40) > 200


@pytest.mark.long
def test_five_thousand_jobs_and_a_whole_table(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workflow = _workflow(tmp_path / "project", root, seeds=19)
    seconds = _stubbed(workflow, genes=40, cores=8, real="aggregate_metrics")
    runs = _check_metrics(workflow, _plan(workflow, monkeypatch), 40)
    print(f"{runs} runs, {2 * runs} jobs and those around them: {seconds:.0f} s")
    assert 2 * runs >= 5000


def _fill(workflow: Workflow, plan: Plan) -> None:
    """Predictions and metrics of every run, as its jobs would have written them, and blocks."""
    for dataset in plan.config.datasets:
        blocks = workflow.folder / "results" / dataset / "blocks.tsv"
        blocks.parent.mkdir(parents=True, exist_ok=True)
        rows = "".join(f"{gene}\t{i}\n" for i, gene in enumerate(NAMES))
        blocks.write_text(f"gene_id\tblock\n{rows}")
        for run in plan.runs(dataset):
            folder = workflow.folder / "results" / run.folder
            folder.mkdir(parents=True)
            evaluate(
                SimpleNamespace(
                    predictions=folder / "predictions.tsv.gz",
                    metrics=folder / "metrics.tsv",
                    extras=folder / "extras.safetensors",
                ),
                SimpleNamespace(scenarios=plan.tested(run)),
                SimpleNamespace(
                    dataset=dataset, cell=run.cell, model=run.model,
                    run=f"{run.fold}_seed{run.seed}",
                ),
            )  # fmt: skip


def _worked_up(workflow: Workflow) -> list[str]:
    """Files that the rules above make of nothing but predictions and metrics."""
    known = re.compile(r"(metrics\.tsv|predictions\.tsv\.gz|predictions\.safetensors|blocks\.tsv"
                       r"|_comparisons\.tsv|_cross_cell\.tsv|_out_of_fold\.tsv|claims\.tsv"
                       r"|config/.*)$")  # fmt: skip
    result = workflow.run("--dry-run", configfiles=(PAPER, "config/load.yaml"))
    targets = []
    for block in result.stdout.split("\nrule ")[1:]:
        inputs = re.search(r"^    input: (.*)$", block, re.M)
        output = re.search(r"^    output: ([^,\n]*)", block, re.M)
        if block.partition(":")[0] not in WORKING_UP or not inputs or not output:
            continue
        if all(known.search(file.strip()) for file in inputs[1].split(", ")):
            targets.append(output[1])
    return targets


@pytest.mark.long
def test_five_thousand_runs_are_worked_up_in_time(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workflow = _workflow(tmp_path / "project", root, seeds=MANY_SEEDS)
    plan = _plan(workflow, monkeypatch)
    targets = _worked_up(workflow)
    assert len(targets) > 20
    _fill(workflow, plan)
    used = tmp_path / "used.json"
    result = workflow.run(
        *targets, "--allowed-rules", *WORKING_UP, "--quiet", "rules",
        configfiles=(PAPER, "config/load.yaml"), through=(MEASURED, used),
    )  # fmt: skip
    assert result.returncode == 0, result.stderr[-5000:]
    cost = json.loads(used.read_text())
    runs = _check_metrics(workflow, plan, 1200)
    print(f"{runs} runs of 1200 genes, {len(targets)} targets: {cost}")
    assert runs >= 5000
    assert cost["cpu_seconds"] < 2 * 300  # five minutes of two cores
    assert cost["peak_mb"] < 2048  # two jobs at once stay under 4 GB
