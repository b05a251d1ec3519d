"""Variants of one model that a figure joins by a line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any


def load(need: str, request: Mapping[str, Any], root: Path) -> dict[str, list[str]]:
    """Label -> models, as the plan orders them; empty where the experiment varies no model."""
    return dict(request["families"])
