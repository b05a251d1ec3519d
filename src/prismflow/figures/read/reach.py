"""Error and change of predictions when input beyond a distance is replaced, run by run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from prismflow.files import read_tsv
from prismflow.plan.run import RunKey

COLUMNS = (
    "cell", "model", "fold", "seed", "beyond_bp", "where", "inputs", "replace", "mse", "mse_full",
    "change", "n_genes",
)  # fmt: skip
AVERAGED = "averaged"
_NAME = re.compile(r"beyond_(\d+)bp_(\w+?)_(\w+?)_(\w+)")


def load(need: str, request: Mapping[str, Any], root: Path) -> pd.DataFrame:
    """One row per run and scenario of the experiment, columns :data:`COLUMNS`.

    ``change`` is the root mean square of the change of the prediction, over the standard deviation
    of the predictions as trained; the average over offsets and strands has ``replace`` averaged
    and the distance 0.
    """
    dataset = request["context"]["dataset"]
    rows = []
    for run in (RunKey(*key) for key in request["runs"]):
        path = root / dataset / run.cell / run.model / run.name / "predictions.tsv.gz"
        rows += rows_of(read_tsv(path, dtype={"gene_id": str}), run)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def rows_of(table: pd.DataFrame, run: RunKey) -> list[tuple[Any, ...]]:
    """Rows of one run's predictions (scenario, gene_id, observed, predicted)."""
    by_scenario = dict(iter(table.groupby("scenario")))
    full = by_scenario["full"]
    spread = float(full["predicted"].std(ddof=0))
    whole = _mse(full)
    rows = []
    for name, part in by_scenario.items():
        found = _NAME.fullmatch(str(name))
        if found is None and name != AVERAGED:
            continue
        how = (int(found[1]), *found.groups()[1:]) if found else (0, "all", "both", AVERAGED)
        moved = part["predicted"].to_numpy() - full["predicted"].to_numpy()
        change = float(np.sqrt((moved**2).mean())) / spread if spread else 0.0
        rows.append((*run, *how, _mse(part), whole, change, len(part)))
    return rows


def _mse(table: pd.DataFrame) -> float:
    return float(((table["predicted"] - table["observed"]) ** 2).mean())
