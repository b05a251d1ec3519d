"""All test predictions of a dataset in one file, so that comparisons read each run's file once.

The file is safetensors: per cell and fold ``{i}/observed`` (K, G), the distinct label vectors, and
``{i}/predicted`` (A, G), one row per model, seed and scenario, float32, and ``{i}/blocks`` (G,),
the block of every gene; its metadata hold one JSON index with the genes and the rows.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from prismflow.errors import InputError
from prismflow.files import atomic_path, read_tsv
from prismflow.plan.run import RunKey

FORMAT_VERSION = 2


@dataclass(frozen=True)
class Row:
    """One row of predictions; ``observed`` is the row of its labels."""

    model: str
    seed: int
    scenario: str
    observed: int


@dataclass(frozen=True, eq=False)
class Group:
    """Predictions of one cell and fold: ``observed`` (K, G), ``predicted`` (A, G), A ``rows``.

    ``blocks`` (G,) names the block of every gene; None: each is its own.
    """

    cell: str
    fold: str
    genes: tuple[str, ...]
    rows: tuple[Row, ...]
    observed: np.ndarray
    predicted: np.ndarray
    blocks: np.ndarray | None = None


def gather_predictions(
    dataset: str,
    runs: Iterable[Sequence[Any]],
    blocks: str | Path,
    output: str | Path,
    root: str | Path = "results",
) -> None:
    """Read the predictions of every run once and write them together.

    Args:
        dataset: its name.
        runs: cell, model, fold and seed of every run.
        blocks: table with the block of every gene.
        output: the file to write.
        root: the results folder.

    Raises:
        InputError: a file is missing or has other test genes than the other runs of its fold.
    """
    from safetensors.numpy import save_file

    tensors: dict[str, np.ndarray] = {}
    index: list[dict[str, Any]] = []
    keys = sorted(RunKey(*run) for run in runs)
    table = read_tsv(blocks, dtype={"gene_id": str, "block": np.int64})
    block_of = dict(zip(table["gene_id"], table["block"], strict=True))
    for cell, fold in sorted({(run.cell, run.fold) for run in keys}):
        group = _Builder(cell, fold)
        for run in (run for run in keys if (run.cell, run.fold) == (cell, fold)):
            group.add(run, Path(root) / dataset / cell / run.model / run.name)
        tensors[f"{len(index)}/observed"] = np.stack(group.observed)
        tensors[f"{len(index)}/predicted"] = np.stack(group.predicted)
        tensors[f"{len(index)}/blocks"] = _blocks(group.genes, block_of, blocks)
        index.append({"cell": cell, "fold": fold, "genes": group.genes, "rows": group.rows})
    content = json.dumps({"format_version": FORMAT_VERSION, "groups": index})
    with atomic_path(output) as temporary:
        save_file(tensors, temporary, metadata={"index": content})


def _blocks(genes: Sequence[str], block_of: Mapping[str, int], path: str | Path) -> np.ndarray:
    absent = [gene for gene in genes if gene not in block_of]
    if absent:
        raise InputError(
            f"{path}: expected the block of every test gene, found none of {absent[0]}; remove the "
            "file and run again."
        )
    return np.array([block_of[gene] for gene in genes], dtype=np.int64)


class _Builder:
    """Collects the rows of one cell and fold."""

    def __init__(self, cell: str, fold: str) -> None:
        self.cell, self.fold = cell, fold
        self.genes: list[str] = []
        self.first = Path()
        self.rows: list[tuple[str, int, str, int]] = []
        self.observed: list[np.ndarray] = []
        self.predicted: list[np.ndarray] = []

    def add(self, run: RunKey, folder: Path) -> None:
        path = folder / "predictions.tsv.gz"
        table = read_tsv(
            path,
            usecols=["scenario", "gene_id", "observed", "predicted"],
            dtype={
                "scenario": str,
                "gene_id": str,
                "observed": np.float32,
                "predicted": np.float32,
            },
        )
        for scenario, part in _by_scenario(table):
            genes = part["gene_id"].tolist()
            if not self.genes:
                self.genes, self.first = genes, path
            if genes != self.genes:
                raise InputError(
                    f"{path}: expected the {len(self.genes)} test genes of {self.first} in the "
                    f"same order, found {len(genes)} genes in scenario {scenario} that differ; "
                    "remove the results of one of the two runs and run again."
                )
            labels = self._labels(part["observed"].to_numpy())
            self.rows.append((run.model, run.seed, scenario, labels))
            self.predicted.append(part["predicted"].to_numpy())

    def _labels(self, values: np.ndarray) -> int:
        for position, known in enumerate(self.observed):
            if np.array_equal(known, values):
                return position
        self.observed.append(values)
        return len(self.observed) - 1


def _by_scenario(table: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    # Scenarios stand in blocks: slices cost a tenth of a groupby, once per run of a study.
    names = table["scenario"].to_numpy()
    starts = [0, *(np.flatnonzero(names[1:] != names[:-1]) + 1).tolist(), len(names)]
    blocks = [table.iloc[a:b] for a, b in itertools.pairwise(starts)]
    return [(str(block["scenario"].iloc[0]), block) for block in blocks if len(block)]


def read_gathered(path: str | Path) -> list[Group]:
    """Read a file of :func:`gather_predictions`.

    Raises:
        InputError: not such a file.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="np") as file:
            content: dict[str, Any] = json.loads((file.metadata() or {}).get("index", "{}"))
            if content.get("format_version") != FORMAT_VERSION:
                raise InputError(
                    f"{path}: expected gathered predictions of format {FORMAT_VERSION}, found "
                    f"{content.get('format_version', 'another file')}; remove it and run again."
                )
            return [
                Group(
                    entry["cell"],
                    entry["fold"],
                    tuple(entry["genes"]),
                    tuple(Row(*row) for row in entry["rows"]),
                    file.get_tensor(f"{position}/observed"),
                    file.get_tensor(f"{position}/predicted"),
                    file.get_tensor(f"{position}/blocks"),
                )
                for position, entry in enumerate(content["groups"])
            ]
    except (SafetensorError, FileNotFoundError) as error:
        raise InputError(f"{path}: expected gathered predictions, found {error}.") from None
