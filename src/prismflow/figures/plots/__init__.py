"""Figures: one module per renderer; tables in, a matplotlib figure out, no file read.

A renderer has ``NEEDS`` (names of the tables that it takes) and
``draw(data, experiment, context) -> matplotlib.figure.Figure``. This package imports matplotlib
only when something is drawn, so that the workflow can plan without it.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def save(
    figure: Figure, pdf_path: str | os.PathLike[str], png_path: str | os.PathLike[str]
) -> None:
    """Write a figure as PDF (TrueType fonts embedded) and PNG (300 dpi), each atomically.

    Equal figures give equal bytes: neither file carries a date or a program version.
    """
    # By a name that no digest sees: tables, which share helpers with figures, import this package
    # and don't depend on how figures look; every renderer imports the style itself.
    importlib.import_module(f"{__name__}.style").save(figure, pdf_path, png_path)
