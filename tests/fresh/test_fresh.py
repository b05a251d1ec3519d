"""The README's two commands on a machine where nothing of ours is: a minimal Debian, a plain user.

``PRISMFLOW_FRESH=quick`` makes a small target in the place of the demo.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from machine import LACKING, Machine, make_machine, mirror

pytestmark = [pytest.mark.long, pytest.mark.timeout(7200)]
ROOT = Path(__file__).resolve().parents[2]
QUICK = os.environ.get("PRISMFLOW_FRESH") == "quick"
DEMO = "make demo"
SMALL = (
    "make setup && .venv/bin/snakemake -n --cores 2 --configfile config/demo.yaml && "
    ".venv/bin/snakemake results/demo/genes.tsv --cores 2 --configfile config/demo.yaml"
)


def readme() -> tuple[str, list[str]]:
    """The README's first commands as one line, and the packages that it tells to install."""
    text = (ROOT / "README.md").read_text()
    block = re.search(r"```\n(git clone .*?)```", text, re.DOTALL)
    packages = re.search(r"sudo apt-get install ([a-z0-9 -]+)`", text)
    assert block and packages
    return " && ".join(block[1].strip().splitlines()), packages[1].split()


@pytest.fixture(scope="module", params=["bookworm", "trixie"])
def machine(request, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A minimal Debian with its own Python (3.11 and 3.13), and a copy of what is committed."""
    address = mirror(request.param)
    if address is None:
        pytest.skip(LACKING)
    root = tmp_path_factory.mktemp(request.param) / "root"
    yield make_machine(root, request.param, address, ROOT)
    shutil.rmtree(root, ignore_errors=True)


def test_set_up_says_in_one_sentence_what_is_missing_and_fetches_nothing(machine: Machine) -> None:
    machine.install("git", "make")
    clone = "git clone -q /srv/prismflow.git first && cd first && "
    bare = machine.run(clone + DEMO, network=False)
    assert (
        "this machine lacks Python 3.11, 3.12 or 3.13 (as python3: none), bedtools: " in bare.stderr
    )
    assert "'sudo apt-get install python3 python3-venv bedtools'" in bare.stderr
    machine.install("python3")
    for _ in range(2):
        half = machine.run("cd first && make demo", network=False)
        said = [line for line in half.stderr.splitlines() if not line.startswith("make: ")]
        assert len(said) == 1, half.stderr
        assert said[0].startswith("this machine lacks venv and pip of python3, bedtools: ")
    assert "installing" not in bare.stdout + half.stdout
    assert not (machine.root / "home/reader/first/.venv").exists()


def test_the_two_commands_of_the_readme_do(machine: Machine) -> None:
    commands, packages = readme()
    machine.install(*packages)
    assert machine.run("command -v cc gcc clang g++ tcc").returncode, "there is a compiler"
    commands = commands.replace("<this repository>", "/srv/prismflow.git prismflow")
    assert DEMO in commands
    started = time.perf_counter()
    done = machine.run(commands.replace(DEMO, SMALL) if QUICK else commands, timeout=7000)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    print(f"{machine.root.parent.name}: {time.perf_counter() - started:.0f} s")
    version = machine.run("prismflow/.venv/bin/python --version").stdout.split()[1]
    system = machine.run("/usr/bin/python3 --version").stdout.split()[1]
    assert version == system
    results = machine.root / "home/reader/prismflow/results/demo"
    assert (results / ("genes.tsv" if QUICK else "report.html")).stat().st_size > 1000
