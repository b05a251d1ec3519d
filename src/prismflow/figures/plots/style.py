"""One look for all figures: sizes, fonts, colours of models, labels, notes, saving.

Sizes are those of a two-column page at print: 3.35 in and 7.0 in wide, no text below 6.5 pt.
"""

from __future__ import annotations

import functools
import os
import textwrap
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from prismflow.figures.plots import room
from prismflow.files import atomic_path
from prismflow.labels import MODEL_LABEL, base_model, model_label

COLUMN_WIDTH = 3.35
FULL_WIDTH = 7.0
FONT_SIZE = 7.0
SMALL_SIZE = 6.5
PNG_DPI = 300
INK = "#222222"
MUTED = "#5f5f5f"
FAINT = "#d9d9d9"
NOTE_LINE_IN = 0.125
SMALL_CHAR_IN = 0.0495
CHAR_IN = 0.057

RC: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": FONT_SIZE,
    "mathtext.fontset": "dejavusans",
    "axes.titlesize": FONT_SIZE,
    "axes.titleweight": "bold",
    "axes.titlepad": 4,
    "axes.labelsize": FONT_SIZE,
    "axes.labelpad": 2.5,
    "axes.labelcolor": INK,
    "axes.edgecolor": "#4d4d4d",
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "xtick.labelsize": SMALL_SIZE,
    "ytick.labelsize": SMALL_SIZE,
    "xtick.color": "#4d4d4d",
    "ytick.color": "#4d4d4d",
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.minor.width": 0.4,
    "ytick.minor.width": 0.4,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "xtick.minor.size": 1.5,
    "ytick.minor.size": 1.5,
    "xtick.major.pad": 2,
    "ytick.major.pad": 2,
    "legend.fontsize": SMALL_SIZE,
    "legend.frameon": False,
    "text.color": INK,
    "text.parse_math": False,
    "lines.linewidth": 1.1,
    "lines.solid_capstyle": "butt",
    "grid.color": "#ececec",
    "grid.linewidth": 0.5,
    "image.interpolation": "nearest",
    "image.cmap": "cividis",
    "pdf.fonttype": 42,
    "ps.fonttype": 42,
    "savefig.dpi": PNG_DPI,
    "figure.dpi": PNG_DPI,
}
_NOT_LOOK = ("backend", "interactive", "toolbar", "timezone", "tk.", "webagg.", "savefig.directory",
             "date.", "docstring.", "figure.max_open_warning", "figure.raise_window",
             "keymap.")  # fmt: skip
_RC: Any = {
    **{
        key: mpl.rcParamsDefault[key]
        for key in mpl.rcParamsDefault
        if not key.startswith(_NOT_LOOK)
    },
    **RC,
}


@dataclass(frozen=True)
class ModelStyle:
    """Colour, marker and default label of an architecture."""

    colour: str
    marker: str
    label: str


_LOOK: dict[str, tuple[str, str]] = {
    "gene_features": ("#7f7f7f", "s"),
    "kmer_ridge": ("#999933", "p"),
    "gbm": ("#aa3377", "D"),
    "cnn": ("#cc79a7", "v"),
    "isegnet": ("#b2abd2", "d"),
    "enformer": ("#661100", "^"),
    "hyena": ("#44aa99", "<"),
    "mamba": ("#332288", ">"),
    "caduceus": ("#56b4e9", "o"),
    "caduceus_signals": ("#0072b2", "s"),
    "epinformer": ("#e69f00", "P"),
    "peak_mask": ("#8a8a2b", "X"),
    "seq2exp_hard": ("#005a43", "D"),
    "seq2exp_soft": ("#009e73", "^"),
    "infer": ("#a63603", "h"),
    "prism": ("#d55e00", "o"),
}
MODEL_STYLE: dict[str, ModelStyle] = {
    name: ModelStyle(colour, marker, MODEL_LABEL[name]) for name, (colour, marker) in _LOOK.items()
}
"""Keyed by architecture; a model ``prism_n4`` takes the style of its longest prefix."""

_RESERVE = ("#6a51a3", "#b15928", "#1b7837", "#c51b7d", "#01665e", "#8c6bb1", "#4d4d4d", "#a6761d")

_P = ParamSpec("_P")
_R = TypeVar("_R")


