"""Set-up says all that a machine lacks in one sentence, before it makes or fetches anything."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ALWAYS = ("bash", "cat", "sha256sum", "cut", "dirname", "id", "env", "false")
OLD = '#!/bin/sh\n[ "$1" = --version ] && { echo Python 3.9.2; exit 0; }\nexit 1\n'
BARE = '#!/bin/sh\ncase "$*" in *ensurepip*) exit 1;; --version) echo Python 3.12.1;; esac\n'


def lacks(folder: Path, python: str | None, *tools: str) -> str:
    """What set-up says on a machine with a pretended Python and some tools."""
    (folder / "envs").mkdir()
    for name in ("envs/setup.sh", "envs/requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, folder / name)
    programs = folder / "bin"
    programs.mkdir()
    for name in ALWAYS:
        (programs / name).symlink_to(shutil.which(name) or name)
    for name in tools:
        (programs / name).write_text("#!/bin/sh\n")
        (programs / name).chmod(0o755)
    if python:
        (programs / "python3").write_text(python)
        (programs / "python3").chmod(0o755)
    done = subprocess.run(["bash", folder / "envs" / "setup.sh"], capture_output=True, text=True,
                          env={"PATH": str(programs)})  # fmt: skip
    assert done.returncode == 1
    assert done.stdout == "", "something was begun"
    assert not (folder / ".venv").exists()
    assert done.stderr.count("\n") == 1
    return done.stderr


@pytest.mark.parametrize(
    ("python", "tools", "lacking", "packages"),
    [
        (None, (), "Python 3.11, 3.12 or 3.13 (as python3: none), bedtools, git, make",
         "python3 python3-venv bedtools git make"),
        (OLD, ("bedtools",), "Python 3.11, 3.12 or 3.13 (as python3: Python 3.9.2), git, make",
         "python3 python3-venv git make"),
        (BARE, ("git", "make"), "venv and pip of python3, bedtools", "python3-venv bedtools"),
        (BARE, ("git", "bedtools"), "venv and pip of python3, make", "python3-venv make"),
    ],
)  # fmt: skip
def test_all_that_is_missing_is_one_sentence(
    tmp_path: Path, python: str | None, tools: tuple[str, ...], lacking: str, packages: str
) -> None:
    said = lacks(tmp_path, python, *tools)
    assert said.startswith(f"this machine lacks {lacking}: install")
    assert f"'sudo apt-get install {packages}'" in said
