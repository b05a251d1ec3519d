"""The image is made of one source, is planned with, and holds the code of the session."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from prismflow.errors import InputError
from prismflow.jobs import image

ROOT = Path(__file__).resolve().parents[3]
#: What Snakemake asks of Apptainer, answered without it: it runs the command where it stands.
PRETENDED = """#!/bin/sh
[ "$1" = --version ] && { echo apptainer version 1.3.4; exit 0; }
echo "$@" >> "$PRETENDED_CALLS"
for last; do :; done
APPTAINER_CONTAINER=image exec bash -c "$last"
"""
CONDA = """#!/bin/sh
case "$*" in
"info --json") echo '{"conda_prefix": "/opt/conda", "platform": "linux-64"}' ;;
--version) echo conda 24.11.3 ;;
esac
"""


def definition_of(text: str) -> str:
    spec = importlib.util.spec_from_file_location("made", ROOT / "envs" / "make_definition.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.definition(text)


def test_the_definition_is_that_of_the_containerfile() -> None:
    text = (ROOT / "envs" / "Containerfile").read_text()
    made = definition_of(text)
    assert (ROOT / "envs" / "image.def").read_text() == made
    for line in text.splitlines():
        if line.startswith(("FROM", "RUN")):
            assert line.split(" ", 1)[1] in made
    with pytest.raises(ValueError, match="found USER"):
        definition_of(text + "USER me\n")


def test_the_recipe_installs_the_lock() -> None:
    text = (ROOT / "envs" / "Containerfile").read_text()
    assert "envs/setup.sh" in text and "pip install" not in text
    assert (
        "--require-hashes --no-deps -r envs/requirements.lock"
        in (ROOT / "envs" / "setup.sh").read_text()
    )


def plan(folder: Path, *arguments: str) -> tuple[int, str]:
    """Run Snakemake beside a pretended Apptainer; exit status, and all it said."""
    tools = folder / "tools"
    tools.mkdir(exist_ok=True)
    for name, text in (("apptainer", PRETENDED), ("conda", CONDA)):
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    path = os.pathsep.join([str(tools), str(Path(sys.executable).parent), os.environ["PATH"]])
    command = [sys.executable, "-m", "snakemake", "--snakefile", ROOT / "Snakefile", "--cores", "2",
               "--configfile", ROOT / "config" / "demo.yaml", "--directory", folder,
               "--logger-prismflow-full", *arguments]  # fmt: skip
    variables = os.environ | {"PATH": path, "PRETENDED_CALLS": str(folder / "calls")}
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=variables)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.workflow
def test_an_image_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    status, said = plan(tmp_path, "-n", "--sdm", "apptainer")
    assert status
    assert "expected the image in which --sdm apptainer runs jobs, found none; make it" in said
    assert "Traceback" not in said


@pytest.mark.workflow
@pytest.mark.parametrize("methods", [("apptainer",), ("conda", "apptainer")])
def test_it_is_planned_with_the_image(tmp_path: Path, methods: tuple[str, ...]) -> None:
    (tmp_path / "envs").mkdir()
    (tmp_path / image.IMAGE).touch()
    status, said = plan(tmp_path, "-n", "--sdm", *methods)
    assert status == 0, said[-2000:]
    assert "plot_figure" in said


@pytest.mark.workflow
def test_jobs_run_in_the_image(tmp_path: Path) -> None:
    (tmp_path / "envs").mkdir()
    (tmp_path / image.IMAGE).touch()
    target = "resources/demo/genome.fa"
    status, said = plan(tmp_path, target, "--sdm", "apptainer")
    assert status == 0, said[-2000:]
    calls = (tmp_path / "calls").read_text()
    assert f"{image.IMAGE} bash -c" in calls and "simulate" in said
    assert (tmp_path / target).exists()


def test_an_image_of_other_code_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APPTAINER_CONTAINER", "image")
    monkeypatch.setenv(image.CODE, image.own_code())
    image.check_image()
    monkeypatch.setenv(image.CODE, "0" * 16)
    with pytest.raises(InputError, match="found one of other code"):
        image.check_image()
    monkeypatch.delenv("APPTAINER_CONTAINER")
    image.check_image()


def test_a_session_tells_its_jobs_the_digest_of_its_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(image.CODE, "")
    (tmp_path / "envs").mkdir()
    (tmp_path / image.IMAGE).touch()
    methods = [SimpleNamespace(name="APPTAINER")]
    workflow = SimpleNamespace(deployment_settings=SimpleNamespace(deployment_method=methods))
    assert image.image_of(workflow, ROOT / "rules") == image.IMAGE
    assert os.environ[image.CODE] == image.own_code()
