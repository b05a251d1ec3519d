"""Tables of runs: metrics, histories, predictions, context weights; and the genes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from prismflow.evaluation.metrics_table import read_metrics
from prismflow.files import read_tsv
from prismflow.plan.run import RunKey

RUN_KEYS = RunKey._fields


def runs_of(request: Mapping[str, Any]) -> list[RunKey]:
    """Runs of the experiment that a request is about."""
    return [RunKey(*run) for run in request["runs"]]


def run_folder(root: Path, dataset: str, run: RunKey) -> Path:
    """Folder of a run's files."""
    return root / dataset / run.cell / run.model / run.name


def run_table(request: Mapping[str, Any], root: Path, file: str) -> pd.DataFrame:
    """One table per run, with dataset, cell, model, fold and seed in front, below each other."""
    dataset = request["context"]["dataset"]
    tables = []
    for run in runs_of(request):
        # As text: an identifier of digits is a name, too.
        table = read_tsv(run_folder(root, dataset, run) / file, dtype={"gene_id": str})
        identity = {"dataset": dataset, **dict(zip(RUN_KEYS, run, strict=True))}
        for position, (name, value) in enumerate(identity.items()):
            table.insert(position, name, value)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def load(need: str, request: Mapping[str, Any], root: Path) -> Any:
    """``metrics`` (rows of the experiment's runs), ``histories``, ``predictions``, ``genes``, or
    ``context_weights``: {(cell, model, fold, seed): (gene ids, (n_genes, d_model, n))}.
    """
    dataset = request["context"]["dataset"]
    if need == "metrics":
        table = read_metrics(root / dataset / "metrics.tsv")
        keys = table[list(RUN_KEYS)].apply(tuple, axis=1)
        return table[keys.isin(set(runs_of(request)))].reset_index(drop=True)
    if need == "context_weights":
        return _context_weights(request, root)
    if need == "genes":
        return read_tsv(root / dataset / "genes.tsv")
    files = {"histories": "history.tsv", "predictions": "predictions.tsv.gz"}
    return run_table(request, root, files[need])


def _context_weights(request: Mapping[str, Any], root: Path) -> dict[RunKey, Any]:
    from safetensors.numpy import load_file

    weights = {}
    for run in runs_of(request):
        folder = run_folder(root, request["context"]["dataset"], run)
        extras = load_file(folder / "extras.safetensors")
        if "context_weights" in extras:
            predictions = read_tsv(folder / "predictions.tsv.gz", dtype={"gene_id": str})
            genes = predictions.loc[predictions["scenario"] == "full", "gene_id"]
            weights[run] = (genes.tolist(), extras["context_weights"])
    return weights
