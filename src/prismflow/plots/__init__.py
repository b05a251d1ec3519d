"""Figures: one module per renderer; tables in, a matplotlib figure out, no file read.

A renderer has ``NEEDS`` (names of the tables that it takes) and
``draw(data, experiment, context) -> matplotlib.figure.Figure``. This package imports matplotlib
only when something is drawn, so that the workflow can plan without it.
"""

from __future__ import annotations

import importlib
import os
from types import ModuleType
from typing import TYPE_CHECKING

from prismflow.errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RENDERERS: dict[str, tuple[str, ...]] = {
    "main": ("metrics",),
    "input_length": ("metrics",),
    "signal_contribution": ("metrics",),
    "signal_removal": ("metrics",),
    "confounder_weights": ("context_weights",),
    "training_curves": ("histories",),
    "observed_vs_predicted": ("predictions",),
}
"""Renderer name -> the data it needs, equal to the module's ``NEEDS`` (tested)."""


def renderer(name: str) -> ModuleType:
    """Import the module of a renderer.

    Raises:
        InputError: no renderer of that name exists.
    """
    if name not in RENDERERS:
        raise InputError(
            f"figure renderer: expected one of {', '.join(RENDERERS)}, found {name!r}."
        )
    return importlib.import_module(f"prismflow.plots.{name}")


def save(
    figure: Figure, pdf_path: str | os.PathLike[str], png_path: str | os.PathLike[str]
) -> None:
    """Write a figure as PDF (TrueType fonts embedded) and PNG (300 dpi), each atomically.

    Equal figures give equal bytes: neither file carries a date or a program version.
    """
    from prismflow.plots import style

    style.save(figure, pdf_path, png_path)
