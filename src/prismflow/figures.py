"""Read what a figure or table needs from result files, draw it, and write it.

The plotting and table modules take tables in and give figures and tables out; this is the one place
between them and the files.
"""

from __future__ import annotations

import ast
import functools
import importlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from prismflow.aggregate import read_metrics
from prismflow.files import read_json, read_tsv

#: Name of a renderer's need -> file of a run that holds it.
RUN_FILES = {
    "histories": "history.tsv",
    "predictions": "predictions.tsv.gz",
    "context_weights": "extras.safetensors",
}
RUN_KEYS = ("cell", "model", "fold", "seed")


@functools.cache
def renderer_needs(renderer: str) -> tuple[str, ...]:
    """``NEEDS`` of a renderer, read from its source so that planning doesn't import matplotlib."""
    path = Path(__file__).parent / "plots" / f"{renderer}.py"
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(isinstance(t, ast.Name) and t.id == "NEEDS" for t in targets):
            return tuple(ast.literal_eval(node.value))
    return ()


def needed_files(renderer: str) -> list[str]:
    """Files of each run that a renderer reads beside the table of metrics."""
    return [RUN_FILES[need] for need in renderer_needs(renderer) if need in RUN_FILES]


def _run_table(
    dataset: str, runs: Sequence[tuple[str, str, str, int]], file: str, root: Path
) -> pd.DataFrame:
    tables = []
    for cell, model, fold, seed in runs:
        table = read_tsv(root / dataset / cell / model / f"{fold}_seed{seed}" / file)
        identity = {"dataset": dataset, "cell": cell, "model": model, "fold": fold, "seed": seed}
        for position, (name, value) in enumerate(identity.items()):
            table.insert(position, name, value)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def _context_weights(
    dataset: str, runs: Sequence[tuple[str, str, str, int]], root: Path
) -> dict[tuple[str, str, str, int], Any]:
    from safetensors.numpy import load_file

    weights = {}
    for cell, model, fold, seed in runs:
        folder = root / dataset / cell / model / f"{fold}_seed{seed}"
        extras = load_file(folder / "extras.safetensors")
        if "context_weights" in extras:
            predictions = read_tsv(folder / "predictions.tsv.gz", dtype={"gene_id": str})
            genes = predictions.loc[predictions["scenario"] == "full", "gene_id"]
            weights[cell, model, fold, seed] = (genes.tolist(), extras["context_weights"])
    return weights


def _data(request: dict[str, Any], needs: Sequence[str], root: Path, metrics: str) -> dict:
    dataset = request["context"]["dataset"]
    runs = [tuple(run) for run in request["runs"]]
    table = read_metrics(metrics)
    keys = table[list(RUN_KEYS)].apply(tuple, axis=1)
    data: dict[str, Any] = {"metrics": table[keys.isin(set(runs))].reset_index(drop=True)}
    for need in needs:
        if need == "context_weights":
            data[need] = _context_weights(dataset, runs, root)
        elif need in RUN_FILES:
            data[need] = _run_table(dataset, runs, RUN_FILES[need], root)
        elif need == "genes":
            data[need] = read_tsv(root / dataset / "genes.tsv")
    return data


def _context(request: dict[str, Any], published: str) -> dict[str, Any]:
    return {**request["context"], "published": read_tsv(published)}


def plot_figure(
    request_json: str, metrics: str, published: str, pdf: str, png: str, root: str = "results"
) -> None:
    """Draw one experiment's figure.

    Args:
        request_json: experiment, runs and context, as the plan words them.
        metrics: the long table of metrics of the dataset.
        published: sheet of published values.
        pdf, png: outputs.
        root: the results folder.

    Raises:
        InputError: there is nothing to draw.
    """
    from prismflow import plots

    request = json.loads(request_json)
    renderer = request["experiment"]["renderer"]
    module = importlib.import_module(f"prismflow.plots.{renderer}")
    data = _data(request, renderer_needs(renderer), Path(root), metrics)
    figure = module.draw(data, request["experiment"], _context(request, published))
    plots.save(figure, pdf, png)


def plot_data_checks(context_json: str, files: Mapping[str, str], pdf: str, png: str) -> None:
    """Draw the figure of :func:`prismflow.checks.check_data`.

    Args:
        context_json: what the plan says about the dataset.
        files: ``checks``, ``profiles``, ``examples`` (TSV) and ``summary`` (JSON).
        pdf, png: outputs.
    """
    from prismflow import plots

    # By name, so that an edit of this one figure doesn't redraw the experiments'.
    data_checks = importlib.import_module("prismflow.plots.data_checks")
    data = {name: read_tsv(files[name]) for name in ("checks", "profiles", "examples")}
    data["summary"] = read_json(files["summary"])
    figure = data_checks.draw(data, {"id": "data_checks"}, json.loads(context_json))
    plots.save(figure, pdf, png)


def write_table(
    request_json: str, metrics: str, published: str, outputs: dict[str, str], root: str = "results"
) -> None:
    """Write one experiment's table in every format of ``outputs`` (suffix -> path)."""
    from prismflow.tables import render

    request = json.loads(request_json)
    module = importlib.import_module(f"prismflow.tables.{request['experiment']['table']}")
    data = _data(request, (), Path(root), metrics)
    experiment, context = request["experiment"], _context(request, published)
    table = module.build(data, experiment, context)
    sheet = module.sheet(table, experiment, context)
    paths = {f"{suffix}_path": path for suffix, path in outputs.items()}
    render.write(table, sheet, **paths)
