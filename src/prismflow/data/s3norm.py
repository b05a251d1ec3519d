"""S3norm: the power y = A x^B that gives a track the level and contrast of a reference track.

Model and peak bins after Xiang et al., Nucleic Acids Research 2020;48:e43 (reference 59): A and
B make the means over common peaks and over common background equal those of the reference. Bins are
200 bp wide, 0-based half-open, from the chromosome's first base; a base without a value counts 0.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import optimize, special

from prismflow.data.bigwig import BigWig
from prismflow.errors import InputError

logger = logging.getLogger(__name__)

BIN_BP = 200
FDR = 0.05
LEAST_PEAK_SHARE = 0.001
LARGEST_POWER = 64.0
_READ_BP = BIN_BP * 20_000


@dataclass(frozen=True)
class Fit:
    """What makes a track like its reference.

    Attributes:
        a, b: the numbers A and B of y = A x^B.
        solved: whether both means are met; else B is the ratio of the differences of mean
            logarithms, as the paper does where no root is found.
        n_peak_bins, n_background_bins: bins that the means are over.
    """

    a: float
    b: float
    solved: bool
    n_peak_bins: int
    n_background_bins: int


def peak_bins(values: np.ndarray) -> np.ndarray:
    """Peak bins: one-sided normal test over all bins, Benjamini-Hochberg, at least the top 0.1 %.

    Args:
        values: (n,) bin means.

    Returns:
        bool (n,).
    """
    spread = float(values.std())
    if not spread:
        return np.zeros(len(values), bool)
    p = special.ndtr(-(values - values.mean()) / spread)
    order = np.argsort(p, kind="stable")
    passed = p[order] <= FDR * np.arange(1, len(p) + 1) / len(p)
    n = int(np.flatnonzero(passed)[-1]) + 1 if passed.any() else 0
    chosen = np.zeros(len(values), bool)
    chosen[order[: max(n, int(np.ceil(LEAST_PEAK_SHARE * len(values))))]] = True
    return chosen


def _log_mean_power(logs: np.ndarray, power: float) -> float:
    """Logarithm of the mean of x^power, from the logarithms of x."""
    return float(special.logsumexp(power * logs) - np.log(len(logs)))


def fit(track: np.ndarray, reference: np.ndarray, where: str = "s3norm") -> Fit:
    """A and B from bins of a track and of its reference.

    B is the root of mean_bg(ref) mean_pk(x^B) = mean_pk(ref) mean_bg(x^B), and
    A = mean_bg(ref) / mean_bg(x^B). Bins that are 0 in one of both are left out of the means.

    Args:
        track, reference: (n,) means of the same bins, at least 0.
        where: the track, for messages.

    Raises:
        InputError: negative values, or no bins in common to fit to.
    """
    lowest = min(float(track.min(initial=0)), float(reference.min(initial=0)))
    if lowest < 0:
        raise InputError(
            f"{where}: s3norm needs values >= 0, found {lowest:g}; use 'raw' for this track, or a "
            "track of absolute values."
        )
    present = (track > 0) & (reference > 0)
    own, other = peak_bins(track), peak_bins(reference)
    peaks, background = own & other & present, ~own & ~other & present
    if not peaks.any() or not background.any():
        raise InputError(
            f"{where}: s3norm needs bins that are peaks, and bins that are background, in the "
            f"track and in its reference; found {int(peaks.sum())} and {int(background.sum())} of "
            f"{len(track)} bins; check that both are of one assay, or use 'raw'."
        )
    x_peaks, x_background = np.log(track[peaks]), np.log(track[background])
    level = float(np.log(reference[background].mean()))
    contrast = float(np.log(reference[peaks].mean())) - level

    def excess(power: float) -> float:
        return _log_mean_power(x_peaks, power) - _log_mean_power(x_background, power) - contrast

    b, solved = _root(excess), True
    if b is None:
        solved = False
        logs = np.log(reference[peaks]).mean() - np.log(reference[background]).mean()
        difference = x_peaks.mean() - x_background.mean()
        b = float(logs / difference) if difference else 0.0
    if b <= 0:
        raise InputError(
            f"{where}: s3norm found no positive power that gives peaks and background the "
            "reference's means; peaks of the track are no higher than its background, so use 'raw'."
        )
    a = float(np.exp(level - _log_mean_power(x_background, b)))
    return Fit(a, b, solved, int(peaks.sum()), int(background.sum()))


def _root(excess: Any) -> float | None:
    """A positive root of a function that is below 0 at 0; None if there is none up to 64."""
    high = 1.0
    while excess(high) < 0:
        high *= 2
        if high > LARGEST_POWER:
            return None
    if excess(0.0) >= 0:
        return None
    return float(optimize.brentq(excess, 0.0, high, xtol=1e-12, rtol=1e-12))


def bin_means(bigwig: BigWig, name: str) -> np.ndarray:
    """Means (n,) float64 of a chromosome's whole 200-bp bins; a base without a value counts 0."""
    end = bigwig.lengths[name] // BIN_BP * BIN_BP
    parts = [
        np.nan_to_num(bigwig.values(name, at, min(at + _READ_BP, end)).astype(np.float64))
        for at in range(0, end, _READ_BP)
    ]
    return np.concatenate(parts).reshape(-1, BIN_BP).mean(axis=1) if parts else np.zeros(0)


