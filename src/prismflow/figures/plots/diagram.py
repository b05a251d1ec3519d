"""Boxes, circles and arrows in inches, for the figures that are drawn from code."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch

from prismflow.figures.plots import style

LINE = 0.9


def canvas(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure whose data units are inches, without axes."""
    figure = style.new_figure(width, height, automatic=False)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, width)
    axes.set_ylim(0, height)
    axes.set_aspect("equal")
    axes.axis("off")
    return figure, axes


def box(
    axes: Axes,
    centre: tuple[float, float],
    size: tuple[float, float],
    text: str,
    face: str = "#ffffff",
    edge: str = style.INK,
    bold: bool = False,
) -> None:
    """A box with rounded corners and its text in the middle."""
    (x, y), (width, height) = centre, size
    axes.add_patch(
        FancyBboxPatch(
            (x - width / 2, y - height / 2), width, height, facecolor=face, edgecolor=edge,
            boxstyle="round,pad=0,rounding_size=0.05", linewidth=LINE, zorder=2,
        )
    )  # fmt: skip
    axes.text(x, y, text, ha="center", va="center", zorder=3, linespacing=1.25,
              fontweight="bold" if bold else "normal")  # fmt: skip


def node(
    axes: Axes, centre: tuple[float, float], text: str, colour: str, observed: bool = True
) -> None:
    """A circle of a causal graph; unobserved ones are dashed."""
    line = "-" if observed else (0, (3, 2))
    axes.add_patch(
        Circle(centre, 0.19, facecolor="#ffffff", edgecolor=colour, linewidth=1.3, linestyle=line,
               zorder=2)
    )  # fmt: skip
    axes.text(*centre, text, ha="center", va="center", fontweight="bold", color=colour, zorder=3)


def arrow(
    axes: Axes,
    start: tuple[float, float],
    end: tuple[float, float],
    colour: str = style.INK,
    shrink: float = 0.0,
    dashed: bool = False,
    bend: float = 0.0,
) -> None:
    """An arrow; ``shrink`` inches are left free at both ends, for circles."""
    axes.add_patch(
        FancyArrowPatch(
            start, end, arrowstyle="-|>", mutation_scale=7, color=colour, linewidth=LINE,
            shrinkA=72 * shrink, shrinkB=72 * shrink, zorder=1,
            linestyle=(0, (2, 2)) if dashed else "-", connectionstyle=f"arc3,rad={bend}",
        )
    )  # fmt: skip


def route(axes: Axes, points: Sequence[tuple[float, float]], colour: str = style.INK) -> None:
    """A line around corners that ends in an arrow."""
    for one, two in itertools.pairwise(points[:-1]):
        axes.plot([one[0], two[0]], [one[1], two[1]], color=colour, linewidth=LINE, zorder=1,
                  solid_capstyle="projecting")  # fmt: skip
    arrow(axes, points[-2], points[-1], colour)
