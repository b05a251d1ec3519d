"""Tracks around genes: windows of signals and peaks, and a summary of each track.

Coordinates are 0-based half-open. Outside the chromosome every value is 0; a base inside the
chromosome without a value is missing and follows the track's policy.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from prismflow import files
from prismflow.data.bigwig import BigWig
from prismflow.data.bigwig_check import verify_bigwig
from prismflow.data.chromosomes import Genes, by_chromosome, match_chromosomes
from prismflow.data.contact_guard import REACH_BP, inspect_contacts
from prismflow.data.transforms import check_kind
from prismflow.data.windows import read_bed
from prismflow.errors import InputError
from prismflow.settings.policies import MISSING_SIGNAL

logger = logging.getLogger(__name__)

MISSING_POLICIES: tuple[str, ...] = MISSING_SIGNAL
CORE_BP = 1000
_GENOME_WINDOWS = 2000
_PROBABILITIES = (0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


@dataclass
class MissingCount:
    """Filled while windows are read.

    Attributes:
        n_bases: missing bases inside chromosomes, summed over windows.
        n_genes_without_chromosome: genes on chromosomes that the track lacks.
    """

    n_bases: int = 0
    n_genes_without_chromosome: int = 0


def signal_windows(
    bigwig: BigWig,
    genes: Genes,
    window_bp: int,
    *,
    missing: str = "zero",
    absent_chromosomes: str = "error",
    count: MissingCount | None = None,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Windows ``[tss - w/2, tss + w/2)`` of a signal, chromosome by chromosome.

    Args:
        bigwig: the track.
        genes: N genes.
        window_bp: window length w.
        missing: value of a base without one: ``zero`` (released code), ``mean`` (of the bases
            with a value) or ``error``.
        absent_chromosomes: ``error`` or ``missing``: all bases of these genes are missing.
        count: is added to, if given.

    Yields:
        Rows of the genes (k,) and finite float32 (k, w).

    Raises:
        InputError: unknown policy, names or lengths of chromosomes differ, missing bases under
            ``error``.
    """
    if missing not in MISSING_POLICIES:
        raise InputError(
            f"{bigwig.path}: policy for missing bases {missing!r} is not known; known: "
            f"{', '.join(MISSING_POLICIES)}."
        )
    count = count if count is not None else MissingCount()
    names = genes.names_in(bigwig.path, bigwig.lengths, absent_chromosomes)
    fill = np.float32(bigwig.summary.mean if missing == "mean" else 0)
    for chrom, rows in by_chromosome(genes.chroms):
        starts = genes.tss[rows] - window_bp // 2
        if chrom in names:
            blocks = bigwig.windows(names[chrom], starts, window_bp)
        else:
            count.n_genes_without_chromosome += len(rows)
            blocks = _nothing(starts, window_bp, genes.chrom_lengths[chrom])
        for positions, values in blocks:
            is_missing = np.isnan(values)
            n_missing = int(np.count_nonzero(is_missing))
            if n_missing and missing == "error":
                raise InputError(
                    f"{bigwig.path}: {n_missing} bases without a value in windows on {chrom}; set "
                    "missing: zero, or give a track that covers every base."
                )
            count.n_bases += n_missing
            values[is_missing] = fill
            yield rows[positions], values


