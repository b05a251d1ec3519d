"""benchmarks/gpu.py: every part runs in a rehearsal on a CPU; verdicts, limits, accidents."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture
def gpu(root: Path, monkeypatch):
    """The module of the command."""
    monkeypatch.syspath_prepend(str(root / "benchmarks"))
    return importlib.import_module("gpu")


def row(part, what, value):
    return {"part": part, "what": what, "value": value, "unit": ""}


def test_a_value_is_compared_with_the_limit_that_was_written_before(gpu):
    error, aim = "worst error, fp32 against fp64", "minutes for 50,000 steps"
    assert gpu.verdict(row("kernels", error, 1e-6)) == "pass"
    assert gpu.verdict(row("kernels", error, 1e-3)) == "FAIL"
    assert gpu.verdict(row("kernels", error, float("nan"))) == "FAIL"
    assert gpu.verdict(row("kernels", error, None)) == "not run"
    assert gpu.verdict(row("loop", aim, 20.0)) == "missed"
    assert gpu.verdict(row("loop", "steps", 20)) == ""
    assert gpu.verdict(row("loop", "ended", "with status -11")) == "FAIL"
    assert gpu.verdict(row("loop", "ended", "not run: see above")) == "not run"


def test_a_check_without_a_value_is_broken_and_an_aim_is_not(gpu):
    rows = [row("replay", what, lim.value) for (part, what), lim in gpu.LIMITS.items()
            if part == "replay"]  # fmt: skip
    rows.append(row("replay", "ended", "normally"))
    named = gpu.broken(rows[1:], ["replay"])
    assert named == [f"replay: {rows[0]['what']} has no value"]
    missed = [row("loop", "minutes for 50,000 steps", 99.0)]
    assert gpu.broken(missed, ["loop"]) == []


def test_a_part_that_breaks_or_hangs_costs_the_others_nothing(gpu, tmp_path):
    results = tmp_path / "gpu.jsonl"
    assert gpu.run_part("nothing", 100, results, True) == "with status 1"
    assert gpu.run_part("environment", 0.01, results, True) == "at its limit of 0 s"
    results.write_text('{"part": "kernels", "what": "comparisons", "value": 1}\n{"part": "ker')
    assert [r["value"] for r in gpu.read_rows(results)] == [1]


def test_measured_times_replace_those_of_the_table(gpu, tmp_path, root):
    table = tmp_path / "costs.tsv"
    table.write_text((root / "config" / "costs.tsv").read_text())
    rows = [row("costs", "device", "card"), row("costs", "cnn step_s", 0.5),
            row("costs", "cnn base_s_per_mb", 0.25), row("costs", "mamba step_s", 0.5)]  # fmt: skip
    assert importlib.import_module("gpu_costs").put_costs(rows, table) == 1
    before = (root / "config" / "costs.tsv").read_text().splitlines()
    changed = [new for old, new in zip(before, table.read_text().splitlines(), strict=True)
               if new != old]  # fmt: skip
    assert changed == ["cnn\tcuda\t0.5\t0.25\tmeasured on card"]


def test_the_job_script_hands_its_arguments_on(root, tmp_path):
    pytest.importorskip("triton")
    environment = os.environ | {"OUT": str(tmp_path), "PYTHON": sys.executable}
    run = subprocess.run(
        ["bash", str(root / "slurm" / "check_gpu.sh"), "--rehearse", "--parts", "environment"],
        env=environment | {"SLURM_SUBMIT_DIR": str(root)}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr[-2000:]
    assert "environment" in (tmp_path / "gpu.md").read_text()


@pytest.mark.slow
def test_every_part_runs_in_a_rehearsal(gpu, root, tmp_path):
    pytest.importorskip("triton")
    environment = os.environ | {"OUT": str(tmp_path), "OMP_NUM_THREADS": "1"}
    parts = ",".join(gpu.PARTS)
    run = subprocess.run(
        [sys.executable, str(root / "benchmarks" / "gpu.py"), "--rehearse", "--budget", "2500",
         "--parts", parts],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
    rows = [json.loads(line) for line in (tmp_path / "gpu.jsonl").read_text().splitlines()]
    ended = {r["part"]: r["value"] for r in rows if r["what"] == "ended"}
    assert ended == dict.fromkeys(gpu.PARTS, "normally")
    assert set(gpu.LIMITS) <= {(r["part"], r["what"]) for r in rows}
    assert not [r for r in rows if "failed" in r["what"] and r["part"] == "costs"]
    exact = [r for r in rows if r["part"] in ("kernels", "block", "replay", "resume")]
    assert not [r for r in exact if gpu.verdict(r) == "FAIL"]
    table = (tmp_path / "gpu.md").read_text()
    assert "| check <= 0.0002 | pass |" in table
