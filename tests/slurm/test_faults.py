"""Jobs that are killed from outside, one by one, while a session goes on."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from .conftest import Session, profile_for_tests
from .one_node import OneNode

pytestmark = [pytest.mark.slurm, pytest.mark.slow]
HIT = ("cancelled", "lost", "overlong")


def tries(folder: Path, name: str) -> int:
    """How often a job was started."""
    path = folder / "tries" / name
    return len(path.read_text().splitlines()) if path.exists() else 0


def done(folder: Path, *names: str) -> bool:
    """Whether these jobs have left their results."""
    return all((folder / "done" / name).exists() for name in names)


def memory_asked(cluster: OneNode, comment: str) -> list[str]:
    """Of each submission of one job, first to last."""
    lines = cluster.call("squeue", "--noheader", "--states=all", "--sort=i", "--format=%k|%m")
    return [line.split("|")[1] for line in lines.splitlines() if line.split("|")[0] == comment]


def test_killed_jobs_are_retried_and_the_rest_goes_on(
    cluster: OneNode, faulty: Path, root: Path
) -> None:
    # The warning may come up to a minute early: a limit of two minutes leaves time to start.
    profile_for_tests(faulty, train={"slurm_partition": "gpu", "slurm_extra": "--signal=TERM@20"})
    shutil.copy(root / "tests" / "slurm" / "keeps_state.py", faulty)
    session = Session(cluster, faulty, "all", "done/broken")
    try:
        session.wait_for("jobs to run", lambda: all(tries(faulty, name) for name in HIT), 600)
        job = session.job("cancelled_wildcards_cancelled")
        assert job is not None
        cluster.call("scancel", job)
        # Over its time limit, and warned before its end; neither needs anybody's help.
        survivors = ("steady1", "steady2", "cancelled", "later", "overlong", "warned")
        session.wait_for("all but the lost job", lambda: done(faulty, *survivors), 900)
        assert tries(faulty, "lost") == 1 and not done(faulty, "lost")
        cluster.stop_node()
        cluster.start_node()
        status = session.wait(600)
    finally:
        session.end()

    assert status == 1, "one job can't succeed, and the session says so at its end"
    assert done(faulty, *survivors, "lost") and not done(faulty, "broken")
    assert tries(faulty, "steady1") == tries(faulty, "steady2") == 1
    assert tries(faulty, "cancelled") == tries(faulty, "lost") == 2
    assert tries(faulty, "overlong") >= 2
    for state in ("CANCELLED", "TIMEOUT"):
        assert state in session.printed
    assert memory_asked(cluster, "rule_cancelled_wildcards_cancelled") == ["100M", "200M"]
    # The failed job is tried three times, and what it wrote is shown.
    assert len(memory_asked(cluster, "rule_broken")) == 3
    assert "the reason stands here" in session.printed
    # Warned, the job had time to keep its state; its retry found it, and saw one GPU.
    assert (faulty / "warned.state").read_text() == "kept\n"
    assert (faulty / "done" / "warned").read_text() in ("0", "1", "2", "3")


def test_a_gpu_job_is_refused_where_there_is_no_gpu(
    cluster_without_gpu: OneNode, faulty: Path
) -> None:
    profile_for_tests(faulty)
    session = Session(cluster_without_gpu, faulty, "done/warned", "done/steady1", "--retries", "0")
    try:
        assert session.wait(300) == 1
    finally:
        session.end()
    assert "train was refused by this cluster: there is no GPU" in session.printed
    assert "correct gres in slurm/config.yaml" in session.printed
    assert done(faulty, "steady1") and not done(faulty, "warned")
