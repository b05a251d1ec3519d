"""Which scripts Snakemake starts as children of one process, and what it makes of them."""

from __future__ import annotations

import csv
import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import snakemake.script

from prismflow.jobs.patches import starts

SHELL = importlib.import_module("snakemake.shell")

SNAKEFILE = """
from prismflow.jobs.patches.starts import share_starts
share_starts(workflow)
rule all:
    input: expand("{n}.json", n=range(4))
rule see:
    output: "{n}.json"
    benchmark: "{n}.tsv"
    threads: lambda wildcards: 2 if wildcards.n == "0" else 1
    script: "see.py"
"""
SCRIPT = """
import json, os, sys, time
time.sleep(0.3 * (snakemake.wildcards.n == "1"))
if os.environ.get("FAIL") == snakemake.wildcards.n:
    raise ValueError("as asked")
seen = {"parent": os.getppid(), "threads": os.environ["OMP_NUM_THREADS"], "main": __name__,
        "own": sys.argv[0] in open("/proc/self/cmdline").read()}
json.dump(seen, open(snakemake.output[0], "w"))
"""


@pytest.fixture
def run(tmp_path: Path):
    """Run a workflow of four scripts, one with two threads; returns what Snakemake printed."""
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    (tmp_path / "see.py").write_text(SCRIPT)

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "snakemake", "--cores", "1", *arguments]
        return subprocess.run(
            command, cwd=tmp_path, env=os.environ | environment, capture_output=True, text=True,
            check=False,
        )  # fmt: skip

    return run


def seen(folder: Path) -> list[dict[str, object]]:
    """What the scripts wrote down."""
    return [json.loads((folder / f"{n}.json").read_text()) for n in range(4)]


def test_scripts_share_a_start_unless_they_have_several_threads(run, tmp_path):
    done = run("--cores", "2")
    assert done.returncode == 0, done.stderr
    assert len({one["parent"] for one in seen(tmp_path)[1:]}) == 1
    assert [one["own"] for one in seen(tmp_path)] == [True, False, False, False]
    assert [one["threads"] for one in seen(tmp_path)] == ["2", "1", "1", "1"]
    assert {one["main"] for one in seen(tmp_path)} == {"__main__"}
    with open(tmp_path / "1.tsv") as file:  # their time and memory are measured
        (row,) = csv.DictReader(file, delimiter="\t")
    assert float(row["s"]) >= 0.3
    assert float(row["max_rss"]) > 5


def test_one_that_fails_is_a_failed_job(run, tmp_path):
    done = run("--keep-going", FAIL="1")
    assert done.returncode == 1
    assert "Error in rule see" in done.stderr and "ValueError: as asked" in done.stderr
    assert (tmp_path / "0.json").exists() and (tmp_path / "2.json").exists()
    assert not (tmp_path / "1.json").exists()


def test_each_can_have_a_python_of_its_own(run, tmp_path):
    assert run(PRISMFLOW_ALONE="1").returncode == 0
    assert all(one["own"] for one in seen(tmp_path))


@pytest.fixture
def unpatched(monkeypatch):
    """Snakemake's own places, put back afterwards."""
    for owner, name in ((snakemake.script.PythonScript, "execute_script"), (SHELL, "sp")):
        monkeypatch.setattr(owner, name, getattr(owner, name))


def test_a_job_of_its_own_session_is_left_alone(unpatched, monkeypatch):
    starts.share_starts(SimpleNamespace(is_main_process=False))
    assert SHELL.sp is subprocess
    monkeypatch.setenv(starts.ALONE, "1")
    starts.share_starts(SimpleNamespace(is_main_process=True))
    assert SHELL.sp is subprocess


def test_it_is_done_once_however_many_modules_a_session_has(unpatched):
    starts.share_starts(SimpleNamespace(is_main_process=True))
    first = SHELL.sp
    execute = snakemake.script.PythonScript.execute_script
    assert isinstance(first, starts.Starter)
    starts.share_starts(SimpleNamespace(is_main_process=True))
    assert SHELL.sp is first
    assert snakemake.script.PythonScript.execute_script is execute


@pytest.mark.parametrize("name", ["conda_env", "container_img", "env_modules", "shadow_dir"])
def test_jobs_that_run_elsewhere_are_started_by_snakemake(name, unpatched, monkeypatch):
    asked = []
    monkeypatch.setattr(
        snakemake.script.PythonScript, "execute_script",
        lambda job, fname, edit: asked.append(getattr(SHELL.sp.asked, "script", None)),
    )  # fmt: skip
    starts.share_starts(SimpleNamespace(is_main_process=True))
    execute = snakemake.script.PythonScript.execute_script
    execute(SimpleNamespace(**{name: "there"}), "x.py")
    execute(SimpleNamespace(), "x.py", True)
    execute(SimpleNamespace(**{name: None}), "x.py")
    assert asked == [None, None, "x.py"]
    assert SHELL.sp.asked.script is None
