"""Numbers that were made from an experiment's predictions."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from prismflow.files import read_tsv


def load(need: str, request: Mapping[str, Any], root: Path) -> pd.DataFrame:
    """The table of one of the rules ``measure_*``, named by the need."""
    experiment, dataset = request["experiment"]["id"], request["context"]["dataset"]
    texts = ("cell", "other_cell", "source", "from_cell", "model", "grouping", "class")
    return read_tsv(
        root / dataset / "measures" / f"{experiment}_{need}.tsv", dtype=dict.fromkeys(texts, str)
    ).fillna(dict.fromkeys(texts, ""))
