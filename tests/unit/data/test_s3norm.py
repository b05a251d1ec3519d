"""S3norm: A and B against a brute-force solution, from files, on training chromosomes only."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyBigWig
import pytest
from scipy import stats

from prismflow.data.s3norm import fit, fit_files, peak_bins, training_chromosomes
from prismflow.data.transforms import S3NORM_LIMIT, apply_transform
from prismflow.errors import InputError


def two_tracks(seed: int, n: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """Bins of a track and of a reference that differ by a power, a factor and noise."""
    rng = np.random.default_rng(seed)
    truth = rng.gamma(2, 1, n)
    truth[rng.choice(n, n // 50, replace=False)] += 60
    noise = rng.lognormal(0, 0.2, (2, n))
    track = 3 * truth**0.7 * noise[0]
    track[rng.random(n) < 0.1] = 0
    return track, truth * noise[1]


@pytest.mark.parametrize("seed", range(4))
def test_a_and_b_are_those_of_a_search_over_all_powers(seed: int) -> None:
    track, reference = two_tracks(seed)
    own, other = peak_bins(track), peak_bins(reference)
    there = (track > 0) & (reference > 0)
    peaks, background = there & own & other, there & ~own & ~other
    powers = np.linspace(0.01, 4, 4001)
    mean_peaks = np.array([np.mean(track[peaks] ** b) for b in powers])
    mean_background = np.array([np.mean(track[background] ** b) for b in powers])
    wanted = reference[peaks].mean() / reference[background].mean()
    best = int(np.argmin(np.abs(np.log(mean_peaks / mean_background / wanted))))
    found = fit(track, reference)
    assert found.solved
    assert found.b == pytest.approx(powers[best], abs=0.001)
    assert found.a == pytest.approx(reference[background].mean() / mean_background[best], rel=0.005)
    scaled = found.a * track**found.b
    assert scaled[peaks].mean() == pytest.approx(reference[peaks].mean(), rel=1e-8)
    assert scaled[background].mean() == pytest.approx(reference[background].mean(), rel=1e-8)


def test_peak_bins_are_those_of_a_step_by_step_benjamini_hochberg() -> None:
    values = two_tracks(0)[0]
    p = stats.norm.sf(values, values.mean(), values.std())
    wanted = stats.false_discovery_control(p) < 0.05
    np.testing.assert_array_equal(peak_bins(values), wanted)
    flat = np.arange(10_000.0)
    assert np.flatnonzero(peak_bins(flat)).tolist() == list(range(9990, 10_000))


@pytest.mark.parametrize(
    ("track", "sentence"),
    [
        (np.ones(100), "found 0 and 99 of 100 bins"),
        (-np.arange(100.0), "needs values >= 0, found -99"),
    ],
    ids=["flat", "negative"],
)
def test_tracks_that_cannot_be_fitted(track: np.ndarray, sentence: str) -> None:
    reference = np.r_[np.ones(99), 90.0]
    with pytest.raises(InputError, match=sentence):
        fit(track, reference, "own.bw")


def test_the_transform_applies_the_fitted_numbers() -> None:
    values = np.array([0, 4, 9, 1e30], np.float32)
    found = apply_transform("s3norm", values, {"a": 2.0, "b": 0.5})
    np.testing.assert_allclose(found, [0, 4, 6, S3NORM_LIMIT])
    assert found.dtype == np.float32
    again = apply_transform("s3norm:log1p", values, {"a": 2.0, "b": 0.5})
    np.testing.assert_allclose(again, np.log1p(found))
    with pytest.raises(InputError, match=r"needs a track that it was fitted to"):
        apply_transform("s3norm", values)
    with pytest.raises(InputError, match="needs values >= 0, found -1"):
        apply_transform("s3norm", -np.ones(1), {"a": 2.0, "b": 0.5})


def write(path: Path, bins: dict[str, np.ndarray]) -> Path:
    with pyBigWig.open(str(path), "w") as file:
        file.addHeader([(name, 200 * len(values) + 7) for name, values in bins.items()])
        for name, values in bins.items():
            file.addEntries(name, 0, values=values.astype(np.float64), span=200, step=200)
    return path


def test_files_are_fitted_on_the_chromosomes_given_alone(tmp_path: Path) -> None:
    track, reference = (values.astype(np.float32) for values in two_tracks(1))
    own = write(tmp_path / "own.bw", {"1": track, "2": track[:99]})
    other = write(tmp_path / "other.bw", {"chr1": reference, "chr2": 50 + reference[:99]})
    found = fit_files(own, other, {"chr1"}, {"1": "chr1", "2": "chr2"})
    wanted = fit(track.astype(float), reference.astype(float))
    assert (found["a"], found["b"]) == pytest.approx((wanted.a, wanted.b), rel=1e-6)
    assert found["chromosomes"] == ["chr1"]
    same = fit_files(other, other, {"chr1"}, {})
    assert (same["a"], same["b"]) == pytest.approx((1, 1), rel=1e-9)
    with pytest.raises(InputError, match=r"own.bw: s3norm needs training chromosomes"):
        fit_files(own, other, {"chr9"}, {})
    short = write(tmp_path / "short.bw", {"chr1": reference[:50]})
    with pytest.raises(InputError, match="use files of one assembly"):
        fit_files(other, short, {"chr1"}, {})


def test_only_chromosomes_that_train_in_every_fold_are_taken() -> None:
    chroms = pd.Series(["chr1", "chr1", "chr2", "chr3"])
    splits = pd.DataFrame(
        {"fold1": ["train", "none", "valid", "train"], "fold2": ["train", "train", "train", "test"]}
    )
    assert training_chromosomes(chroms, splits, ["fold1"]) == {"chr1", "chr3"}
    assert training_chromosomes(chroms, splits, ["fold1", "fold2"]) == {"chr1"}
    with pytest.raises(InputError, match="found none: each has a validation or test gene"):
        training_chromosomes(chroms[2:], splits[2:], ["fold1", "fold2"])
