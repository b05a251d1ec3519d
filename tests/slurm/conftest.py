"""Snakemake sessions on a real one-node Slurm, with the project's own profile."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from .one_node import CannotStart, OneNode, one_node, wait_for

ROOT = Path(__file__).resolve().parents[2]
TEST_CLUSTER = {
    # No accounting here: only squeue knows that a job ended. Users keep the default, sacct.
    "slurm-status-command": "squeue",
    "slurm-init-seconds-before-status-checks": 2,
    "latency-wait": 10,
}


def profile_for_tests(folder: Path, **set_resources: dict[str, Any]) -> None:
    """Adapt the copy of the profile in ``folder`` to the test cluster, as a user would."""
    path = folder / "slurm" / "config.yaml"
    profile = yaml.safe_load(path.read_text()) | TEST_CLUSTER
    for rule, resources in set_resources.items():
        profile["set-resources"].setdefault(rule, {}).update(resources)
    path.write_text(yaml.safe_dump(profile, sort_keys=False))


def environment_of(cluster: OneNode, folder: Path) -> dict[str, str]:
    """Of a process in a project's folder: the cluster's commands, the folder's copy of the code."""
    source = folder / "src" if (folder / "src").exists() else ROOT / "src"
    path = os.pathsep.join(map(str, (cluster.bin, Path(sys.executable).parent, os.environ["PATH"])))
    changed = {"PATH": path, "PYTHONPATH": str(source), "OMP_WAIT_POLICY": "PASSIVE"}
    return cluster.environment | changed


def hear_interrupts() -> None:
    """A shell starts what runs in the background deaf to Ctrl-C, and children inherit that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


class Session:
    """One ``snakemake --cores 8 --profile slurm`` at work.

    Args:
        cluster: where its jobs go.
        folder: where it is started; holds the profile.
        arguments: further ones for snakemake.
    """

    def __init__(self, cluster: OneNode, folder: Path, *arguments: str) -> None:
        self.cluster = cluster
        self.log = folder / f"session_{len(list(folder.glob('session_*')))}.log"
        command = [sys.executable, "-m", "snakemake", "--cores", "8", "--profile", "slurm"]
        command += ["--logger-prismflow-full"]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*command, *arguments], cwd=folder, env=environment_of(cluster, folder),
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                preexec_fn=hear_interrupts,
            )  # fmt: skip

    @property
    def printed(self) -> str:
        """What the session has printed so far."""
        return self.log.read_text(errors="replace")

    def wait(self, seconds: float) -> int:
        """Its exit status; a session that doesn't end is interrupted and fails the test."""
        try:
            return self.process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.end()
            raise AssertionError(f"still at work:\n{self.printed[-6000:]}") from None

    def end(self) -> None:
        """Interrupt it, if it hasn't ended."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(timeout=60)
            except subprocess.TimeoutExpired:
                self.process.kill()

    def job(self, rule: str) -> str | None:
        """Identifier of the running job of a rule."""
        running = [i for i, comment in self.cluster.jobs("R") if comment.startswith(f"rule_{rule}")]
        return running[0] if running else None

    def wait_for(self, what: str, check: Any, seconds: float) -> None:
        """Poll until ``check`` holds; fail at once when the session ends before."""

        def ended_or_holds() -> bool:
            if check():
                return True
            if self.process.poll() is not None:
                raise AssertionError(f"ended before: {what}\n{self.printed[-6000:]}")
            return False

        wait_for(what, ended_or_holds, seconds)

    def count(self, pattern: str) -> int:
        """Lines printed so far that match."""
        return len(re.findall(pattern, self.printed, re.MULTILINE))


def started(gpus: int) -> Iterator[OneNode]:
    """A cluster, or a skipped test with the reason."""
    try:
        with one_node(gpus) as cluster:
            yield cluster
    except CannotStart as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="module")
def cluster() -> Iterator[OneNode]:
    """A Slurm with a CPU and a GPU partition."""
    yield from started(4)


@pytest.fixture(scope="module")
def cluster_without_gpu() -> Iterator[OneNode]:
    """A Slurm whose only partition has no GPU."""
    yield from started(0)


@pytest.fixture
def faulty(tmp_path: Path, root: Path) -> Path:
    """A folder with the profile and a workflow whose jobs can be made to fail."""
    folder = tmp_path / "faulty"
    shutil.copytree(root / "slurm", folder / "slurm")
    (folder / "rules").mkdir()
    shutil.copy(root / "rules" / "refusals.smk", folder / "rules")
    shutil.copy(root / "tests" / "slurm" / "faults.smk", folder / "Snakefile")
    return folder
