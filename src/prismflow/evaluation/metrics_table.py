"""One long table of all metrics, and the tables that figures need, from the files of runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from prismflow.errors import InputError
from prismflow.files import read_tsv, write_tsv
from prismflow.statistics.seeds import METRIC_COLUMNS


def read_metrics(path: str | Path) -> pd.DataFrame:
    """Read a metrics table.

    Raises:
        InputError: the columns are not exactly :data:`METRIC_COLUMNS`.
    """
    table = read_tsv(path, dtype={"fold": str})
    if tuple(table.columns) != METRIC_COLUMNS:
        raise InputError(
            f"{path}: expected the columns {' '.join(METRIC_COLUMNS)}, found "
            f"{' '.join(table.columns)}; remove the file and run again."
        )
    return table


def aggregate_metrics(paths: Sequence[str | Path], output: str | Path) -> None:
    """Concatenate the metrics of runs, sorted, without a row twice.

    Raises:
        InputError: a file lacks a column, or two files hold the same row.
    """
    table = pd.concat([read_metrics(path) for path in paths], ignore_index=True)
    keys = [name for name in METRIC_COLUMNS if name not in ("value", "n_genes")]
    twice = table[table.duplicated(keys)]
    if len(twice):
        raise InputError(
            f"{output}: the metric {' / '.join(map(str, twice.iloc[0][keys]))} stands in two "
            "files; remove the results of one of the two runs."
        )
    write_tsv(table.sort_values(keys, kind="stable"), output)
