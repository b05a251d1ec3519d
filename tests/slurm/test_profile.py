"""The profile as users get it: what it asks for, planned on the demo; needs no Slurm."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from workflow.conftest import Workflow

pytestmark = pytest.mark.slurm


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory, root: Path) -> str:
    """What a dry run of the demo through the profile prints."""
    workflow = Workflow(tmp_path_factory.mktemp("profile") / "project", root)
    result = workflow.run("--profile", "slurm", "--dry-run")
    assert result.returncode == 0, result.stderr[-3000:] + result.stdout[-3000:]
    return result.stdout


def jobs_of(plan: str) -> list[tuple[str, str]]:
    """(rule, resources) of each job."""
    return re.findall(r"^ *rule (\w+):\n(?:.*\n)*? *resources: (.*)", plan, re.MULTILINE)


def test_a_demo_is_tens_of_submissions(plan: str) -> None:
    # Jobs inside a group are indented below the group's own line.
    submissions = len(re.findall(r"^rule \w+:|^\[.*\] Group job ", plan, re.MULTILINE))
    assert submissions < len(jobs_of(plan)) and submissions < 100


def test_networks_ask_for_one_gpu_and_other_jobs_for_none(plan: str) -> None:
    for rule, resources in jobs_of(plan):
        gpus = re.findall(r"gres=(\S+?)(?:,|$)", resources)
        assert gpus == (["gpu:1"] if rule in ("train", "evaluate") else []), rule


def test_every_job_says_how_much_memory_and_time_it_needs(plan: str) -> None:
    for rule, resources in jobs_of(plan):
        assert re.search(r"\bmem_mb=\d+", resources), rule
        assert re.search(r"\bruntime=\d+", resources), rule


def test_retries_stand_in_the_profile_only(root: Path) -> None:
    assert yaml.safe_load((root / "slurm" / "config.yaml").read_text())["retries"] == 2
    for path in (root / "Snakefile", *(root / "rules").glob("*.smk")):
        assert "retries" not in re.sub(r"#.*|\"\"\".*?\"\"\"", "", path.read_text()), path.name


def test_lines_to_edit_say_so(root: Path) -> None:
    text = (root / "slurm" / "config.yaml").read_text()
    for key in ("slurm_account", "slurm_partition", "gres", "constraint"):
        lines = [line for line in text.splitlines() if re.match(rf"[# ]*{key}:", line)]
        assert lines and all("# edit" in line for line in lines), key
