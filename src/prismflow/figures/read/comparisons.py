"""Comparisons of an experiment, for tables that print what is decided in bold."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from prismflow.files import read_tsv


def load(need: str, request: Mapping[str, Any], root: Path) -> pd.DataFrame | None:
    """The comparisons of the request's experiment; None where it compares nothing.

    The rule gives the file as an input where the experiment compares models.
    """
    experiment = request["experiment"]["id"]
    path = root / request["context"]["dataset"] / "tables" / f"{experiment}_comparisons.tsv"
    return read_tsv(path) if request.get("compared") else None
