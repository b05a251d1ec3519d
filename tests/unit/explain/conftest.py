"""Trained runs on a small store, opened for questions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from make_store import make_store, settings

from prismflow.explain.trained import Trained, open_trained
from prismflow.training.run import train_run

FILES = ("model.safetensors", "model.json")


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A store without N, and its splits."""
    store, splits = make_store(tmp_path_factory.mktemp("explain"))
    sequence = np.load(store / "sequence.npy")
    sequence[sequence == 4] = 0
    sequence[3, 100:110] = 4
    np.save(store / "sequence.npy", sequence)
    return store, splits


@pytest.fixture(scope="session")
def run_of(
    data: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Path]:
    """Folder of a trained run of an architecture; trained once."""
    folders: dict[tuple[str, int], Path] = {}

    def trained(architecture: str, seed: int = 2) -> Path:
        if (architecture, seed) not in folders:
            folder = tmp_path_factory.mktemp(architecture)
            none = architecture in ("caduceus", "mamba", "hyena")
            chosen = settings(architecture, **({"modalities": []} if none else {}))
            train_run(*data, "fold11", seed, chosen, *(folder / name for name in FILES),
                      folder / "history.tsv", device="cpu")  # fmt: skip
            folders[architecture, seed] = folder
        return folders[architecture, seed]

    return trained


@pytest.fixture(scope="session")
def opened(data: tuple[Path, Path], run_of: Callable[..., Path]) -> Callable[..., Trained]:
    """A trained run of an architecture, opened."""

    def open_(architecture: str, pass_bp: int = 4096) -> Trained:
        folder = run_of(architecture)
        return open_trained(*data, *(folder / name for name in FILES), pass_bp, device="cpu")

    return open_
