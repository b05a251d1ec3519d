"""What is released is told by the changelog, and a catalogue finds what it looks for."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
CHANGES = "# Changelog\n\n## [1.1.0] - 2026-01-02\n\n### Added\n- New.\n"
CHANGES += "\n## [1.0.0] - unreleased\n\n- Old.\n"


def release_notes():
    spec = importlib.util.spec_from_file_location("notes", ROOT / "envs" / "release_notes.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.notes


def test_the_notes_of_a_tag_are_its_section() -> None:
    assert release_notes()("v1.1.0", CHANGES, "1.1.0") == "### Added\n- New.\n"


@pytest.mark.parametrize(
    ("tag", "version", "said"),
    [("v1.2.0", "1.1.0", "found 1.1.0"), ("v1.2.0", "1.2.0", "found none"),
     ("v1.0.0", "1.0.0", "found 'unreleased'")],
)  # fmt: skip
def test_a_tag_that_does_not_fit_is_refused(tag: str, version: str, said: str) -> None:
    with pytest.raises(SystemExit, match=said):
        release_notes()(tag, CHANGES, version)


def test_the_catalogue_finds_what_it_looks_for() -> None:
    usage = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text())["usage"]
    assert set(usage) == {"mandatory-flags", "software-stack-deployment", "report"}
    assert (ROOT / "config" / "README.md").exists()


def test_the_catalogues_snakefile_plans_what_the_top_one_does(tmp_path: Path) -> None:
    demo = ROOT / "config" / "demo.yaml"
    command = [sys.executable, "-m", "snakemake", "-n", "--quiet", "rules", "--configfile", demo,
               "--directory", tmp_path, "--nolock"]  # fmt: skip
    jobs = []
    for file in ("Snakefile", "workflow/Snakefile"):
        plan = subprocess.run(
            [*command, "--snakefile", ROOT / file], capture_output=True, text=True
        )
        assert plan.returncode == 0, plan.stderr[-2000:]
        jobs.append(re.findall(r"^\w+ +\d+$", plan.stdout, flags=re.MULTILINE))
    ends = ("all ", "everything ", "total ")
    top, other = ([job for job in each if not job.startswith(ends)] for each in jobs)
    assert top == other
    assert any(job.startswith("plot_figure") for job in top)