def _nothing(
    starts: np.ndarray, window_bp: int, length: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for at, start in enumerate(starts.tolist()):
        values = np.zeros((1, window_bp), dtype=np.float32)
        values[0, max(0, -start) : max(0, min(length - start, window_bp))] = np.nan
        yield np.array([at]), values


def read_windows(
    path: str | Path,
    genes: Genes,
    window_bp: int,
    *,
    missing: str = "zero",
    absent_chromosomes: str = "error",
) -> tuple[np.ndarray, MissingCount]:
    """All windows of a bigWig in memory: float32 (N, w), and what was missing.

    Raises:
        InputError: see :func:`signal_windows` and :class:`BigWig`.
    """
    result = np.zeros((len(genes.tss), window_bp), dtype=np.float32)
    count = MissingCount()
    with BigWig(path) as bigwig:
        for rows, values in signal_windows(
            bigwig,
            genes,
            window_bp,
            missing=missing,
            absent_chromosomes=absent_chromosomes,
            count=count,
        ):
            result[rows] = values
    return result, count


def core_means(path: str | Path, genes: Genes, absent_chromosomes: str = "error") -> np.ndarray:
    """Mean of a bigWig over TSS +- 500 per gene, float64 (N,); missing bases count as 0.

    Raises:
        InputError: see :func:`signal_windows`.
    """
    values, _ = read_windows(path, genes, CORE_BP, absent_chromosomes=absent_chromosomes)
    return values.mean(axis=1, dtype=np.float64)


def promoter_activity(h3k27ac: np.ndarray, dnase: np.ndarray) -> np.ndarray:
    """sqrt(mean H3K27ac x mean DNase) at the promoter (paper, section on gene features).

    Raises:
        InputError: negative means, for which the root does not exist.
    """
    product = h3k27ac * dnase
    if (product < 0).any():
        raise InputError(
            "promoter activity needs tracks of values >= 0, found negative means at "
            f"{int((product < 0).sum())} promoters; use other tracks or promoter_activity: none."
        )
    return np.sqrt(product)


def is_bigwig_name(path: str | Path) -> bool:
    """Whether a file is a bigWig by its name."""
    return Path(path).suffix.lower() in (".bw", ".bigwig")


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
    regions = read_bed(path, genes.aliases)
    # A BED lists only what it found: a chromosome without peaks is no fault, other names are.
    match_chromosomes(
        genes.source, genes.counts(), path, regions["chrom"].unique(), None, "missing"
    )
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


def inspect_track(
    path: str | Path,
    kind: str,
    genes: Genes,
    *,
    modality: str = "",
    resolution_bp: int | None = None,
    normalisation: str | None = None,
    absent_chromosomes: str = "error",
    window_bp: int = REACH_BP,
    md5: str = "",
) -> dict[str, Any]:
    """Check a track against the genes and summarise it; the result can be written as JSON.

    Args:
        path: bigWig, contact matrix or peaks.
        kind: ``signal``, ``contacts`` or ``peaks``.
        genes: N genes.
        modality: the track's name, for messages.
        resolution_bp: bin size of contacts.
        normalisation: normalisation of contacts.
        absent_chromosomes: ``error`` or ``missing``.
        window_bp: contacts are read up to this distance at least.
        md5: what the file's MD5 must be; empty if unknown. The only check that sees every changed
            byte in a format without checksums.

    Returns:
        ``kind``, ``file``, ``bytes``, ``md5``, ``n_genes``, ``n_genes_without_chromosome``, and:
        signal: chromosomes, min, max, mean (over bases with a value), covered_bases,
        missing_share and missing_share_tss, quantiles of means over 1 kb at TSS and genome-wide;
        contacts: chromosomes, resolutions, normalisations, the chosen ones, n_records;
        peaks: n_peaks, n_genes_with_peak (TSS +- 500).

    Raises:
        InputError: the track can't be used with these genes.
    """
    check_kind(modality, kind)
    path = Path(path)
    digest = _digest(path, md5)
    if kind == "signal":
        content = _inspect_signal(path, genes, absent_chromosomes)
    elif kind == "contacts":
        if resolution_bp is None:
            raise InputError(f"{path}: contacts need resolution_bp, for example 5000.")
        content = inspect_contacts(
            path,
            resolution_bp,
            normalisation or "NONE",
            genes.counts(),
            genes.chrom_lengths,
            genes_source=genes.source,
            lengths_source=genes.lengths_source,
            chrom_aliases=genes.aliases,
            absent_chromosomes=absent_chromosomes,
            window_bp=window_bp,
        )
        genes.names_in(path, content["chromosomes"], absent_chromosomes)
    else:
        if is_bigwig_name(path):
            verify_bigwig(path)
        masks = list(peak_windows(path, genes, CORE_BP, absent_chromosomes=absent_chromosomes))
        content = {
            "n_peaks": None if is_bigwig_name(path) else len(read_bed(path)),
            "n_genes_with_peak": sum(int(mask.any(axis=1).sum()) for _, mask in masks),
            "n_genes_without_chromosome": 0,
        }
    size = {"file": path.name, "bytes": path.stat().st_size, "md5": digest}
    return {"modality": modality, "kind": kind, **size, "n_genes": len(genes.tss), **content}


def _digest(path: Path, expected: str) -> str:
    if not path.is_file():
        raise InputError(f"{path}: expected a data file, found no such file.")
    found = files.md5(path)
    if expected and found != expected.strip().lower():
        raise InputError(
            f"{path}: expected a file with the md5 {expected.strip().lower()}, found {found}; the "
            "file differs from the one that the sheet means, copy or download it again."
        )
    return found


def _inspect_signal(path: Path, genes: Genes, absent_chromosomes: str) -> dict[str, Any]:
    summary = verify_bigwig(path)
    at_tss, count = read_windows(path, genes, CORE_BP, absent_chromosomes=absent_chromosomes)
    with BigWig(path) as bigwig:
        names = genes.names_in(path, bigwig.lengths, absent_chromosomes)
        lengths = bigwig.lengths
        means = [
            np.nan_to_num(values).mean(axis=1, dtype=np.float64)
            for name, starts in _even_positions(names, lengths)
            for _, values in bigwig.windows(name, starts, CORE_BP)
        ]
    inside = np.minimum(
        genes.tss + CORE_BP // 2,
        np.array([genes.chrom_lengths[chrom] for chrom in genes.chroms]),
    ) - np.maximum(genes.tss - CORE_BP // 2, 0)
    return {
        "chromosomes": lengths,
        "min": summary.minimum,
        "max": summary.maximum,
        "mean": summary.mean,
        "covered_bases": summary.covered,
        "missing_share": 1 - summary.covered / sum(lengths.values()),
        "missing_share_tss": count.n_bases / max(int(inside.sum()), 1),
        "quantiles": {
            "tss": _quantiles(at_tss.mean(axis=1, dtype=np.float64)),
            "genome": _quantiles(np.concatenate(means) if means else np.zeros(1)),
        },
        "n_genes_without_chromosome": count.n_genes_without_chromosome,
    }


def _even_positions(
    names: Mapping[str, str], lengths: Mapping[str, int]
) -> Iterator[tuple[str, np.ndarray]]:
    total = sum(lengths[name] for name in names.values())
    for name in names.values():
        free = max(lengths[name] - CORE_BP, 0)
        number = max(1, round(_GENOME_WINDOWS * lengths[name] / total))
        yield name, np.linspace(0, free, number).astype(np.int64)


def _quantiles(values: np.ndarray) -> dict[str, float]:
    found = np.quantile(values, _PROBABILITIES)
    return {f"{p:g}": float(v) for p, v in zip(_PROBABILITIES, found, strict=True)}
