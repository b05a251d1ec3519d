"""The configuration's files in an empty folder, and plans of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from planned import Files

from prismflow.plan.runs import Plan


@pytest.fixture
def files(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> Files:
    """A copy of the configuration in an empty working directory."""
    monkeypatch.chdir(tmp_path)
    return Files(root)


@pytest.fixture
def plan(files: Files) -> Callable[..., Plan]:
    """Plan the demo with one experiment ``own`` and further changes of the configuration."""
    return files.plan
