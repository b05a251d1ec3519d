"""Tables: one module per renderer; tables in, a numeric table and its printed form out.

A renderer has ``NEEDS``, ``build(data, experiment, context) -> DataFrame`` (numbers, what the TSV
holds) and ``sheet(table, experiment, context) -> render.Sheet`` (text, what Markdown and LaTeX
show). :func:`prismflow.tables.render.write` writes all three.
"""

from __future__ import annotations

import importlib
from types import ModuleType

from prismflow.errors import InputError

RENDERERS: dict[str, tuple[str, ...]] = {"main": ("metrics",)}
"""Renderer name -> the data it needs, equal to the module's ``NEEDS`` (tested)."""


def renderer(name: str) -> ModuleType:
    """Import the module of a table renderer.

    Raises:
        InputError: no renderer of that name exists.
    """
    if name not in RENDERERS:
        raise InputError(f"table renderer: expected one of {', '.join(RENDERERS)}, found {name!r}.")
    return importlib.import_module(f"prismflow.tables.{name}")