def styled(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Run a drawing function under this style, whatever the user's matplotlib settings are."""

    @functools.wraps(function)
    def wrapper(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        with mpl.rc_context(_RC):
            return function(*args, **kwargs)

    return wrapper


def model_style(model: str, context: Mapping[str, Any] | None = None) -> ModelStyle:
    """Colour and marker of a model: the same in every figure, a fixed fallback if unknown."""
    base = base_model(model, context)
    label = model_label(model, context)
    if base is None:
        colour = _RESERVE[zlib.crc32(model.encode("utf-8")) % len(_RESERVE)]
        return ModelStyle(colour, "h", label)
    return ModelStyle(MODEL_STYLE[base].colour, MODEL_STYLE[base].marker, label)


def wrap(label: str, width: int) -> str:
    """Break a long label into at most two lines, the second one cut with an ellipsis."""
    lines = textwrap.wrap(label, width, break_long_words=True) or [label]
    if len(lines) > 2:
        lines = [lines[0], textwrap.shorten(" ".join(lines[1:]), width - 1, placeholder="") or
                 lines[1][: width - 1]]  # fmt: skip
        lines[1] = lines[1][: width - 1].rstrip() + "…"
    return "\n".join(lines)


def spread(positions: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Move label positions apart to at least ``gap``, keeping their order, within [low, high]."""
    order = sorted(range(len(positions)), key=lambda index: (positions[index], index))
    gap = min(gap, (high - low) / max(1, len(positions) - 1))
    # Blocks of labels that touch: the sum of what each would have as its block's first, and how
    # many they are. A block stands at its mean; blocks that meet become one.
    blocks: list[tuple[float, int]] = []
    for rank, index in enumerate(order):
        total, count = positions[index] - rank * gap, 1
        while blocks and blocks[-1][0] / blocks[-1][1] > total / count:
            more = blocks.pop()
            total, count = total + more[0], count + more[1]
        blocks.append((total, count))
    first = [total / count for total, count in blocks for _ in range(count)]
    last = high - (len(positions) - 1) * gap
    result = [0.0] * len(positions)
    for rank, (index, value) in enumerate(zip(order, first, strict=True)):
        result[index] = min(max(value, low), last) + rank * gap
    return result


def new_figure(width: float, height: float, automatic: bool = True) -> Figure:
    """An empty figure in inches; no pyplot state is involved.

    With ``automatic`` the axes are laid out around their labels; otherwise the caller places them.
    """
    if not automatic:
        return Figure(figsize=(width, height))
    engine = ConstrainedLayoutEngine(w_pad=0.03, h_pad=0.03, wspace=0.02, hspace=0.02)
    return Figure(figsize=(width, height), layout=engine)


def finish(figure: Figure, notes: Sequence[str], context: Mapping[str, Any]) -> Figure:
    """Write notes (n, interval, what is missing) below the panels and mark simulated data.

    The figure grows by the height of the notes, so that the panels keep their size.
    """
    width, height = figure.get_size_inches()
    simulated = bool(context.get("simulated"))
    characters = int((width - 0.12) / SMALL_CHAR_IN)
    first = "simulated data" if simulated else ""
    text = " ".join(note for note in notes if note)
    # The caption beside the figure repeats them.
    figure.set_label(text)
    lines = _note_lines(text, characters, first)
    below = NOTE_LINE_IN * len(lines) + (0.05 if lines else 0.0)
    total = height + below
    figure.set_size_inches(width, total)
    engine = figure.get_layout_engine()
    if isinstance(engine, ConstrainedLayoutEngine):
        engine.set(rect=(0, below / total, 1, 1 - below / total))
    else:
        for axes in figure.axes:
            left, bottom, across, up = axes.get_position(original=True).bounds
            axes.set_position(
                (left, (bottom * height + below) / total, across, up * height / total)
            )
    for number, line in enumerate(lines):
        y = (0.03 + NOTE_LINE_IN * (len(lines) - 1 - number)) / total
        figure.text(0.06 / width, y, line, fontsize=SMALL_SIZE, color=MUTED, va="bottom")
    if simulated:
        figure.text(1 - 0.06 / width, 0.03 / total, first, fontsize=SMALL_SIZE, color="#a01010",
                    ha="right", va="bottom", style="italic")  # fmt: skip
    return figure


def _note_lines(text: str, characters: int, corner: str) -> list[str]:
    lines = textwrap.wrap(text, characters)
    if corner and (not lines or len(lines[-1]) > characters - len(corner) - 3):
        lines.append("")
    return lines


@styled
def arrange(figure: Figure) -> None:
    """Lay the axes out around their labels once and keep them there, equal for every format."""
    figure.set_dpi(PNG_DPI)
    room.plain_numbers(figure)
    figure.draw_without_rendering()
    if room.narrow_labels(figure):
        figure.draw_without_rendering()
    figure.set_layout_engine("none")


def save(
    figure: Figure, pdf_path: str | os.PathLike[str], png_path: str | os.PathLike[str]
) -> None:
    """See :func:`prismflow.figures.plots.save`."""
    arrange(figure)
    with mpl.rc_context(_RC):
        nothing = {"CreationDate": None, "Creator": None, "Producer": None}
        with atomic_path(pdf_path) as temporary:
            figure.savefig(temporary, format="pdf", metadata=nothing)
        with atomic_path(png_path) as temporary:
            figure.savefig(temporary, format="png", dpi=PNG_DPI, metadata={"Software": None})
