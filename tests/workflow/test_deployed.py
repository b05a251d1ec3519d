"""What snakedeploy makes of a tag of this repository plans and runs, without the network.

git is told that the address of a host is a folder here; snakedeploy comes from the package index.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from prismflow.files import read_tsv

pytestmark = [pytest.mark.workflow, pytest.mark.long]
ADDRESS = "https://github.com/someone/prismflow"
TARGET = "results/demo/genes.tsv"
TAG = "v0.1.0"


def run(*command: object, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command with further variables."""
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False,
                          env=os.environ | variables, stdin=subprocess.DEVNULL)  # fmt: skip


@pytest.fixture(scope="module")
def snakedeploy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tool in an environment of its own; skipped where it can't be had."""
    folder = tmp_path_factory.mktemp("tool") / "venv"
    made = run(sys.executable, "-m", "venv", folder)
    if made.returncode == 0:
        made = run(folder / "bin" / "python", "-m", "pip", "install", "--quiet", "snakedeploy")
    if made.returncode:
        pytest.skip("snakedeploy can't be installed here")
    return folder / "bin" / "snakedeploy"


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory, root: Path) -> dict[str, str]:
    """Variables with which git finds a tag of what is committed here at the host's address."""
    bare = tmp_path_factory.mktemp("host") / "prismflow.git"
    cloned = run("git", "clone", "--quiet", "--bare", root, bare)
    if cloned.returncode:
        pytest.skip("not a git checkout")
    run("git", "-C", bare, "tag", "--force", TAG, "HEAD")
    return {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{bare.as_uri()}.insteadOf",
        "GIT_CONFIG_VALUE_0": ADDRESS,
        "XDG_CACHE_HOME": str(bare.parent / "cache"),
    }


def test_what_is_deployed_from_a_tag_plans_and_runs(
    snakedeploy: Path, host: dict[str, str], root: Path, tmp_path: Path
) -> None:
    place = tmp_path / "deployed"
    done = run(snakedeploy, "deploy-workflow", ADDRESS, place, "--tag", TAG, **host)
    assert done.returncode == 0, done.stderr[-2000:]
    snakefile = (place / "workflow" / "Snakefile").read_text()
    assert f'path="workflow/Snakefile", tag="{TAG}"' in snakefile
    assert (place / "config" / "config.yaml").read_bytes() == (
        root / "config" / "config.yaml"
    ).read_bytes()
    snakemake = (sys.executable, "-m", "snakemake", "--directory", place, "--snakefile",
                 place / "workflow" / "Snakefile", "--cores", "2")  # fmt: skip
    small = ("--configfile", place / "config" / "demo.yaml", root / "tests/workflow/small.yaml")
    planned = run(*snakemake, "-n", *small, **host)
    assert planned.returncode == 0, planned.stdout[-1000:] + planned.stderr[-2000:]
    assert "plot_figure" in planned.stdout + planned.stderr
    ran = run(*snakemake, TARGET, *small, **host)
    assert ran.returncode == 0, ran.stdout[-1000:] + ran.stderr[-2000:]
    assert len(read_tsv(place / TARGET)) > 50
