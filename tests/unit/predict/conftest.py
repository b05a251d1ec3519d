"""A small simulated genome with trained models, made once."""

from __future__ import annotations

import pytest
from small_world import World, make_world


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Two cells of a simulated genome; prism and gbm, trained in the first."""
    return make_world(tmp_path_factory.mktemp("world"))
