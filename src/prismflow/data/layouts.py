"""How a store keeps a modality's values, and how they are read: per base, as a mask, per bin.

A layout is told from the modality's entry of ``store.json`` alone. Kinds write one of these; they
are kept apart from the reading of files, so that training doesn't depend on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from prismflow.data.contact_bins import bins_per_window, expand_bins
from prismflow.errors import InputError

#: A modality's entry of ``store.json``.
Entry = Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class StoredWindows:
    """The windows that a store keeps, 0-based half-open.

    Attributes:
        window_bp: their length L.
        starts: (N,) first base, may be negative.
        pads: (N, 2) bases before and behind the chromosome.
    """

    window_bp: int
    starts: np.ndarray
    pads: np.ndarray


class PerBase:
    """A value per base.

    Attributes:
        is_input: whether models read it as a channel.
        is_binned: whether it has a value per bin instead of one per base.
        default_transform: what the paper's released code does (paper, section on signals).
    """

    is_input: ClassVar[bool] = True
    is_binned: ClassVar[bool] = False
    default_transform: ClassVar[str] = "raw"

    def width(self, where: Path, name: str, entry: Entry, window_bp: int) -> int:
        """Columns of the stored array; ``where`` and ``name`` are for messages.

        Raises:
            InputError: the entry contradicts itself.
        """
        return window_bp

    def read(
        self,
        stored: np.ndarray,
        entry: Entry,
        rows: np.ndarray,
        windows: StoredWindows,
        window_bp: int,
    ) -> np.ndarray:
        """Raw values float32 (n, w) of centre crops of ``window_bp`` = w bases.

        Args:
            stored: the array of the store, a row per gene.
            entry: the modality's.
            rows: (n,) rows of the store.
            windows: all windows of the store.
            window_bp: an even number, not above that of the store.
        """
        start = (windows.window_bp - window_bp) // 2
        return np.asarray(stored[rows, start : start + window_bp], dtype=np.float32)


class Mask(PerBase):
    """Yes or no per base, which no model reads as a channel."""

    is_input = False


class PerBin(PerBase):
    """A value per bin of ``resolution_bp``; base p has bin ``floor(p / resolution_bp)``."""

    is_binned = True
    default_transform = "log10p1"

    def width(self, where: Path, name: str, entry: Entry, window_bp: int) -> int:
        """Bins that a window can touch, which must be ``n_bins``."""
        expected = bins_per_window(window_bp, entry["resolution_bp"])
        if entry["n_bins"] != expected:
            raise InputError(
                f"{where}: {name} needs {expected} bins of {entry['resolution_bp']} bp for "
                f"windows of {window_bp} bp, found n_bins {entry['n_bins']}."
            )
        return expected

    def read(
        self,
        stored: np.ndarray,
        entry: Entry,
        rows: np.ndarray,
        windows: StoredWindows,
        window_bp: int,
    ) -> np.ndarray:
        """Bins expanded to bases; 0 outside the chromosome."""
        return expand_bins(
            np.asarray(stored[rows]),
            windows.starts[rows],
            windows.pads[rows],
            windows.window_bp,
            window_bp,
            int(entry["resolution_bp"]),
            double_padding=bool(entry.get("double_padding", False)),
        )


def layout_of(entry: Entry) -> PerBase:
    """Layout of a modality: bins where it has ``n_bins``, a mask of uint8, else values per base."""
    if "n_bins" in entry:
        return PerBin()
    return Mask() if entry["dtype"] == "uint8" else PerBase()
