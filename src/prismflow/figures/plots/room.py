"""Room for what is written at axes: numbers of any size, and names wider than their panel."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Iterator, Sequence
from typing import TypeVar

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import AutoLocator, FuncFormatter, MaxNLocator, ScalarFormatter

MAX_LINES = 3
GAP = 8.0
_SMALL, _LARGE = 1e-3, 1e5
_T = TypeVar("_T")


def bands(items: Sequence[_T], most: int) -> list[list[_T]]:
    """Items in rows of at most ``most``, the rows as equally long as can be."""
    rows = -(-len(items) // most)
    across = -(-len(items) // max(rows, 1))
    return [list(items[start : start + across]) for start in range(0, len(items), max(across, 1))]


def number(value: float, _: int | None = None) -> str:
    """A tick's number in few characters: ``1.2e8``, ``−3e-7``."""
    text = f"{value:.3g}".replace("e+0", "e").replace("e-0", "e-").replace("e+", "e")
    return text.replace("-", "−")


def plain_numbers(figure: Figure) -> None:
    """Very large and very small numbers stand at their ticks, not as a factor beside the axis."""
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            largest = max(abs(end) for end in axis.get_view_interval())
            ordinary = _SMALL <= largest < _LARGE
            if ordinary or not isinstance(axis.get_major_formatter(), ScalarFormatter):
                continue
            axis.set_major_formatter(FuncFormatter(number))
            if axis is axes.xaxis:
                axes.locator_params(axis="x", nbins=3)


def narrow_labels(figure: Figure) -> bool:
    """Break titles and names of x axes that reach into a neighbour; whether any was changed."""
    changed = False
    for axes in figure.axes:
        changed |= _thin_ticks(axes)
        if axes.get_subplotspec() is None and len(figure.axes) == 1:
            continue
        for text, left, right in _written(figure, axes):
            box = text.get_window_extent()
            if box.x0 >= left and box.x1 <= right:
                continue
            centred = text.get_horizontalalignment() == "center"
            middle = (box.x0 + box.x1) / 2
            free = 2 * min(middle - left, right - middle) if centred else right - box.x0
            text.set_text(broken(text.get_text(), free / box.width))
            changed = True
    return changed


def _thin_ticks(axes: Axes) -> bool:
    """Fewer numbers below an axis whose numbers touch."""
    if type(axes.xaxis.get_major_locator()) not in (AutoLocator, MaxNLocator):
        return False
    low, high = sorted(axes.get_xlim())
    ticks = [tick for tick in axes.xaxis.get_major_ticks() if low <= tick.get_loc() <= high]
    boxes = [tick.label1.get_window_extent() for tick in ticks if tick.label1.get_text()]
    touch = any(b.x0 - a.x1 < GAP for a, b in itertools.pairwise(boxes))
    if touch:
        axes.xaxis.set_major_locator(MaxNLocator(2))
    return touch


def broken(words: str, share: float) -> str:
    """A text on lines of ``share`` of its widest line, at most three, the last one cut.

    Lines that are there already stay apart.
    """
    lines = words.split("\n")
    width = max(4, int(0.96 * share * max(map(len, lines))))
    found = [part for line in lines for part in textwrap.wrap(line, width) or [""]]
    if len(found) > MAX_LINES:
        found = [*found[: MAX_LINES - 1], found[MAX_LINES - 1][: width - 1].rstrip() + "…"]
    return "\n".join(found)


def _written(figure: Figure, axes: Axes) -> Iterator[tuple[Text, float, float]]:
    """Titles and x labels with the pixels between which they may stand."""
    own = axes.get_window_extent()
    others = [other.get_window_extent() for other in figure.axes if other is not axes]
    beside = [box for box in others if box.y0 < own.y1 and own.y0 < box.y1]
    before = max((box.x1 for box in beside if box.x1 <= own.x0 + 1), default=None)
    after = min((box.x0 for box in beside if box.x0 >= own.x1 - 1), default=None)
    end = figure.bbox.x1 - GAP / 2
    if axes.xaxis.label.get_text():
        left = GAP / 2 if before is None else (before + own.x0) / 2 + GAP / 2
        right = end if after is None else (own.x1 + after) / 2 - GAP / 2
        yield axes.xaxis.label, left, right
    for title in axes.findobj(Text, include_self=False):
        if title.get_text() and title.get_text() == axes.get_title(loc="left"):
            yield title, 0.0, end if after is None else after - GAP
