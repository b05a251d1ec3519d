"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"


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
