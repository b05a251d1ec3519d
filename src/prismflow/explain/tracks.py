"""BigWigs of numbers per base of windows, which may overlap and reach over chromosome ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from prismflow.data.chromosomes import by_chromosome
from prismflow.files import atomic_path


@dataclass(frozen=True, eq=False)
class BaseTrack:
    """Values of windows.

    Attributes:
        places: columns chrom, tss, start and end; 0-based half-open, forward strand.
        values: (n, L), one row per window, in the order of positions; NaN for no value.
    """

    places: pd.DataFrame
    values: np.ndarray


def write_track(track: BaseTrack, sizes: Mapping[str, int], path: str | Path) -> None:
    """Write a bigWig; bases outside the chromosome and NaN are left out.

    A bigWig holds one value per base: where windows overlap, that of the gene with the nearer TSS
    (of two equally near ones the first).

    Args:
        sizes: chromosome -> length; those of the windows come first to last in this order.
    """
    import pyBigWig

    rows_of = dict(by_chromosome(track.places["chrom"]))
    with atomic_path(path) as temporary:
        out = pyBigWig.open(str(temporary), "w")
        out.addHeader(list(sizes.items()), maxZooms=4)
        for chrom in sizes:
            if chrom in rows_of:
                positions, values = _resolved(track, rows_of[chrom], sizes[chrom])
                if len(positions):
                    out.addEntries(
                        [chrom] * len(positions), positions.tolist(),
                        ends=(positions + 1).tolist(), values=values.astype(float).tolist(),
                    )  # fmt: skip
        out.close()


def _resolved(track: BaseTrack, rows: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions in order, each once, and their values."""
    starts = track.places["start"].to_numpy()[rows]
    tss = track.places["tss"].to_numpy()[rows]
    positions = starts[:, None] + np.arange(track.values.shape[1])
    values = track.values[rows]
    # Base p lies 2p + 1 half bases from the origin, a TSS stands between two bases.
    distance = np.abs(2 * positions + 1 - 2 * tss[:, None])
    order = np.lexsort((np.repeat(np.arange(len(rows)), positions.shape[1]), distance.ravel(),
                        positions.ravel()))  # fmt: skip
    flat, kept = positions.ravel()[order], values.ravel()[order]
    right = (flat >= 0) & (flat < length) & np.isfinite(kept)
    flat, kept = flat[right], kept[right]
    first = np.append(True, flat[1:] != flat[:-1]) if len(flat) else np.array([], bool)
    return flat[first], kept[first]
