"""Replicates of one track as one bigWig: their mean per base, and how well they agree.

    python -m prismflow.data.replicates REP1.bw REP2.bw --out MEAN.bw [--depth genome_mean]

writes the file that a row of the sheet of tracks names. Depth normalisation is off by default.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyBigWig

from prismflow.data.bigwig import BigWig
from prismflow.errors import InputError
from prismflow.files import atomic_path

DEPTHS = ("none", "genome_mean")
"""``genome_mean`` divides each file by its mean over all bases of its chromosomes (missing: 0)."""

_BLOCK_BP = 1 << 22


def mean_of_tracks(paths: Sequence[str | Path], out: str | Path, depth: str = "none") -> list[str]:
    """Write the mean per base of several bigWigs.

    A base without a value in some of the files counts as 0 there; one without a value in all of
    them has none in ``out``.

    Args:
        paths: two or more bigWigs with the same chromosomes.
        out: the bigWig to write.
        depth: one of :data:`DEPTHS`.

    Returns:
        A sentence per pair: Pearson correlation per base over the whole genome (missing: 0).

    Raises:
        InputError: fewer than two files or one twice, other chromosomes, no bigWig, or a mean that
            is not above 0 under ``genome_mean``.
    """
    if len(paths) < 2 or len(set(map(str, paths))) < len(paths):
        raise InputError(
            f"{', '.join(map(str, paths)) or 'no file'}: expected two or more replicates, each "
            "once, found others; name a single file in the sheet of tracks itself."
        )
    with contextlib.ExitStack() as stack:
        tracks = [stack.enter_context(BigWig(path)) for path in paths]
        lengths = tracks[0].lengths
        for track in tracks[1:]:
            _check_chromosomes(tracks[0], track)
        factors = np.array([_factor(track, depth) for track in tracks])
        moments = np.zeros((len(tracks) + 1,) * 2)
        with atomic_path(out) as temporary, pyBigWig.open(str(temporary), "w") as file:
            file.addHeader(list(lengths.items()))
            for chrom, length in lengths.items():
                for start in range(0, length, _BLOCK_BP):
                    end = min(start + _BLOCK_BP, length)
                    values = np.stack([track.values(chrom, start, end) for track in tracks])
                    absent = np.isnan(values).all(axis=0)
                    scaled = np.nan_to_num(values).astype(np.float64) * factors[:, None]
                    ones = np.ones((1, end - start))
                    rows = np.concatenate([scaled, ones])
                    moments += rows @ rows.T
                    _write(file, chrom, start, np.where(absent, np.nan, scaled.mean(axis=0)))
    return _agreement(list(map(str, paths)), moments)


def _check_chromosomes(one: BigWig, other: BigWig) -> None:
    if one.lengths != other.lengths:
        first = next(
            name for name in [*one.lengths, *other.lengths]
            if one.lengths.get(name) != other.lengths.get(name)
        )  # fmt: skip
        raise InputError(
            f"{other.path}: expected the chromosomes of {one.path}, found {first} of "
            f"{other.lengths.get(first, 'no')} bp here and {one.lengths.get(first, 'no')} bp "
            "there; give replicates on one assembly."
        )


def _factor(track: BigWig, depth: str) -> float:
    if depth == "none":
        return 1.0
    mean = track.summary.total / sum(track.lengths.values())
    if not mean > 0:
        raise InputError(
            f"{track.path}: expected a mean above 0 to divide by, found {mean:g}; leave --depth "
            "out, or give a track of values >= 0."
        )
    return 1.0 / mean


def _write(file: Any, chrom: str, start: int, values: np.ndarray) -> None:
    """Runs of equal values as intervals; float32, NaN for none."""
    values = values.astype(np.float32)
    same = (values[1:] == values[:-1]) | (np.isnan(values[1:]) & np.isnan(values[:-1]))
    edges = np.concatenate([[0], np.flatnonzero(~same) + 1, [len(values)]])
    begins, ends = edges[:-1], edges[1:]
    held = ~np.isnan(values[begins])
    if held.any():
        file.addEntries(
            [chrom] * int(held.sum()), (begins[held] + start).tolist(),
            ends=(ends[held] + start).tolist(), values=values[begins[held]].tolist(),
        )  # fmt: skip


def _agreement(names: list[str], moments: np.ndarray) -> list[str]:
    n = moments[-1, -1]
    means = moments[:-1, -1] / n
    covariance = moments[:-1, :-1] / n - np.outer(means, means)
    spread = np.sqrt(np.diag(covariance))
    with np.errstate(invalid="ignore", divide="ignore"):
        correlation = covariance / np.outer(spread, spread)
    return [
        f"{names[i]} and {names[j]}: Pearson correlation {correlation[i, j]:.3f} over {n:,.0f} bp"
        for i, j in itertools.combinations(range(len(names)), 2)
    ]


def main(arguments: list[str] | None = None) -> int:
    """Command line; exit 2 with one sentence if the file can't be made."""
    parser = argparse.ArgumentParser(
        prog="python -m prismflow.data.replicates", description="Average replicates of a track."
    )
    parser.add_argument("replicates", nargs="+", type=Path, metavar="BIGWIG")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--depth", choices=DEPTHS, default="none")
    options = parser.parse_args(arguments)
    try:
        for sentence in mean_of_tracks(options.replicates, options.out, options.depth):
            print(sentence)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
