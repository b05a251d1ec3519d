"""What the grid of confounded worlds says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from prismflow.files import read_tsv

TABLES = ("measures", "summary", "contrasts", "contexts")


def load(need: str, request: Mapping[str, Any], root: Path) -> dict[str, pd.DataFrame]:
    """Tables of :func:`prismflow.evaluation.confounding.gather` by name."""
    folder = root / request["context"]["dataset"] / "confounding"
    return {name: read_tsv(folder / f"{name}.tsv") for name in TABLES}
