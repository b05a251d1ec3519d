"""How do peaks called from a bigWig agree with those of MACS2? Accessibility of K562, chr22.

    python benchmarks/called_peaks.py REALDATA

REALDATA is the folder of real chr22 files that docs/real_chr22.md names. Precision: share of called
bases in MACS2 peaks; recall: share of MACS2's bases in called peaks; Jaccard: bases in both over
bases in one. The same for whole peaks: those that touch one of the other.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyBigWig

from prismflow.data.bigwig import BigWig
from prismflow.data.called_peaks import above_control, find_blocks, merge_near, top_blocks

LENGTH = 50_818_468
SHARES = (0.01, 0.05, 0.1)
FLOORS = (0.0, 2.0, 5.0, 10.0)


def mask_of(peaks: pd.DataFrame) -> np.ndarray:
    """bool (length of chr22,): inside a peak."""
    change = np.zeros(LENGTH + 1, np.int32)
    np.add.at(change, peaks[1].to_numpy(), 1)
    np.add.at(change, peaks[2].to_numpy(), -1)
    return np.cumsum(change[:-1]) > 0


def touched(peaks: pd.DataFrame, mask: np.ndarray) -> float:
    """Share of peaks with a base in the mask."""
    total = np.concatenate([[0], np.cumsum(mask)])
    return float((total[peaks[2]] > total[peaks[1]]).mean())


def row(name: str, called: pd.DataFrame, macs: pd.DataFrame) -> str:
    """One line of the table."""
    own, other = mask_of(called), mask_of(macs)
    both = int((own & other).sum())
    length = float((called[2] - called[1]).median())
    found = (both / own.sum(), both / other.sum(), both / int((own | other).sum()),
             touched(called, other), touched(macs, own))  # fmt: skip
    numbers = " | ".join(f"{value:.3f}" for value in found)
    return f"| {name} | {len(called):,} | {length:,.0f} | {numbers} |"


def copied(source: Path, folder: Path) -> Path:
    """The file with chr22 alone: the others that it names hold nothing and take time to read."""
    out = folder / source.name
    with pyBigWig.open(str(source)) as whole, pyBigWig.open(str(out), "w") as copy:
        copy.addHeader([("chr22", LENGTH)])
        starts, ends, values = zip(*whole.intervals("chr22"), strict=True)
        copy.addEntries(["chr22"] * len(starts), list(starts), ends=list(ends), values=list(values))
    return out


def called(track_path: Path, control_path: Path) -> Iterator[tuple[str, pd.DataFrame]]:
    """Called peaks by the setting that gave them."""
    with BigWig(track_path) as track, BigWig(control_path) as control:
        for floor in FLOORS:
            blocks = find_blocks(track, floor)
            for share in SHARES:
                yield f"top {share:g}, floor {floor:g}", merge_near(top_blocks(blocks, share))
        found = above_control(find_blocks(track, 0.0), find_blocks(control, 0.0), "GM12878")
        yield "against GM12878", merge_near(found)


def main(folder: Path) -> None:
    """Print a table per set of MACS2 peaks."""
    macs = pd.read_csv(folder / "elements/K562_DHS_macs2_peaks.narrowPeak", sep="\t", header=None)
    # One "peak" covers the 10.7 Mb without sequence at the chromosome's start.
    macs = macs[(macs[0] == "chr22") & (macs[2] - macs[1] < 100_000)]
    names = [f"signals/{cell}_accessibility.chr22.bw" for cell in ("K562", "GM12878")]
    with tempfile.TemporaryDirectory() as work:
        peaks = list(called(*(copied(folder / name, Path(work)) for name in names)))
    for label, wanted in {"all": macs, "p < 1e-5": macs[macs[7] >= 5]}.items():
        n, bases = len(wanted), int(mask_of(wanted).sum())
        print(f"\nMACS2, {label}: {n:,} peaks, {bases:,} bases")
        for name, found in peaks:
            places = pd.DataFrame({1: found["start"], 2: found["end"]})
            print(row(name, places, wanted), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
