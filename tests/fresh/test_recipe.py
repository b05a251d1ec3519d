"""The steps of envs/Containerfile, run as root in a minimal Debian in the place of its base."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

import pytest
from machine import LACKING, make_machine, mirror

pytestmark = [pytest.mark.long, pytest.mark.timeout(5000)]
ROOT = Path(__file__).resolve().parents[2]
SUITE = "bookworm"


def recipe():
    spec = importlib.util.spec_from_file_location("made", ROOT / "envs" / "make_definition.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_steps_of_the_recipe_make_what_jobs_need(tmp_path: Path) -> None:
    address = mirror(SUITE)
    if address is None:
        pytest.skip(LACKING)
    machine = make_machine(tmp_path / "root", SUITE, address, ROOT)
    ran = 0
    for name, rest in recipe().instructions((ROOT / "envs" / "Containerfile").read_text()):
        if name == "COPY":
            for source, target in recipe().copied(rest):
                into = machine.root / target[1:]
                into.parent.mkdir(parents=True, exist_ok=True)
                if (ROOT / source).is_dir():
                    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
                    shutil.copytree(ROOT / source, into, ignore=ignored)
                else:
                    shutil.copy(ROOT / source, into)
        elif name == "RUN":
            # The build of torch that this machine's pip finds.
            done = machine.run(f"export TORCH=; {rest}", root=True)
            assert done.returncode == 0, f"{rest}\n{done.stdout[-1500:]}{done.stderr[-1500:]}"
            ran += 1
    assert ran == 3
    path = "export PATH=/opt/prismflow/.venv/bin:$PATH; "
    check = "python -c 'import prismflow, snakemake, torch, sys; print(sys.prefix)'"
    check += " && bedtools --version"
    done = machine.run(path + check)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "/opt/prismflow/.venv"
    clone = "git clone -q /srv/prismflow.git run && cd run && "
    machine.install("git")
    small = "python -m snakemake results/demo/genes.tsv --cores 2 --configfile config/demo.yaml"
    done = machine.run(path + clone + small)
    assert done.returncode == 0, done.stderr[-2000:]
    shutil.rmtree(machine.root, ignore_errors=True)
