"""One number per gene and signal, read from the stores."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from prismflow.data.store import Store

CORE_BP = 1000
READ_GENES = 512
ACTIVITY = "promoter_activity"


def mean_at_tss(store: Store, modality: str) -> np.ndarray:
    """(N,) mean raw value of a modality over TSS +- 500 (or the whole window, if shorter)."""
    width = min(CORE_BP, store.window_bp)
    parts = [
        store.signal(modality, np.arange(first, min(first + READ_GENES, store.n_genes)), width)
        for first in range(0, store.n_genes, READ_GENES)
    ]
    return np.concatenate([part.mean(axis=1, dtype=np.float64) for part in parts])


def load(need: str, request: Mapping[str, Any], root: Path) -> pd.DataFrame:
    """Columns cell, gene_id, the cell's modalities and promoter_activity (where it has one).

    A modality that a cell lacks is missing there.
    """
    tables = []
    for cell in request["context"]["cells"]:
        store = Store.open(root / request["context"]["dataset"] / cell / "store")
        columns: dict[str, Any] = {"cell": cell, "gene_id": store.genes["gene_id"].astype(str)}
        columns |= {name: mean_at_tss(store, name) for name in store.modalities}
        names = list(store.manifest["gene_features"])
        if ACTIVITY in names:
            columns[ACTIVITY] = store.gene_features[:, names.index(ACTIVITY)]
        tables.append(pd.DataFrame(columns))
    return pd.concat(tables, ignore_index=True)
