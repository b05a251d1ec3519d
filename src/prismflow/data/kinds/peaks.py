"""Peaks: a mask per base from a BED, a narrowPeak or a bigWig.

Coordinates are 0-based half-open. A mask is 1 inside a peak, and 0 outside the chromosome.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from prismflow.data.bigwig import BigWig
from prismflow.data.bigwig_check import verify_bigwig
from prismflow.data.chromosomes import Genes, by_chromosome, match_chromosomes
from prismflow.data.content import BIGWIG, check_promise, peak_format
from prismflow.data.counts import Count
from prismflow.data.kinds import AtTss, Kind, TrackSettings, absent_policy
from prismflow.data.kinds.signal import CORE_BP, names_with_values, signal_windows
from prismflow.data.store_writer import RowFile
from prismflow.data.windows import read_bed, starts_with
from prismflow.errors import InputError


def is_bigwig_name(path: str | Path) -> bool:
    """Whether a file is a bigWig by its content; its name says nothing."""
    return Path(path).is_file() and starts_with(path, *BIGWIG)


def read_peaks(
    path: str | Path,
    genes: Genes,
    absent_chromosomes: str = "error",
    count: Count | None = None,
) -> pd.DataFrame:
    """Peaks of a BED or narrowPeak: chrom, start, end; they must lie on the genes' chromosomes.

    A chromosome with genes and without any peak is absent from the file, as it is from a bigWig.

    Args:
        path: the file.
        genes: N genes.
        absent_chromosomes: ``error`` or ``missing``.
        count: lines are counted in it, if it is given.

    Raises:
        InputError: unreadable file, names that differ, a chromosome without peaks under ``error``,
            or peaks that begin behind a chromosome's end; one that only reaches over it was
            widened, and the rest of it is cut off.
    """
    regions = read_bed(path, genes.aliases, count)
    found = regions["chrom"].unique()
    match_chromosomes(genes.source, genes.counts(), path, found, None, absent_chromosomes)
    length = regions["chrom"].map(dict(genes.chrom_lengths))
    behind = regions[regions["start"] >= length]
    if len(behind):
        first = behind.iloc[0]
        raise InputError(
            f"{path}: {len(behind)} of {len(regions)} peaks begin behind their chromosome "
            f"({', '.join(behind['chrom'].unique()[:6])}), the first at {first['chrom']}:"
            f"{first['start']}-{first['end']}, where {genes.lengths_source} has "
            f"{genes.chrom_lengths[first['chrom']]} bases: they are of another assembly; use files "
            "of one assembly."
        )
    return regions


def peak_windows(
    path: str | Path, genes: Genes, window_bp: int, *, absent_chromosomes: str = "error"
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Windows of a peak mask from a BED, a narrowPeak or a bigWig (values > 0).

    Yields:
        Rows of the genes (k,) and uint8 (k, w): 1 inside a peak.

    Raises:
        InputError: unreadable file, or chromosome names that differ.
    """
    if is_bigwig_name(path):
        with BigWig(path) as bigwig:
            for rows, values in signal_windows(
                bigwig, genes, window_bp, absent_chromosomes=absent_chromosomes
            ):
                yield rows, (values > 0).astype(np.uint8)
        return
    regions = read_peaks(path, genes, absent_chromosomes)
    for chrom, rows in by_chromosome(genes.chroms):
        own = regions[regions["chrom"] == chrom]
        starts, ends = _merged(own["start"].to_numpy(), own["end"].to_numpy())
        for row in rows:
            yield np.array([row]), _mask(starts, ends, genes.tss[row] - window_bp // 2, window_bp)


def _merged(starts: np.ndarray, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    order = np.argsort(starts, kind="stable")
    starts, ends = starts[order], np.maximum.accumulate(ends[order])
    if not len(starts):
        return starts, ends
    first = np.concatenate([[True], starts[1:] > ends[:-1]])
    return starts[first], ends[np.concatenate([first[1:], [True]])]


def _mask(starts: np.ndarray, ends: np.ndarray, window_start: int, window_bp: int) -> np.ndarray:
    mask = np.zeros((1, window_bp), dtype=np.uint8)
    first = np.searchsorted(ends, window_start, side="right")
    last = np.searchsorted(starts, window_start + window_bp, side="left")
    for at in range(first, last):
        mask[0, max(starts[at] - window_start, 0) : max(ends[at] - window_start, 0)] = 1
    return mask


def _peak_shares(path: str | Path, genes: Genes) -> tuple[float, float]:
    """Share of TSS +- 500 with a peak, and of places moved by parts of the chromosome."""
    peaks = read_bed(path, genes.aliases)
    n_shifts, hits = 8, np.zeros((len(genes.tss), 9))
    for chrom, rows in by_chromosome(genes.chroms):
        own = peaks[peaks["chrom"] == chrom]
        starts, ends = np.sort(own["start"].to_numpy()), np.sort(own["end"].to_numpy())
        length = genes.chrom_lengths[chrom]
        for shift in range(n_shifts + 1):
            at = (genes.tss[rows] + shift * length // (n_shifts + 1)) % length
            begun = np.searchsorted(starts, at + CORE_BP // 2)
            ended = np.searchsorted(ends, at - CORE_BP // 2, side="right")
            hits[rows, shift] = begun > ended
    return float(hits[:, 0].mean()), float(hits[:, 1:].mean())


class Peaks(Kind):
    """Peaks, kept per base as uint8."""

    def inspect(self, track: TrackSettings, genes: Genes, window_bp: int) -> dict[str, Any]:
        """Number of peaks, and of genes with one at TSS +- 500."""
        path = Path(track["path"])
        found = peak_format(path)
        check_promise(path, str(track.get("format") or ""), found)
        if is_bigwig_name(path):
            verify_bigwig(path)
        absent = absent_policy(track)
        masks = list(peak_windows(path, genes, CORE_BP, absent_chromosomes=absent))
        with_peak = sum(int(mask.any(axis=1).sum()) for _, mask in masks)
        if is_bigwig_name(path):
            with BigWig(path) as bigwig:
                chroms = set(names_with_values(bigwig, genes, absent))
            return {
                "n_peaks": None, "n_genes_with_peak": with_peak,
                "n_genes_without_chromosome": genes.n_outside(chroms), "counts": [],
            }  # fmt: skip
        lines = Count("lines")
        peaks = read_peaks(path, genes, absent, lines)
        own = peaks["chrom"].isin(set(genes.chroms))
        lines.skip("peak on a chromosome without genes", int((~own).sum()))
        return {
            "n_peaks": len(peaks),
            "n_genes_with_peak": with_peak,
            "n_genes_without_chromosome": genes.n_outside(set(peaks["chrom"])),
            "counts": [lines.plain(int(own.sum()))],
        }

    def at_tss(self, track: TrackSettings, genes: Genes, window_bp: int) -> AtTss:
        """Shares of genes and of other places with a peak; none of a bigWig."""
        path = track["path"]
        return AtTss() if is_bigwig_name(path) else AtTss(shares=_peak_shares(path, genes))

    def write(
        self, file: Path, track: TrackSettings, genes: Genes, window_bp: int, dtype: str
    ) -> dict[str, Any]:
        """Masks of all genes."""
        with RowFile(file, (len(genes.tss), window_bp), "uint8") as out:
            for rows, mask in peak_windows(
                track["path"], genes, window_bp, absent_chromosomes=absent_policy(track)
            ):
                out.write(rows, mask)
        return {"dtype": "uint8"}


KIND = Peaks()
