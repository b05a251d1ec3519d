"""Machine code of the CPU kernels is that of the files at hand."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from prismflow.models.scan import lanes

PART = "\n\n@inlined\ndef probe(x):\n    return x + {number}\n"
KERNEL = """
from prismflow.models.scan.lanes import kernel, probe

@kernel
def tenfold(x):
    return 10 * probe(x)
"""
CALL = """
import json, numba
before = numba.config.CACHE_DIR
from prismflow.models.scan.numba_probe import tenfold
value = tenfold(1)
hits = sum(getattr(tenfold, "stats").cache_hits.values())
print(json.dumps([value, hits, numba.config.CACHE_DIR == before]))
"""


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    """The scan's folder in a copy of the package, with a kernel that inlines a part of lanes."""
    source = Path(lanes.__file__).parents[2]
    copy = tmp_path / "prismflow"
    shutil.copytree(source, copy, ignore=shutil.ignore_patterns("__pycache__"))
    folder = copy / "models" / "scan"
    (folder / "numba_probe.py").write_text(KERNEL)
    edit(folder, 1)
    return folder


def edit(folder: Path, number: int) -> None:
    """Let the part that is inlined add another number."""
    text = Path(lanes.__file__).read_text()
    (folder / "lanes.py").write_text(text + PART.format(number=number))


def call(folder: Path, **environment: str) -> list[Any]:
    """Result, hits in the cache and whether numba's own folder is untouched, of a new process."""
    kept = {k: v for k, v in os.environ.items() if k != "NUMBA_CACHE_DIR"}
    paths = {
        "PYTHONPATH": str(folder.parents[2]),
        "XDG_CACHE_HOME": str(folder.parents[2] / "user"),
    }
    done = subprocess.run(
        [sys.executable, "-c", CALL], capture_output=True, text=True, check=False,
        env=kept | paths | environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def test_an_edit_of_what_is_inlined_is_used_at_once(scan: Path) -> None:
    assert call(scan) == [20, 0, True]
    assert call(scan) == [20, 1, True]
    edit(scan, 2)
    assert call(scan) == [30, 0, True]
    edit(scan, 1)
    assert call(scan) == [20, 1, True]


def test_a_folder_of_the_users_choice_is_kept_to(scan: Path, tmp_path: Path) -> None:
    chosen = tmp_path / "chosen"
    assert call(scan, NUMBA_CACHE_DIR=str(chosen)) == [20, 0, True]
    assert list(chosen.glob("kernels-*/**/*.nbi"))
    assert not list((scan / "__pycache__").glob("kernels-*"))


def test_an_installation_that_cannot_be_written_uses_the_users_cache(scan: Path) -> None:
    (scan / "__pycache__").write_text("no folder")
    assert call(scan) == [20, 0, True]
    assert call(scan) == [20, 1, True]
    edit(scan, 2)
    assert call(scan) == [30, 0, True]


def test_without_any_folder_kernels_are_compiled_anew(scan: Path) -> None:
    (scan / "__pycache__").write_text("no folder")
    assert call(scan, XDG_CACHE_HOME="/dev/null") == [20, 0, True]
