"""TSS moved to measured places of transcription starts: CAGE peaks or a BED of one's own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from prismflow.data.counts import Count
from prismflow.data.windows import read_bed
from prismflow.errors import InputError
from prismflow.rows import read_text

REACH_BP = 1000
"""A place further away than this belongs to another promoter."""


def moved_to_bed(
    genes: pd.DataFrame,
    path: str | Path,
    aliases: Mapping[str, str] | None = None,
    lines: Count | None = None,
) -> tuple[pd.DataFrame, dict[str, int]]:
    """Genes with their TSS at the middle of the nearest place on their strand.

    Args:
        genes: chrom, tss (BED bounds), strand.
        path: BED, 0-based half-open; a place without a strand (column 6) serves both.
        aliases: chromosome in the BED -> in the table.
        lines: is given the lines of the BED and those that are no place.

    Returns:
        The genes, those without a place within :data:`REACH_BP` as they were, and counts.

    Raises:
        InputError: no BED, or no gene has a place.
    """
    places = read_bed(path, aliases, lines)
    places["strand"] = _strands(Path(path), len(places))
    middles = (places["start"] + places["end"] - 1) // 2
    moved, distances = genes.copy(), []
    for strand in ("+", "-"):
        own = places["strand"].isin([strand, "."])
        for chrom, rows in genes[genes["strand"] == strand].groupby("chrom"):
            at = np.sort(middles[own & (places["chrom"] == chrom)].to_numpy())
            if not at.size:
                continue
            # The first transcribed base: tss on +, tss - 1 on -.
            first = rows["tss"].to_numpy() - (strand == "-")
            right = np.searchsorted(at, first).clip(0, at.size - 1)
            left = (right - 1).clip(0)
            near = np.where(abs(at[left] - first) <= abs(at[right] - first), at[left], at[right])
            close = abs(near - first) <= REACH_BP
            moved.loc[rows.index[close], "tss"] = near[close] + (strand == "-")
            distances += (near - first)[close].tolist()
    if not distances:
        raise InputError(
            f"{path}: expected places within {REACH_BP} bp of the genes' TSS, found none for "
            f"{len(genes)} genes; is it of the same assembly, with the same chromosome names?"
        )
    counts = {
        "moved to the nearest place": sum(d != 0 for d in distances),
        "at a place already": sum(d == 0 for d in distances),
        f"without a place within {REACH_BP} bp": len(genes) - len(distances),
    }
    return moved, {what: count for what, count in counts.items() if count}


def _strands(path: Path, n_places: int) -> list[str]:
    lines = [
        line.split("\t")
        for line in read_text(path, "a BED file").split("\n")
        if line.strip() and not line.startswith(("#", "track", "browser"))
    ]
    found = [fields[5].strip() if len(fields) > 5 else "." for fields in lines]
    return found if len(found) == n_places else ["."] * n_places
