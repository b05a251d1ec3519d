"""What figures and tables read: named needs, the files that hold them and who loads them.

Planning asks here which files an experiment needs; ``NEEDS`` of a renderer is read from its
source, so that planning imports neither matplotlib nor pandas.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prismflow.errors import InputError
from prismflow.plan.run import RunKey


@dataclass(frozen=True)
class Need:
    """Files of one kind of data.

    Attributes:
        scope: ``dataset``, ``cell``, ``model``, ``run`` or ``experiment``: what there is one file
            of; one of an experiment is made from its runs.
        files: below the dataset's folder; ``{cell}``, ``{model}``, ``{run}`` and ``{experiment}``
            are filled in.
        loader: module of ``prismflow.figures.read`` whose ``load`` reads them.
    """

    scope: str
    files: tuple[str, ...]
    loader: str = "runs"


NEEDS: dict[str, Need] = {
    "metrics": Need("run", ("metrics.tsv",)),
    "histories": Need("run", ("{cell}/{model}/{run}/history.tsv",)),
    "predictions": Need("run", ("{cell}/{model}/{run}/predictions.tsv.gz",)),
    "reach": Need("run", ("{cell}/{model}/{run}/predictions.tsv.gz",), "reach"),
    "context_weights": Need(
        "run",
        ("{cell}/{model}/{run}/extras.safetensors", "{cell}/{model}/{run}/predictions.tsv.gz"),
    ),
    "records": Need("run", ("{cell}/{model}/{run}/model.json",), "records"),
    "genes": Need("dataset", ("genes.tsv",)),
    "costs": Need("model", ("costs/{model}.json",), "costs"),
    "contact_range": Need("cell", ("{cell}/contact_range.tsv",), "contact_range"),
    "crispri": Need("cell", ("{cell}/crispri.tsv", "{cell}/crispri_reach.tsv"), "crispri"),
    "gene_signals": Need("cell", ("{cell}/store",), "signals"),
    "loci": Need("run", ("{cell}/store", "{cell}/{model}/{run}/predictions.tsv.gz"), "loci"),
    "confounding": Need(
        "dataset",
        (
            "confounding/measures.tsv",
            "confounding/summary.tsv",
            "confounding/contrasts.tsv",
            "confounding/contexts.tsv",
        ),
        "confounding",
    ),
    "cross_cell": Need("experiment", ("measures/{experiment}_cross_cell.tsv",), "measures"),
    "out_of_fold": Need("experiment", ("measures/{experiment}_out_of_fold.tsv",), "measures"),
    "strata": Need("experiment", ("measures/{experiment}_strata.tsv",), "measures"),
    "model_settings": Need("plan", (), "settings"),
    "families": Need("plan", (), "families"),
    # The rule names the file, because only experiments that compare models have one.
    "comparisons": Need("plan", (), "comparisons"),
}
#: Renderers and tables without this constant are those of the long table of metrics.
DEFAULT = ("metrics",)


@functools.cache
def needs_of(package: str, name: str) -> tuple[str, ...]:
    """``NEEDS`` of a module of ``prismflow.figures.plots`` or ``prismflow.figures.tables``.

    Raises:
        InputError: there is no such module.
    """
    path = Path(__file__).parents[1] / "figures" / package / f"{name}.py"
    if not path.is_file():
        known = sorted(file.stem for file in path.parent.glob("[a-z]*.py"))
        raise InputError(
            f"experiments: expected a module of prismflow.figures.{package}, found {name!r}; "
            f"there are {', '.join(known)}."
        )
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
            continue
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        if any(isinstance(t, ast.Name) and t.id == "NEEDS" for t in targets):
            return tuple(ast.literal_eval(node.value))
    return DEFAULT


def needs_of_experiment(entry: Mapping[str, Any]) -> tuple[str, ...]:
    """Needs of an experiment's figure and table together."""
    found: list[str] = []
    for package, key in (("plots", "renderer"), ("tables", "table")):
        if entry.get(key):
            found += needs_of(package, entry[key])
    return tuple(dict.fromkeys(found))


def needs_runs(entry: Mapping[str, Any]) -> bool:
    """Whether models must be trained for an experiment."""
    return any(
        NEEDS[need].scope in ("run", "experiment")
        for need in needs_of_experiment(entry)
        if need in NEEDS
    )


def needed_files(
    needs: Iterable[str],
    dataset: str,
    cells: Sequence[str],
    models: Sequence[str],
    runs: Iterable[RunKey],
    root: str = "results",
    experiment: str = "",
) -> list[str]:
    """Files that hold these needs, each once.

    Args:
        needs: names in :data:`NEEDS`.
        dataset, cells, models: of the experiment.
        runs: its runs.
        root: the results folder.
        experiment: its name.
    """
    places: dict[str, list[dict[str, str]]] = {
        "plan": [],
        "dataset": [{}],
        "cell": [{"cell": cell} for cell in cells],
        "model": [{"model": model} for model in models],
        "experiment": [{"experiment": experiment}],
        "run": [{"cell": run.cell, "model": run.model, "run": run.name} for run in runs],
    }
    files = [
        f"{root}/{dataset}/{pattern.format(**place)}"
        for need in needs
        for pattern in NEEDS[need].files
        for place in places[NEEDS[need].scope]
    ]
    return list(dict.fromkeys(files))


def loader_modules(needs: Iterable[str]) -> list[str]:
    """Modules that load these needs, for the digest of the code that a figure depends on."""
    return sorted({f"figures.read.{NEEDS[need].loader}" for need in needs})
