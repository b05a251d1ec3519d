"""How well element-gene scores find tested pairs, and what windows can reach."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from prismflow.files import read_tsv


def load(need: str, request: Mapping[str, Any], root: Path) -> dict[str, pd.DataFrame]:
    """``summary`` and ``reach`` of :mod:`prismflow.evaluation.crispri`, the cell in front."""
    found = {}
    for name, file in (("summary", "crispri.tsv"), ("reach", "crispri_reach.tsv")):
        tables = []
        for cell in request["context"]["cells"]:
            table = read_tsv(root / request["context"]["dataset"] / cell / file)
            tables.append(table.assign(cell=cell))
        full = [table for table in tables if len(table)] or tables[:1]
        found[name] = pd.concat(full, ignore_index=True)
    return found
