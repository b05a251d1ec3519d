"""Tables: one module per renderer; tables in, a numeric table and its printed form out.

A renderer has ``NEEDS``, ``build(data, experiment, context) -> DataFrame`` (numbers, what the TSV
holds) and ``sheet(table, experiment, context) -> render.Sheet`` (text, what Markdown, LaTeX and
HTML show). :func:`prismflow.figures.tables.render.write` writes all four.
"""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType

from prismflow.errors import InputError


def renderers() -> tuple[str, ...]:
    """Names of all table renderers: the modules of this package except the printer."""
    return tuple(sorted({module.name for module in pkgutil.iter_modules(__path__)} - {"render"}))


def renderer(name: str) -> ModuleType:
    """Import the module of a table renderer.

    Raises:
        InputError: no renderer of that name exists.
    """
    if name not in renderers():
        raise InputError(
            f"table renderer: expected one of {', '.join(renderers())}, found {name!r}."
        )
    return importlib.import_module(f"prismflow.figures.tables.{name}")
