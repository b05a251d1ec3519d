"""Hi-C contacts around TSS: reading .hic, .cool and .mcool, and the feature of the paper.

The feature of base p in the window of a gene (paper, section on Hi-C; released code) is
``V(floor(p / r), floor(tss / r)) + c`` with the normalised contacts V, the bin size r and a
constant pseudocount c. It is therefore constant within a bin and is kept per bin. A gene whose
contacts with its own surroundings sum to less than 0.01 over the 999 bases ``|p - tss| < 500``
has no usable data: its whole row is 0. Bases outside the chromosome are 0.
"""

from __future__ import annotations

import logging
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from prismflow.data.chromosomes import Genes, by_chromosome
from prismflow.data.contact_bins import bins_per_window, expand_bins
from prismflow.errors import InputError
from prismflow.jobs.patches.hictk import hictkpy

logger = logging.getLogger(__name__)

NO_NORMALISATION = "NONE"
_READER_ERRORS = (RuntimeError, ValueError, MemoryError, OverflowError, LookupError, OSError)
COVERAGE_HALF_BP = 500
COVERAGE_MIN = 0.01
_FEWEST_TO_JUDGE = 100
_LESS_EVEN = 1.1
_GAMMA = 0.87
_SCALE = -4.80 + 11.63 * _GAMMA
_PSEUDOCOUNT_BP = 1_000_000


def power_law_contact(distance_bp: float) -> float:
    """Contact frequency expected at a distance by the power law of the released code."""
    return math.exp(_SCALE - _GAMMA * math.log(max(distance_bp, 5000) + 1))


#: Added to every contact within 1 Mb of the TSS: the power law's value at 1 Mb.
PSEUDOCOUNT: float = power_law_contact(_PSEUDOCOUNT_BP)


