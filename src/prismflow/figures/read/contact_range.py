"""Counts of contacts per gene and cell."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from prismflow.files import read_tsv


def load(need: str, request: Mapping[str, Any], root: Path) -> pd.DataFrame:
    """The table of :func:`~prismflow.evaluation.contact_range.count_contacts`, cell in front."""
    dataset = request["context"]["dataset"]
    tables = []
    for cell in request["context"]["cells"]:
        path = root / dataset / cell / "contact_range.tsv"
        table = read_tsv(path, dtype={"gene_id": str, "normalisation": str})
        table.insert(0, "cell", cell)
        tables.append(table)
    return pd.concat([table for table in tables if len(table)] or tables[:1], ignore_index=True)
