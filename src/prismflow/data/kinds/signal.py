"""Signals: a value per base from a bigWig.

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

from prismflow.data.bigwig import BigWig
from prismflow.data.bigwig_check import verify_bigwig
from prismflow.data.chromosomes import Genes, by_chromosome
from prismflow.data.counts import Count
from prismflow.data.kinds import AtTss, Kind, TrackSettings, absent_policy
from prismflow.data.store_writer import RowFile
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
    names = names_with_values(bigwig, genes, absent_chromosomes)
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


def names_with_values(bigwig: BigWig, genes: Genes, absent_chromosomes: str) -> dict[str, str]:
    """Names of the genes' chromosomes in a track; one without any value is absent from it.

    Raises:
        InputError: names or lengths differ, or a chromosome is absent under ``error``.
    """
    names = genes.names_in(bigwig.path, bigwig.lengths, absent_chromosomes)
    empty = {chrom for chrom, name in names.items() if not bigwig.has_values(name)}
    return genes.without(names, empty, bigwig.path, "no value", absent_chromosomes)


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


def _inspect_signal(path: Path, genes: Genes, absent_chromosomes: str) -> dict[str, Any]:
    summary = verify_bigwig(path)
    at_tss, count = read_windows(path, genes, CORE_BP, absent_chromosomes=absent_chromosomes)
    with BigWig(path) as bigwig:
        names = names_with_values(bigwig, genes, absent_chromosomes)
        lengths = bigwig.lengths
        means = [
            np.nan_to_num(values).mean(axis=1, dtype=np.float64)
            for name, starts in _even_positions(names, lengths)
            for _, values in bigwig.windows(name, starts, CORE_BP)
        ]
    bases = Count("bases", sum(lengths.values()))
    bases.skip("without a value", bases.n_read - summary.covered)
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
        "counts": [bases.plain(summary.covered)],
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
    found = np.quantile(values if len(values) else np.zeros(1), _PROBABILITIES)
    return {f"{p:g}": float(v) for p, v in zip(_PROBABILITIES, found, strict=True)}


class Signal(Kind):
    """A track of values, kept per base as float32 or float16."""

    def inspect(self, track: TrackSettings, genes: Genes, window_bp: int) -> dict[str, Any]:
        """Chromosomes, extremes, coverage and quantiles of a bigWig."""
        return _inspect_signal(Path(track["path"]), genes, absent_policy(track))

    def at_tss(self, track: TrackSettings, genes: Genes, window_bp: int) -> AtTss:
        """Values per base; a missing one is 0."""
        values, _ = read_windows(
            track["path"], genes, window_bp, absent_chromosomes=absent_policy(track)
        )
        return AtTss(values=values)

    def write(
        self, file: Path, track: TrackSettings, genes: Genes, window_bp: int, dtype: str
    ) -> dict[str, Any]:
        """Windows of all genes; missing bases follow ``missing`` and are counted."""
        path, missing = track["path"], track.get("missing") or "zero"
        count = MissingCount()
        limit = float(np.finfo(dtype).max)
        shape = (len(genes.tss), window_bp)
        with RowFile(file, shape, dtype) as out, BigWig(path) as bigwig:
            for rows, values in signal_windows(
                bigwig, genes, window_bp,
                missing=missing, absent_chromosomes=absent_policy(track), count=count,
            ):  # fmt: skip
                largest = max(float(values.max(initial=0)), -float(values.min(initial=0)))
                if largest > limit:
                    raise InputError(
                        f"{path}: the value {largest:g} does not fit into {dtype}; set "
                        "signal_dtype: float32."
                    )
                out.write(rows, values)
        logger.info("%s: %d of %d bases missing", path, count.n_bases, shape[0] * shape[1])
        return {
            "dtype": dtype,
            "missing": missing,
            "n_missing_bases": count.n_bases,
            "n_genes_without_chromosome": count.n_genes_without_chromosome,
        }


KIND = Signal()
