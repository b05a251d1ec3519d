"""Peaks of a bigWig, for cells without a file of peaks: blocks of signal, by their area.

After SEACR (Meers et al., Epigenetics & Chromatin 2019;12:42; reference 52), which was made for
assays with nearly no background: a block is a run of bases above a floor, its area the sum of their
values. What this does to DNase is measured in docs/called_peaks.md. Coordinates are 0-based
half-open.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from prismflow.data.bigwig import BigWig
from prismflow.errors import InputError
from prismflow.files import write_text

logger = logging.getLogger(__name__)

READ_BP = 1 << 22
NEAR_BEST = 0.95
MERGED_SHARE = 0.1
COLUMNS = ["chrom", "start", "end", "area", "maximum", "summit"]


def write_called_peaks(
    track: str | Path,
    out: str | Path,
    *,
    top_share: float | None,
    floor: float = 0.0,
    control: str | Path | None = None,
) -> None:
    """Call peaks of a bigWig and write them as narrowPeak: area as signalValue, no p or q value.

    Args:
        track: bigWig, values of at least 0.
        out: narrowPeak to write.
        top_share: share of the blocks that are peaks, those of the largest areas.
        floor: a block is a run of bases above it.
        control: bigWig that is treated as the track; the share follows from it.

    Raises:
        InputError: not one of ``top_share`` and ``control``, negative values, no block, or two
            assemblies.
    """
    if (top_share is None) == (control is None):
        raise InputError(
            f"{out}: expected one of top_share and control, found "
            f"{'neither' if control is None else 'both'}; give the share of blocks or the control."
        )
    with BigWig(track) as own:
        blocks = find_blocks(own, floor)
        if control is None:
            peaks = top_blocks(blocks, float(top_share or 0))
        else:
            with BigWig(control) as other:
                _check_assembly(own, other)
                peaks = above_control(blocks, find_blocks(other, floor), str(control))
    merged = merge_near(peaks)
    logger.info("%s: %d blocks, %d peaks, %d after merging", track, len(blocks), len(peaks),
                len(merged))  # fmt: skip
    write_text("".join(_lines(merged)), out)


def _lines(peaks: pd.DataFrame) -> Iterator[str]:
    for number, row in enumerate(peaks.itertuples(index=False), start=1):
        place = f"{row.chrom}\t{row.start}\t{row.end}\tpeak{number}\t0\t."
        yield f"{place}\t{row.area:.6g}\t-1\t-1\t{row.summit - row.start}\n"


def find_blocks(bigwig: BigWig, floor: float) -> pd.DataFrame:
    """Blocks of a track: chrom, start, end, area, maximum, summit (first base of the maximum).

    Raises:
        InputError: negative values, or no base above the floor.
    """
    found = []
    for chrom, length in bigwig.lengths.items():
        parts = []
        for at in range(0, length, READ_BP):
            values = bigwig.values(chrom, at, min(at + READ_BP, length))
            if np.isnan(values).all():
                continue
            values = np.nan_to_num(values)
            if values.min(initial=0) < 0:
                raise InputError(
                    f"{bigwig.path}: expected values of at least 0 to call peaks, found "
                    f"{values.min():g} on {chrom}; give a track of absolute values."
                )
            parts.append(blocks_of(values.astype(np.float64), floor, at))
        if parts:
            joined = join_touching(pd.concat(parts, ignore_index=True))
            found.append(joined.assign(chrom=chrom))
    blocks = pd.concat(found, ignore_index=True)[COLUMNS] if found else pd.DataFrame()
    if blocks.empty:
        raise InputError(
            f"{bigwig.path}: expected bases above {floor:g} to call peaks, found none; lower "
            "the floor or check the track."
        )
    return blocks


def blocks_of(values: np.ndarray, floor: float, offset: int = 0) -> pd.DataFrame:
    """Blocks of (n,) values whose first base is ``offset``: start, end, area, maximum, summit."""
    above = values > floor
    edges = np.flatnonzero(np.diff(above.astype(np.int8), prepend=0, append=0))
    starts, ends = edges[::2], edges[1::2]
    kept, at = values[above], np.flatnonzero(above)
    number = np.repeat(np.arange(len(starts)), ends - starts)
    first = np.cumsum(ends - starts) - (ends - starts)
    maximum = np.maximum.reduceat(kept, first) if len(first) else np.zeros(0)
    area = np.add.reduceat(kept, first) if len(first) else np.zeros(0)
    highest = np.flatnonzero(kept == maximum[number])
    summit = at[highest[np.unique(number[highest], return_index=True)[1]]]
    return pd.DataFrame({"start": starts + offset, "end": ends + offset, "area": area,
                         "maximum": maximum, "summit": summit + offset})  # fmt: skip


def join_touching(blocks: pd.DataFrame, within_bp: float = 0) -> pd.DataFrame:
    """Blocks of one chromosome, sorted, joined where at most this many bases part them."""
    if blocks.empty:
        return blocks
    gap = blocks["start"].to_numpy()[1:] - blocks["end"].to_numpy()[:-1]
    group = np.concatenate([[0], np.cumsum(gap > within_bp)])
    highest = blocks["maximum"].groupby(group).idxmax()
    grouped = blocks.groupby(group)
    return pd.DataFrame({
        "start": grouped["start"].first(), "end": grouped["end"].last(),
        "area": grouped["area"].sum(), "maximum": grouped["maximum"].max(),
        "summit": blocks["summit"].loc[highest].to_numpy(),
    }).reset_index(drop=True)  # fmt: skip


def merge_near(peaks: pd.DataFrame) -> pd.DataFrame:
    """Peaks joined where less than a tenth of their mean length parts them."""
    length = (peaks["end"] - peaks["start"]).mean()
    within = math.ceil(MERGED_SHARE * float(length)) - 1
    parts = [
        join_touching(own.reset_index(drop=True), within).assign(chrom=chrom)
        for chrom, own in peaks.groupby("chrom", sort=False)
    ]
    return pd.concat(parts, ignore_index=True)[COLUMNS]


def top_blocks(blocks: pd.DataFrame, share: float) -> pd.DataFrame:
    """The ceil(share n) blocks of the largest areas, in the order of the genome."""
    order = np.argsort(-blocks["area"].to_numpy(), kind="stable")
    return blocks.iloc[np.sort(order[: math.ceil(share * len(blocks))])]


def above_control(blocks: pd.DataFrame, control: pd.DataFrame, where: str) -> pd.DataFrame:
    """Blocks above the area t, without those that overlap a block of the control above t.

    Of the areas as t, the share track / (track + control) of the blocks above it is looked at; t is
    the lowest with 95 % of the highest share.

    Raises:
        InputError: no block is left.
    """
    t = control_threshold(blocks["area"].to_numpy(), control["area"].to_numpy())
    peaks, against = blocks[blocks["area"] > t], control[control["area"] > t]
    free = np.ones(len(peaks), bool)
    for chrom, own in against.groupby("chrom"):
        rows = np.flatnonzero(peaks["chrom"].to_numpy() == chrom)
        here = peaks.iloc[rows]
        following = np.searchsorted(own["end"].to_numpy(), here["start"].to_numpy(), side="right")
        starts = np.append(own["start"].to_numpy(), np.iinfo(np.int64).max)
        free[rows] = starts[following] >= here["end"].to_numpy()
    if not free.any():
        raise InputError(
            f"{where}: expected a control that leaves blocks of the track, found all "
            f"{len(peaks)} above its area {t:g} covered by the control's; is it the track itself? "
            "Give a control, or top_share."
        )
    n = len(peaks), len(against)
    logger.info("area %g: %d blocks, %d of the control, share %.3f", t, *n, n[0] / max(1, sum(n)))
    return peaks[free]


def control_threshold(areas: np.ndarray, control: np.ndarray) -> float:
    """The lowest area, of all, above which the track's share is 95 % of the highest share."""
    tried = np.unique(np.concatenate([[0.0], areas, control]))
    own = len(areas) - np.searchsorted(np.sort(areas), tried, side="right")
    other = len(control) - np.searchsorted(np.sort(control), tried, side="right")
    share = own / np.maximum(own + other, 1)
    return float(tried[np.flatnonzero(share >= NEAR_BEST * share.max())[0]])


def _check_assembly(own: BigWig, other: BigWig) -> None:
    shared = own.lengths.keys() & other.lengths.keys()
    differing = sorted(name for name in shared if own.lengths[name] != other.lengths[name])
    if differing or not shared:
        found = differing[0] if differing else "no chromosome in common"
        raise InputError(
            f"{other.path}: expected a control of the assembly of {own.path}, found "
            f"{found + ' of another length' if differing else found}; use files of one assembly."
        )
