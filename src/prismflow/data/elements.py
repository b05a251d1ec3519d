"""Candidate enhancers of every gene: peaks, their activity, and their contact with the TSS.

Candidates are peaks resized around their summits, merged where they touch, without blacklisted
regions. Their activity is the geometric mean of two tracks and their contact the value of the
contact matrix between their bin and the bin of the TSS, as in the activity-by-contact model
(Fulco et al. 2019); EPInformer reads the nearest ones as tokens (paper, section on baselines).

Coordinates are 0-based half-open; the distance of an element is that of its centre to ``tss``.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from prismflow.data.bigwig import BigWig
from prismflow.data.chromosomes import Genes, by_chromosome
from prismflow.data.contacts import ContactFile, power_law_contact, rows_of_bins
from prismflow.data.content import data_lines, peak_format
from prismflow.data.counts import Count
from prismflow.data.kinds.peaks import is_bigwig_name, read_peaks
from prismflow.data.windows import read_bed, require_bedtools
from prismflow.errors import InputError

logger = logging.getLogger(__name__)

_READ_BP = 1 << 22


def _summits(path: Path, regions: pd.DataFrame) -> np.ndarray:
    """Summits of a narrowPeak (column 10, relative to the start); else the middles.

    The columns decide whether it is one, so that ``.bed.gz`` with summits is read as what it is.
    """
    middle = (regions["start"] + regions["end"]).to_numpy() // 2
    if regions.empty:
        return middle
    if peak_format(path) != "narrowpeak":
        return middle
    offset = np.array([int(fields[9]) for _, fields in data_lines(path)])
    return np.where(offset >= 0, regions["start"].to_numpy() + offset, middle)


def candidate_elements(
    path: str | Path,
    genes: Genes,
    *,
    width_bp: int = 500,
    blacklist: str | Path | None = None,
    absent_chromosomes: str = "error",
    count: Count | None = None,
) -> pd.DataFrame:
    """Candidates from peaks: resized around summits, blacklist removed, touching ones merged.

    Args:
        path: BED or narrowPeak.
        genes: whose chromosomes are kept; gives lengths and aliases.
        width_bp: width around a summit, clipped to the chromosome.
        blacklist: BED; candidates that overlap it are left out.
        absent_chromosomes: ``error`` or ``missing``, of the peaks.
        count: peaks are counted in it, if it is given; those merged into another are kept.

    Returns:
        chrom, start, end; sorted by chromosome (order of the lengths) and start.

    Raises:
        InputError: unreadable files, names of chromosomes that differ, or no bedtools.
    """
    require_bedtools()
    import pybedtools

    path = Path(path)
    if is_bigwig_name(path):
        raise InputError(
            f"{path}: candidate elements need peaks as BED or narrowPeak, found a bigWig."
        )
    regions = read_peaks(path, genes, absent_chromosomes)
    centre = _summits(path, regions)
    count = count if count is not None else Count("peaks")
    count.n_read += len(regions)
    kept = regions["chrom"].isin(set(genes.chroms)).to_numpy()
    chroms, centre = regions["chrom"].to_numpy()[kept], centre[kept]
    length = np.array([genes.chrom_lengths[chrom] for chrom in chroms], dtype=np.int64)
    start = np.clip(centre - width_bp // 2, 0, length)
    end = np.clip(centre - width_bp // 2 + width_bp, 0, length)
    table = pd.DataFrame({"chrom": chroms, "start": start, "end": end})
    table = table[table["start"] < table["end"]]
    n_resized = len(table)
    count.skip("on a chromosome without genes", int((~kept).sum()))
    count.skip("outside its chromosome", int(kept.sum()) - n_resized)
    if table.empty:
        return table.reset_index(drop=True)
    found = pybedtools.BedTool.from_dataframe(table.sort_values(["chrom", "start", "end"]))
    if blacklist is not None:
        bad = read_bed(blacklist, genes.aliases)
        if len(bad):
            found = found.intersect(pybedtools.BedTool.from_dataframe(bad), v=True)
            count.skip("in a blacklisted region", n_resized - found.count())
    merged = [(i.chrom, i.start, i.end) for i in found.merge()] if found.count() else []
    pybedtools.cleanup()
    rank = {chrom: number for number, chrom in enumerate(genes.chrom_lengths)}
    merged.sort(key=lambda row: (rank[row[0]], row[1]))
    logger.info("%s: %d peaks, %d candidate elements", path, n_resized, len(merged))
    return pd.DataFrame(merged, columns=["chrom", "start", "end"]).astype(
        {"start": np.int64, "end": np.int64}
    )


def region_means(
    path: str | Path,
    regions: pd.DataFrame,
    genes: Genes,
    absent_chromosomes: str = "error",
) -> np.ndarray:
    """Mean of a bigWig over regions (chrom, start, end inside chromosomes), float64 (E,).

    Missing bases count as 0. Reads blocks of a few Mb, so memory does not grow with the regions.

    Raises:
        InputError: the track can't be used with these genes.
    """
    result = np.zeros(len(regions))
    with BigWig(path) as bigwig:
        names = genes.names_in(path, bigwig.lengths, absent_chromosomes)
        for chrom, rows in by_chromosome(regions["chrom"].to_numpy()):
            if chrom not in names:
                continue
            starts = regions["start"].to_numpy()[rows]
            ends = regions["end"].to_numpy()[rows]
            order = np.argsort(starts, kind="stable")
            begin = 0
            while begin < len(order):
                low = int(starts[order[begin]])
                stop = int(np.searchsorted(starts[order], low + _READ_BP))
                own = order[begin:stop]
                high = int(ends[own].max())
                values = np.nan_to_num(bigwig.values(names[chrom], low, high)).astype(np.float64)
                total = np.concatenate([[0.0], np.cumsum(values)])
                means = (total[ends[own] - low] - total[starts[own] - low]) / (
                    ends[own] - starts[own]
                )
                result[rows[own]] = means
                begin = stop
    return result


def element_activity(
    regions: pd.DataFrame,
    tracks: Sequence[Mapping[str, Any]],
    genes: Genes,
) -> np.ndarray:
    """Geometric mean of the tracks' means in each region, float64 (E,).

    Raises:
        InputError: a track with a negative mean, or one that can't be read.
    """
    product = np.ones(len(regions))
    for track in tracks:
        means = region_means(
            track["path"], regions, genes, track.get("absent_chromosomes") or "error"
        )
        if (means < 0).any():
            raise InputError(
                f"{track['path']}: activity needs values >= 0, found a negative mean in "
                f"{int((means < 0).sum())} elements; use another track."
            )
        product *= means
    return product ** (1 / max(len(tracks), 1))


def nearest_elements(
    genes: Genes,
    elements: pd.DataFrame,
    *,
    n_nearest: int | None = 60,
    max_distance_bp: int = 100_000,
    promoter_bp: int = 1000,
) -> pd.DataFrame:
    """Candidates near each TSS, nearest first (ties: the one with the smaller start).

    Args:
        genes: N genes.
        elements: E rows chrom, start, end.
        n_nearest: most candidates per gene; None keeps all.
        max_distance_bp: largest distance of a centre.
        promoter_bp: candidates that overlap ``tss +- promoter_bp / 2`` are left out; 0 keeps all.

    Returns:
        gene (row), element (row), distance (bp, >= 0); sorted by gene and distance.
    """
    centre = (elements["start"].to_numpy() + elements["end"].to_numpy()) // 2
    parts: list[np.ndarray] = []
    near = {chrom: rows for chrom, rows in by_chromosome(elements["chrom"].to_numpy())}
    for chrom, gene_rows in by_chromosome(genes.chroms):
        own = near.get(chrom, np.zeros(0, dtype=np.int64))
        own = own[np.argsort(centre[own], kind="stable")]
        starts, ends = elements["start"].to_numpy()[own], elements["end"].to_numpy()[own]
        first = np.searchsorted(centre[own], genes.tss[gene_rows] - max_distance_bp)
        last = np.searchsorted(centre[own], genes.tss[gene_rows] + max_distance_bp, side="right")
        for gene, low, high in zip(gene_rows.tolist(), first, last, strict=True):
            tss = genes.tss[gene]
            at = np.arange(low, high)
            if promoter_bp:
                half = promoter_bp // 2
                at = at[(ends[at] <= tss - half) | (starts[at] >= tss + half)]
            distance = np.abs(centre[own[at]] - tss)
            order = np.argsort(distance, kind="stable")[:n_nearest]
            chosen = np.empty((len(order), 3), dtype=np.int64)
            chosen[:, 0], chosen[:, 1], chosen[:, 2] = gene, own[at[order]], distance[order]
            parts.append(chosen)
    found = np.concatenate(parts) if parts else np.zeros((0, 3), dtype=np.int64)
    found = found[np.argsort(found[:, 0], kind="stable")]
    return pd.DataFrame(found, columns=["gene", "element", "distance"])


def pair_contacts(
    pairs: pd.DataFrame,
    centre: np.ndarray,
    genes: Genes,
    track: Mapping[str, Any] | None,
) -> tuple[np.ndarray, int]:
    """Contact of each pair of a TSS and an element, float64 (P,), >= 0.

    Without a matrix it is the power law of the distance. With one, pairs without a record get the
    power law too, multiplied so that it agrees in sum with the recorded pairs.

    Args:
        pairs: gene, element, distance.
        centre: int (E,), centres of the elements.
        genes: N genes.
        track: path, resolution_bp, normalisation, absent_chromosomes; or None.

    Returns:
        The contacts, and how many of them are the power law's.

    Raises:
        InputError: the matrix can't be used with these genes.
    """
    distance = pairs["distance"].to_numpy(dtype=np.float64)
    expected = np.vectorize(power_law_contact, otypes=[np.float64])(distance)
    if track is None or not len(pairs):
        return expected, len(pairs)
    resolution = int(track["resolution_bp"])
    file = ContactFile.open(track["path"], resolution, track.get("normalisation") or "NONE")
    names = genes.names_in(track["path"], file.lengths, track.get("absent_chromosomes") or "error")
    observed = np.zeros(len(pairs))
    gene, element = pairs["gene"].to_numpy(), pairs["element"].to_numpy()
    tss_bin, own_bin = genes.tss[gene] // resolution, centre[element] // resolution
    half_bins = int(np.abs(own_bin - tss_bin).max()) + 1
    for chrom, rows in by_chromosome(genes.chroms[gene]):
        if chrom in names:
            bins, inverse = np.unique(tss_bin[rows], return_inverse=True)
            values = rows_of_bins(*file.pixels(names[chrom], half_bins), bins, half_bins)
            observed[rows] = values[inverse, own_bin[rows] - tss_bin[rows] + half_bins]
    recorded = observed > 0
    scale = observed[recorded].sum() / expected[recorded].sum() if recorded.any() else 1.0
    return np.where(recorded, observed, scale * expected), int((~recorded).sum())
