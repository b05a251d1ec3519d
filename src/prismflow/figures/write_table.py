"""Read what a table needs from result files, build it, and write it in every format."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prismflow.figures.read import read_needs, with_published
from prismflow.figures.tables import render


def write_table(
    request: Mapping[str, Any],
    published: str,
    outputs: Mapping[str, str],
    root: str = "results",
) -> None:
    """Write one experiment's table in every format of ``outputs`` (suffix -> path).

    Args:
        request: experiment, runs and context, as the plan words them.
        published: sheet of published values.
        root: the results folder.
    """
    module = importlib.import_module(f"prismflow.figures.tables.{request['experiment']['table']}")
    data = read_needs(request, module.NEEDS, Path(root))
    experiment, context = request["experiment"], with_published(request, published)
    table = module.build(data, experiment, context)
    sheet = module.sheet(table, experiment, context)
    paths = {f"{suffix}_path": path for suffix, path in outputs.items()}
    render.write(table, sheet, **paths)