@dataclass(frozen=True)
class ContactFile:
    """An opened contact matrix at one resolution.

    Attributes:
        path: the file.
        resolution_bp: bin size.
        normalisation: name as in the file, or ``NONE``.
        lengths: chromosome name in the file -> length.
        resolutions: all bin sizes of the file.
        normalisations: all normalisations at this bin size, ``NONE`` included.
        matrix: the hictkpy handle.
    """

    path: Path
    resolution_bp: int
    normalisation: str
    lengths: dict[str, int]
    resolutions: tuple[int, ...]
    normalisations: tuple[str, ...]
    matrix: hictkpy.File

    @classmethod
    def open(
        cls, path: str | os.PathLike[str], resolution_bp: int, normalisation: str = NO_NORMALISATION
    ) -> ContactFile:
        """Open a .hic, .cool or .mcool.

        Raises:
            InputError: not such a file, truncated, or without the resolution or normalisation
                asked for (what the file has is listed).
        """
        path = Path(path)
        resolutions = contact_resolutions(path)
        if resolution_bp not in resolutions:
            raise InputError(
                f"{path}: no contacts at a resolution of {resolution_bp} bp; the file has "
                f"{', '.join(map(str, resolutions))} bp."
            )
        try:
            matrix = hictkpy.File(str(path), resolution_bp)
            found = {str(name) for name in matrix.avail_normalizations()}
            lengths = {str(name): int(size) for name, size in matrix.chromosomes().items()}
        except _READER_ERRORS as error:
            raise _unreadable(path, error) from None
        normalisations = (NO_NORMALISATION, *sorted(found - {NO_NORMALISATION}))
        if normalisation not in normalisations:
            raise InputError(
                f"{path}: no normalisation {normalisation!r} at {resolution_bp} bp; the file has "
                f"{', '.join(normalisations)}."
            )
        return cls(path, resolution_bp, normalisation, lengths, resolutions, normalisations, matrix)

    def pixels(self, name: str, half_bins: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Contacts of a chromosome with itself within ``half_bins`` of the diagonal.

        Args:
            name: chromosome name in the file.
            half_bins: largest distance in bins.

        Returns:
            bin1, bin2 (int64, bin1 <= bin2) and values (float64, NaN where the normalisation
            has none), only non-empty records.

        Raises:
            InputError: the file can't be read.
        """
        try:
            found = self.matrix.fetch(
                name,
                normalization=self.normalisation,
                count_type="float64",
                diagonal_band_width=half_bins + 1,
            ).to_coo()
        except _READER_ERRORS as error:
            raise _unreadable(self.path, error) from None
        bin1, bin2 = np.minimum(found.row, found.col), np.maximum(found.row, found.col)
        n_bins = -(-self.lengths[name] // self.resolution_bp)
        if len(bin1) and (bin1.min() < 0 or bin2.max() >= n_bins):
            raise _unreadable(self.path, f"it has contacts outside {name}, of {n_bins} bins")
        return bin1.astype(np.int64), bin2.astype(np.int64), np.asarray(found.data)

    def check_values(
        self, name: str, bin1: np.ndarray, bin2: np.ndarray, values: np.ndarray
    ) -> None:
        """Refuse contacts that no normalisation gives.

        Args:
            name: chromosome in the file.
            bin1, bin2, values: see :meth:`pixels`.

        Raises:
            InputError: infinite or negative contacts, or weights that are divided by although
                multiplying by them makes the rows even.
        """
        wrong = np.isinf(values) | (values < 0)
        if wrong.any():
            at = int(np.argmax(wrong))
            raise InputError(
                f"{self.path}: expected finite contacts >= 0 with normalisation "
                f"{self.normalisation}, found {values[at]:g} ({int(wrong.sum())} such on {name}); "
                "choose another normalisation or file."
            )
        if self.normalisation == NO_NORMALISATION or len(values) < _FEWEST_TO_JUDGE:
            return
        try:
            raw = self.matrix.fetch(
                name, normalization=NO_NORMALISATION, count_type="float64",
                diagonal_band_width=int((bin2 - bin1).max()) + 1,
            ).to_coo()  # fmt: skip
        except _READER_ERRORS as error:
            raise _unreadable(self.path, error) from None
        low, high = np.minimum(raw.row, raw.col), np.maximum(raw.row, raw.col)
        if not (np.array_equal(low, bin1) and np.array_equal(high, bin2)):
            return
        counts = np.asarray(raw.data)
        known = np.isfinite(values) & (values > 0) & (counts > 0)
        low, high, counts, values = low[known], high[known], counts[known], values[known]
        before, after, inverse = (
            _unevenness(low, high, given) for given in (counts, values, counts**2 / values)
        )
        if after > _LESS_EVEN * before and inverse < before / _LESS_EVEN:
            raise InputError(
                f"{self.path}: dividing by the weights {self.normalisation} makes the rows of "
                f"{name} less even (relative spread of their sums {before:.2g} before, {after:.2g} "
                f"after), multiplying by them evens them out ({inverse:.2g}): they are "
                "multiplicative weights under a name of divisive ones; rename them `weight`, or "
                "choose another normalisation."
            )


def _unevenness(bin1: np.ndarray, bin2: np.ndarray, values: np.ndarray) -> float:
    """Standard deviation of the row sums of a symmetric matrix, over their mean."""
    n_bins = int(max(bin1.max(initial=0), bin2.max(initial=0))) + 1
    off = bin1 != bin2
    sums = np.bincount(bin1, values, n_bins) + np.bincount(bin2[off], values[off], n_bins)
    sums = sums[sums > 0]
    return float(sums.std() / sums.mean()) if len(sums) else 0.0


def _unreadable(path: Path, error: Exception | str) -> InputError:
    reason = str(error).strip().splitlines()[0] if str(error).strip() else "unknown reason"
    return InputError(
        f"{path}: the contact matrix can't be read ({reason}); it may be truncated, copy or "
        "download it again."
    )


def contact_resolutions(path: str | os.PathLike[str]) -> tuple[int, ...]:
    """Bin sizes in a .hic, .cool or .mcool.

    Raises:
        InputError: the file is absent or of another kind.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: expected a .hic, .cool or .mcool, found no such file.")
    name = str(path)
    try:
        if hictkpy.is_hic(name) or hictkpy.is_mcool_file(name):
            return tuple(int(size) for size in hictkpy.MultiResFile(name).resolutions())
        if hictkpy.is_cooler(name):
            return (int(hictkpy.File(name).resolution()),)
    except _READER_ERRORS as error:
        raise _unreadable(path, error) from None
    raise InputError(
        f"{path}: expected contacts as .hic, .cool or .mcool, found a file of another kind or a "
        "truncated one."
    )


def rows_of_bins(
    bin1: np.ndarray, bin2: np.ndarray, values: np.ndarray, bins: np.ndarray, half_bins: int
) -> np.ndarray:
    """Rows of a symmetric matrix, given by its upper triangle, around the diagonal.

    Args:
        bin1: int (P,), smaller bin of each record.
        bin2: int (P,), larger bin of each record.
        values: float (P,); NaN counts as 0.
        bins: int (U,) the rows wanted, unique.
        half_bins: h, columns wanted on both sides.

    Returns:
        float64 (U, 2h + 1); column h + d of row u is V(bins[u], bins[u] + d), 0 if not recorded.
    """
    result = np.zeros((len(bins), 2 * half_bins + 1))
    if not len(bins) or not len(bin1):
        return result
    slots = np.full(int(max(bin2.max(), bins.max())) + 1, -1, dtype=np.int64)
    slots[bins] = np.arange(len(bins))
    values = np.nan_to_num(values, nan=0.0)
    near = bin2 - bin1 <= half_bins
    for own, other in ((bin1, bin2), (bin2, bin1)):
        use = near & (slots[own] >= 0)
        result[slots[own[use]], other[use] - own[use] + half_bins] = values[use]
    return result


def _coverage(
    rows: np.ndarray, tss: np.ndarray, chrom_length: int, resolution_bp: int
) -> np.ndarray:
    """Sum of contacts over the bases ``|p - tss| < 500`` inside the chromosome, per gene."""
    half_bins = rows.shape[1] // 2
    first = np.maximum(tss - COVERAGE_HALF_BP + 1, 0)
    end = np.minimum(tss + COVERAGE_HALF_BP, chrom_length)
    total = np.zeros(len(tss))
    for step in range((2 * COVERAGE_HALF_BP - 2) // resolution_bp + 2):
        number = first // resolution_bp + step
        low = np.maximum(number * resolution_bp, first)
        bases = np.maximum(np.minimum((number + 1) * resolution_bp, end) - low, 0)
        column = np.clip(number - tss // resolution_bp + half_bins, 0, 2 * half_bins)
        total += bases * rows[np.arange(len(tss)), column]
    return total


def feature_per_bin(
    bin1: np.ndarray,
    bin2: np.ndarray,
    values: np.ndarray,
    tss: np.ndarray,
    chrom_length: int,
    window_bp: int,
    resolution_bp: int,
    pseudocount: bool = True,
) -> tuple[np.ndarray, np.ndarray]:
    """The contact feature of genes of one chromosome, per bin of their windows.

    Args:
        bin1: int (P,), smaller bin of each record of the chromosome's matrix.
        bin2: int (P,), larger bin of each record.
        values: float (P,), contacts.
        tss: int (n,).
        chrom_length: length of the chromosome.
        window_bp: window length L; at most 2 Mb, where the pseudocount is constant.
        resolution_bp: bin size.
        pseudocount: add the constant :data:`PSEUDOCOUNT` as the released code does.

    Returns:
        feature: float64 (n, K), column k is bin ``floor((tss - L/2) / resolution) + k``; contact
            plus pseudocount, or 0 outside the chromosome, outside the window and where ``covered``
            is false.
        covered: bool (n,), whether the gene passed the coverage check.

    Raises:
        InputError: the window is longer than 2 Mb.
    """
    if window_bp > 2 * _PSEUDOCOUNT_BP:
        raise InputError(
            f"contacts are defined for windows of at most {2 * _PSEUDOCOUNT_BP} bp, found "
            f"{window_bp} bp."
        )
    tss = np.asarray(tss, dtype=np.int64)
    n_bins = bins_per_window(window_bp, resolution_bp)
    half_bins = max(n_bins, COVERAGE_HALF_BP // resolution_bp + 1)
    tss_bins, inverse = np.unique(tss // resolution_bp, return_inverse=True)
    rows = rows_of_bins(bin1, bin2, values, tss_bins, half_bins)[inverse]
    covered = _coverage(rows, tss, chrom_length, resolution_bp) >= COVERAGE_MIN
    start = tss - window_bp // 2
    number = (start // resolution_bp)[:, None] + np.arange(n_bins)
    column = number - (tss // resolution_bp)[:, None] + half_bins
    feature = np.take_along_axis(rows, column, axis=1)
    if pseudocount:
        feature += PSEUDOCOUNT
    low = np.maximum(number * resolution_bp, np.maximum(start, 0)[:, None])
    high = np.minimum(
        (number + 1) * resolution_bp, np.minimum(start + window_bp, chrom_length)[:, None]
    )
    feature[(low >= high) | ~covered[:, None]] = 0
    return feature, covered


def released_contact_feature(
    bin1: np.ndarray,
    bin2: np.ndarray,
    values: np.ndarray,
    tss: int,
    chrom_length: int,
    resolution_bp: int = 5000,
    window_bp: int = 200_000,
) -> np.ndarray:
    """The per-base feature as the released preprocessing stores it for one TSS.

    Returns:
        float64 (window_bp,): contact + pseudocount; NaN inside the chromosome if the coverage
        check fails; 0 outside the chromosome.
    """
    feature, covered = feature_per_bin(
        bin1, bin2, values, np.array([tss]), chrom_length, window_bp, resolution_bp
    )
    start = tss - window_bp // 2
    pads = np.array([[max(0, -start), max(0, start + window_bp - chrom_length)]])
    if not covered[0]:
        feature = np.full_like(feature, np.nan)
    return expand_bins(feature, np.array([start]), pads, window_bp, window_bp, resolution_bp)[0]


def contact_bins(
    path: str | os.PathLike[str],
    genes: Genes,
    *,
    window_bp: int,
    resolution_bp: int,
    normalisation: str,
    absent_chromosomes: str = "error",
    pseudocount: bool = True,
) -> tuple[np.ndarray, dict[str, Any]]:
    """The contact feature of many genes, one pass per chromosome.

    Args:
        path: .hic, .cool or .mcool.
        genes: N genes.
        window_bp: window length L.
        resolution_bp: bin size, must be in the file.
        normalisation: as named in the file, or ``NONE``.
        absent_chromosomes: ``error`` or ``missing`` (rows of 0, counted).
        pseudocount: see :func:`feature_per_bin`.

    Returns:
        float32 (N, K), see :func:`feature_per_bin`, and counts: ``n_genes_without_coverage``,
        ``n_genes_without_chromosome``.

    Raises:
        InputError: see :class:`ContactFile`; chromosome names or lengths differ.
    """
    tss = np.asarray(genes.tss, dtype=np.int64)
    file = ContactFile.open(path, resolution_bp, normalisation)
    names = genes.names_in(path, file.lengths, absent_chromosomes)
    n_bins = bins_per_window(window_bp, resolution_bp)
    result = np.zeros((len(tss), n_bins), dtype=np.float32)
    report = {"n_genes_without_coverage": 0, "n_genes_without_chromosome": 0}
    half_bins = max(n_bins, COVERAGE_HALF_BP // resolution_bp + 1)
    for chrom, rows in by_chromosome(genes.chroms):
        if chrom not in names:
            report["n_genes_without_chromosome"] += len(rows)
            continue
        pixels = file.pixels(names[chrom], half_bins)
        if not np.isfinite(pixels[2]).any():
            genes.without(
                names, [chrom], path, f"no contacts with normalisation {normalisation}",
                absent_chromosomes,
            )  # fmt: skip
            report["n_genes_without_chromosome"] += len(rows)
            continue
        feature, covered = feature_per_bin(
            *pixels, tss[rows], genes.chrom_lengths[chrom], window_bp, resolution_bp, pseudocount
        )
        result[rows] = feature
        report["n_genes_without_coverage"] += int((~covered).sum())
        logger.info("%s: %s, %d records, %d genes", path, chrom, len(pixels[0]), len(rows))
    return result, report
