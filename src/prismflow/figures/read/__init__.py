"""What figures and tables need, read from result files; one module per kind of file.

Each has ``load(need, request, root)`` and is imported by name (:mod:`prismflow.plan.needs`), so
that an edit of one changes only the figures and tables that need it.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from prismflow.files import read_tsv
from prismflow.plan.needs import NEEDS


def read_needs(request: Mapping[str, Any], needs: Sequence[str], root: Path) -> dict[str, Any]:
    """What a renderer asks for, by name of the need.

    Args:
        request: experiment, runs and context, as the plan words them.
        needs: names in :data:`prismflow.plan.needs.NEEDS`.
        root: the results folder.
    """
    loaders = {need: importlib.import_module(f"{__name__}.{NEEDS[need].loader}") for need in needs}
    return {need: loader.load(need, request, root) for need, loader in loaders.items()}


def with_published(request: Mapping[str, Any], published: str) -> dict[str, Any]:
    """The context of a request with the table of published values beside it."""
    return {**request["context"], "published": read_tsv(published)}
