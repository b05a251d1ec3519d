"""The modules that draw and print, by name; jobs import one of them by the name in the plan."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

from prismflow.figures import plots, tables

# What plots share, and those that are drawn per dataset or per run, not per experiment.
_NOT_PLOTS = {
    "__init__", "attributions", "common", "data_checks", "diagram", "forest", "gene_bars", "room",
    "style",
}  # fmt: skip
_NOT_TABLES = {"__init__", "render"}


def _names(package: ModuleType, without: set[str]) -> list[str]:
    return sorted({path.stem for path in Path(package.__path__[0]).glob("*.py")} - without)


PLOTS = _names(plots, _NOT_PLOTS)
TABLES = _names(tables, _NOT_TABLES)


def plot(name: str) -> ModuleType:
    """Module of a figure."""
    return importlib.import_module(f"prismflow.figures.plots.{name}")


def table(name: str) -> ModuleType:
    """Module of a table."""
    return importlib.import_module(f"prismflow.figures.tables.{name}")
