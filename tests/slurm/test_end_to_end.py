"""A short selection of the demo through Slurm: interrupted, continued, and equal to a local run."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

# The same helpers as for local runs; tests/ is on the path because of its conftest.py.
from workflow.conftest import Workflow, finished

from .conftest import Session, environment_of, profile_for_tests
from .one_node import OneNode

pytestmark = [pytest.mark.slurm, pytest.mark.slow]
CONFIGS = ("config/demo.yaml", "tests/slurm/small.yaml")
METRICS = "results/demo/metrics.tsv"
FIGURE = "results/demo/figures/main.png"


@dataclass
class Runs:
    """What the two sessions and the local run left behind."""

    through_slurm: Workflow
    local: Workflow
    first: Session
    second: Session
    seconds_to_end: float
    left_in_queue: list[tuple[str, str]]
    locks: list[Path]
    trained_before: dict[Path, int]


def project(folder: Path, root: Path) -> Workflow:
    """A copy of the project with the short configuration."""
    workflow = Workflow(folder, root)
    (folder / "tests" / "slurm").mkdir(parents=True)
    shutil.copy(root / CONFIGS[1], folder / CONFIGS[1])
    return workflow


def weights(folder: Path) -> dict[Path, int]:
    """Trained models and when they were written."""
    found = sorted(folder.glob("results/demo/*/*/*/model.safetensors"))
    return {path: path.stat().st_mtime_ns for path in found}


@pytest.fixture(scope="module")
def runs(cluster: OneNode, tmp_path_factory: pytest.TempPathFactory, root: Path) -> Runs:
    """Ctrl-C in the middle of a session, a second one to the end, and the same without Slurm."""
    base = tmp_path_factory.mktemp("slurm")
    workflow, local = project(base / "slurm", root), project(base / "local", root)
    profile_for_tests(workflow.folder, train={"slurm_partition": "gpu"})
    arguments = (METRICS, FIGURE, "--configfile", *CONFIGS)
    first = Session(cluster, workflow.folder, *arguments)
    try:
        first.wait_for("a network to train", lambda: first.job("train_wildcards"), 900)
        started = time.monotonic()
        first.process.send_signal(signal.SIGINT)
        first.process.wait(timeout=120)
        seconds = time.monotonic() - started
    finally:
        first.end()
    left, locks = cluster.jobs(), list(workflow.folder.glob(".snakemake/locks/*"))
    before = weights(workflow.folder)
    second = Session(cluster, workflow.folder, *arguments)
    try:
        finished(local, METRICS, configfiles=CONFIGS)  # while Slurm's jobs wait for being polled
        status = second.wait(1200)
    finally:
        second.end()
    assert status == 0, second.printed[-6000:]
    return Runs(workflow, local, first, second, seconds, left, locks, before)


def test_ctrl_c_ends_everything_soon(runs: Runs) -> None:
    assert runs.seconds_to_end < 30
    assert runs.first.process.returncode != 0
    assert runs.left_in_queue == []
    assert runs.locks == []


def test_a_second_start_goes_on_where_the_first_was(runs: Runs) -> None:
    assert runs.second.count(r"^ *rule simulate_demo:") == 0
    assert runs.second.count(r"^ *rule build_store:") == 0
    after = weights(runs.through_slurm.folder)
    assert runs.trained_before.items() <= after.items() and len(after) == 4


def test_metrics_are_those_of_a_local_run(runs: Runs) -> None:
    local = runs.local.folder
    names = [METRICS, *(str(path.relative_to(local)) for path in weights(local))]
    for name in names:
        ours, theirs = runs.through_slurm.folder / name, local / name
        assert ours.read_bytes() == theirs.read_bytes(), name
    assert (runs.through_slurm.folder / FIGURE).stat().st_size > 10_000


def test_only_networks_ask_for_a_gpu(runs: Runs, cluster: OneNode) -> None:
    lines = cluster.call("squeue", "--noheader", "--states=all", "--format=%k|%b|%P").splitlines()
    asked: dict[bool, set[tuple[str, str]]] = {True: set(), False: set()}
    for comment, generic, partition in (line.split("|") for line in lines):
        network = comment.startswith(("rule_train_wildcards", "rule_evaluate-"))
        asked[network].add((generic, partition))
    assert {generic for generic, _ in asked[True]} == {"gres:gpu:1"}
    assert ("gres:gpu:1", "gpu") in asked[True]
    assert asked[False] == {("N/A", "cpu")}


def test_short_rules_share_submissions(runs: Runs, cluster: OneNode) -> None:
    jobs = runs.first.count(r"^ *rule \w+:") + runs.second.count(r"^ *rule \w+:")
    assert 0 < cluster.submissions() < jobs / 1.5


def span(benchmark: Path) -> tuple[float, float]:
    """Start and end of a job, in seconds since the epoch, by its benchmark file."""
    seconds = float(benchmark.read_text().splitlines()[1].split("\t")[0])
    end = benchmark.stat().st_mtime
    return end - seconds, end


def test_several_runs_share_one_gpu_job(runs: Runs, cluster: OneNode) -> None:
    folder, submitted = runs.through_slurm.folder, cluster.submissions()
    trained = [f"results/demo/simA/cnn/fold11_seed{seed}/model.safetensors" for seed in (2, 22)]
    for name in trained:
        (folder / name).unlink()
    environment = environment_of(cluster, folder) | {"RUNS_PER_GPU": "2"}
    command = ["sbatch", "--wait", "--partition=gpu", "slurm/one_gpu.sh", *trained]
    result = subprocess.run(
        [*command, "--configfile", *CONFIGS], cwd=folder, env=environment, check=False,
        capture_output=True, text=True, timeout=900,
    )  # fmt: skip
    log = "".join(path.read_text() for path in folder.glob("one_gpu_*.log"))
    assert result.returncode == 0, result.stderr + log[-4000:]
    assert cluster.submissions() == submitted + 1
    for name in trained:
        assert (folder / name).read_bytes() == (runs.local.folder / name).read_bytes()
    paths = [folder / f"benchmarks/demo/simA/cnn/fold11_seed{seed}/train.tsv" for seed in (2, 22)]
    spans = [span(path) for path in paths]
    assert max(start for start, _ in spans) < min(end for _, end in spans)
