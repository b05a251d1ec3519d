"""Compare the models of an experiment and print the table of comparisons."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prismflow.errors import InputError
from prismflow.evaluation.comparisons import compare, with_published
from prismflow.evaluation.predictions_file import read_gathered
from prismflow.files import read_tsv


def compare_models(
    request: Mapping[str, Any], gathered: str, published: str, outputs: Mapping[str, str]
) -> None:
    """Write an experiment's comparisons in every format of ``outputs`` (suffix -> path).

    Args:
        request: experiment, runs and context, as the plan words them.
        gathered: the dataset's gathered predictions.
        published: sheet of published values.

    Raises:
        InputError: there is nothing to compare.
    """
    from prismflow.figures.tables import comparisons, render

    experiment, context = request["experiment"], request["context"]
    table = compare(read_gathered(gathered), experiment, request["runs"])
    if table.empty:
        raise InputError(
            f"{experiment['id']}: expected two models with the same test genes and a common seed, "
            "found none; give the experiment's models the same seeds."
        )
    name = str(experiment.get("published_experiment", experiment["id"]))
    cells = context.get("published_cells") or {}
    table = with_published(table, read_tsv(published), name, cells)
    paths = {f"{suffix}_path": path for suffix, path in outputs.items()}
    render.write(table, comparisons.sheet(table, experiment, context), **paths)
