"""Replicates of a track: mean per base, depth, agreement, what cannot be averaged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyBigWig
import pytest

from prismflow.data.bigwig import BigWig
from prismflow.data.replicates import main, mean_of_tracks
from prismflow.errors import InputError

LENGTHS = {"chr1": 60, "chr2": 30}


def track(path: Path, lengths: dict[str, int] | None = None, scale: float = 1.0) -> Path:
    """Values on some bases of each chromosome, drawn from the file's name."""
    rng = np.random.default_rng(list(path.stem.encode()))
    with pyBigWig.open(str(path), "w") as out:
        out.addHeader(list((lengths or LENGTHS).items()))
        for chrom, length in (lengths or LENGTHS).items():
            at = np.flatnonzero(rng.random(length) < 0.7)
            values = (scale * rng.integers(1, 9, len(at))).tolist()
            out.addEntries([chrom] * len(at), at.tolist(), ends=(at + 1).tolist(), values=values)
    return path


def dense(path: Path) -> np.ndarray:
    with BigWig(path) as opened:
        return np.concatenate([opened.values(c, 0, n) for c, n in LENGTHS.items()])


def test_the_mean_counts_a_missing_base_as_zero_unless_all_lack_it(tmp_path: Path) -> None:
    paths = [track(tmp_path / f"{name}.bw") for name in "abc"]
    (first, *_) = mean_of_tracks(paths, tmp_path / "mean.bw")
    values = np.stack([dense(path) for path in paths])
    absent = np.isnan(values).all(axis=0)
    assert absent.any() and np.isnan(values).any(axis=0).sum() > absent.sum()
    wanted = np.where(absent, np.nan, np.nan_to_num(values).mean(axis=0))
    np.testing.assert_allclose(dense(tmp_path / "mean.bw"), wanted, rtol=1e-6)
    pearson = np.corrcoef(np.nan_to_num(values[:2]))[0, 1]
    assert f"Pearson correlation {pearson:.3f} over 90 bp" in first


def test_depth_is_off_by_default_and_makes_deeper_files_count_alike(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    paths = [track(tmp_path / "a.bw"), track(tmp_path / "b.bw")]
    deeper = [paths[0], track(tmp_path / "deep" / "b.bw", scale=10.0)]
    for depth, equal in (("none", False), ("genome_mean", True)):
        found = []
        for number, given in enumerate((paths, deeper)):
            out = tmp_path / f"{depth}{number}.bw"
            mean_of_tracks(given, out, depth)
            found.append(np.nan_to_num(dense(out)))
        assert np.allclose(*found, rtol=1e-5) is equal
    assert found[0].mean() == pytest.approx(1.0, rel=1e-5)


def test_what_cannot_be_averaged_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, other = track(tmp_path / "a.bw"), track(tmp_path / "b.bw", {"chr1": 61, "chr2": 30})
    for given, said in (
        ([one], "expected two or more replicates"),
        ([one, one], "each once"),
        ([one, other], "found chr1 of 61 bp here and 60 bp there"),
    ):
        with pytest.raises(InputError, match=said):
            mean_of_tracks(given, tmp_path / "out.bw")
        assert not (tmp_path / "out.bw").exists()
    negative = track(tmp_path / "c.bw", scale=-1.0)
    with pytest.raises(InputError, match="expected a mean above 0 to divide by"):
        mean_of_tracks([one, negative], tmp_path / "out.bw", "genome_mean")
    assert main([str(one), "--out", str(tmp_path / "out.bw")]) == 2
    assert "expected two or more replicates" in capsys.readouterr().err
    third = track(tmp_path / "d.bw")
    assert main([str(one), str(third), "--out", str(tmp_path / "out.bw")]) == 0
    assert "Pearson correlation" in capsys.readouterr().out and (tmp_path / "out.bw").exists()
