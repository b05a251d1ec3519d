"""Where the state of an unfinished training lies, and how often one is written."""

from __future__ import annotations

from pathlib import Path

CHECKPOINT_MINUTES = 10.0
"""Time between two states of a running training on disk."""


def state_folder(weights_path: str | Path) -> Path:
    """Where the state of an unfinished run lies: beside the folder of the run's outputs."""
    folder = Path(weights_path).absolute().parent
    return folder.with_name(f"{folder.name}.state")