def training_chromosomes(chroms: pd.Series, splits: pd.DataFrame, folds: Sequence[str]) -> set[str]:
    """Chromosomes without a validation or test gene in any of the folds that are run.

    Args:
        chroms: (N,) chromosome of each gene, in the order of ``splits``.
        splits: ``splits.tsv``.
        folds: columns of it.

    Raises:
        InputError: no chromosome is left.
    """
    held_out = splits[list(folds)].isin(["valid", "test"]).any(axis=1).to_numpy()
    left = set(chroms) - set(chroms[held_out])
    if not left:
        raise InputError(
            f"s3norm: expected chromosomes that only train in the folds {', '.join(folds)}, found "
            "none: each has a validation or test gene in one of them; run fewer folds "
            "(`splits.use`), or split by chromosome."
        )
    return left


def fit_files(
    path: str | Path, reference: str | Path, chromosomes: set[str], aliases: Mapping[str, str]
) -> dict[str, Any]:
    """A and B of a bigWig against a reference bigWig, as values that JSON knows.

    Args:
        path: the track.
        reference: the reference track; the same file gives A = B = 1.
        chromosomes: training chromosomes, by the names of the gene table.
        aliases: name in a file -> name in the gene table.

    Raises:
        InputError: chromosomes that one file lacks or whose lengths differ, or see :func:`fit`.
    """
    with BigWig(path) as own, BigWig(reference) as other:
        names = [{aliases.get(name, name): name for name in f.lengths} for f in (own, other)]
        shared = sorted(chromosomes & names[0].keys() & names[1].keys())
        for chrom in shared:
            lengths = own.lengths[names[0][chrom]], other.lengths[names[1][chrom]]
            if lengths[0] != lengths[1]:
                raise InputError(
                    f"{path}: s3norm needs the assembly of its reference {reference}, found "
                    f"{chrom} with {lengths[0]} bases here and {lengths[1]} there; use files of "
                    "one assembly."
                )
        if not shared:
            raise InputError(
                f"{path}: s3norm needs training chromosomes that are in this file and in its "
                f"reference {reference}, found none of {', '.join(sorted(chromosomes))}."
            )
        bins = [
            np.concatenate([bin_means(file, by_name[chrom]) for chrom in shared])
            for file, by_name in ((own, names[0]), (other, names[1]))
        ]
    found = fit(bins[0], bins[1], str(path))
    logger.info("%s: s3norm %s", path, found)
    return {**asdict(found), "reference": str(reference), "chromosomes": shared}
