"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"


#: Files that take from half a minute to minutes, the longest and those that mostly wait first: a
#: worker that met one of them at the end would work alone.
FIRST = (
    "slurm/test_faults.py",
    "slurm/test_end_to_end.py",
    "workflow/test_demo.py",
    "workflow/test_accidents.py",
    "workflow/test_checks.py",
    "workflow/test_own_cell.py",
    "workflow/test_rerun.py",
    "workflow/test_real_chr22.py",
    "workflow/test_real_genome.py",
    "unit/figures/test_plots_grid.py",
    "unit/models/test_gpu_command.py",
    "unit/models/test_ahead_of_time.py",
    "workflow/test_documents.py",
    "workflow/test_explain.py",
    "workflow/test_bad_data.py",
    "workflow/test_mouse.py",
    "workflow/test_recipes.py",
    "workflow/test_h1.py",
    "workflow/test_download.py",
    "load/test_load.py",
    "unit/figures/test_report.py",
    "unit/training/test_state.py",
)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Compare figures with their reference images in every run, not only with ``--mpl``."""
    config.option.mpl = True


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files above; the others keep their order."""

    def place(item: pytest.Item) -> int:
        name = item.path.relative_to(ROOT / "tests").as_posix()
        return FIRST.index(name) if name in FIRST else len(FIRST)

    items.sort(key=place)


def _shared(name: str) -> Path:
    path = SHARED / name
    if not path.is_dir():
        pytest.skip(f"reference data {name} are not beside this checkout")
    return path


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository's root folder."""
    return ROOT


@pytest.fixture(scope="session")
def golden_dir() -> Path:
    """Numbers computed by the released code; skipped where they are absent."""
    return _shared("golden")


@pytest.fixture(scope="session")
def realdata_dir() -> Path:
    """Real chr22 data of K562 and GM12878; skipped where they are absent."""
    return _shared("realdata")


@pytest.fixture(scope="session")
def realdata_genomewide_dir() -> Path:
    """Real genome-wide data of K562 and GM12878; skipped where they are absent."""
    return _shared("realdata_genomewide")
