"""bigWig files: damage is noticed before the reading library sees it; windows in large reads."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pyBigWig
import pytest

from prismflow.data import bigwig as module
from prismflow.data.bigwig import BigWig
from prismflow.data.bigwig_check import check_bigwig
from prismflow.errors import InputError

LENGTHS = {"chr1": 30_000, "chr2": 9000}


def write_bigwig(path: Path, lengths: dict[str, int] = LENGTHS, seed: int = 4) -> dict:
    """A bigWig with gaps; returns the dense values, NaN in gaps."""
    rng = np.random.default_rng(seed)
    dense = {}
    with pyBigWig.open(str(path), "w") as out:
        out.addHeader(list(lengths.items()))
        for chrom, length in lengths.items():
            values = rng.random(length).astype(np.float32) * 9
            values[rng.random(length) < 0.2] = np.nan
            dense[chrom] = values
            at = np.flatnonzero(~np.isnan(values))
            out.addEntries(
                [chrom] * len(at), at.tolist(), ends=(at + 1).tolist(),
                values=values[at].astype(float).tolist(),
            )  # fmt: skip
    return dense


def test_summary_and_values(tmp_path: Path) -> None:
    dense = write_bigwig(tmp_path / "x.bw")
    everything = np.concatenate(list(dense.values()))
    with BigWig(tmp_path / "x.bw") as track:
        assert track.lengths == LENGTHS
        assert track.summary.covered == np.count_nonzero(~np.isnan(everything))
        assert track.summary.mean == pytest.approx(np.nanmean(everything), rel=1e-5)
        assert track.summary.maximum == pytest.approx(np.nanmax(everything), rel=1e-6)
        np.testing.assert_array_equal(track.values("chr1", 5, 90), dense["chr1"][5:90])


@pytest.mark.parametrize("limit", [1 << 22, 3000, 10])
@pytest.mark.parametrize("window_bp", [2, 500, 40_000])
def test_windows_against_slices(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, window_bp: int, limit: int
) -> None:
    monkeypatch.setattr(module, "_BLOCK_BP", limit)
    monkeypatch.setattr(module, "_JOIN_BP", 100)
    monkeypatch.setattr(module, "_BLOCK_VALUES", 4 * window_bp)
    dense = write_bigwig(tmp_path / "x.bw")["chr2"]
    starts = np.random.default_rng(1).integers(-300, 9100, 60)
    padded = np.concatenate([np.zeros(50_000), dense, np.zeros(50_000)]).astype(np.float32)
    seen = np.zeros(60, dtype=int)
    with BigWig(tmp_path / "x.bw") as track:
        for rows, values in track.windows("chr2", starts, window_bp):
            assert len(rows) <= 4
            for row, window in zip(rows, values, strict=True):
                at = starts[row] + 50_000
                np.testing.assert_array_equal(window, padded[at : at + window_bp])
            seen[rows] += 1
    assert seen.tolist() == [1] * 60


def test_every_cut_is_noticed(tmp_path: Path) -> None:
    whole = tmp_path / "x.bw"
    write_bigwig(whole)
    data = whole.read_bytes()
    cut = tmp_path / "cut.bw"
    for length in [4, 20, 63, 64, 200, *np.linspace(300, len(data) - 5, 40).astype(int)]:
        cut.write_bytes(data[:length])
        with pytest.raises(InputError, match=r"cut.bw: the bigWig is (truncated|damaged)"):
            check_bigwig(cut)
    cut.write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match=f"the file has {len(data) // 2}"):
        BigWig(cut)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "found an empty file"),
        (b"chr1\t0\t10\t5.0\n", r"found a file of text starting with b'chr1"),
        (b"ab", "found a file of text"),
        (gzip.compress(b"x", mtime=0), "found a file of gzip"),
        (bytes([0xEB, 0xF2, 0x89, 0x87]) + bytes(100), "found a bigBed"),
        (bytes([0x26, 0xFC, 0x8F, 0x88]) + bytes(100), "damaged: no chromosome tree"),
    ],
)
def test_files_of_another_kind(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "x.bw"
    path.write_bytes(content)
    with pytest.raises(InputError, match=words) as caught:
        BigWig(path)
    assert str(path) in str(caught.value)
    with pytest.raises(InputError, match="no such file"):
        BigWig(tmp_path / "none.bw")


def test_infinite_values_are_refused(tmp_path: Path) -> None:
    with pyBigWig.open(str(tmp_path / "x.bw"), "w") as out:
        out.addHeader([("chr1", 100)])
        out.addEntries(["chr1"], [5], ends=[9], values=[float("inf")])
    with BigWig(tmp_path / "x.bw") as track, pytest.raises(InputError, match="infinite values"):
        track.values("chr1", 0, 50)


def test_real_tracks_are_whole(realdata_dir: Path) -> None:
    summary = check_bigwig(realdata_dir / "signals" / "K562_accessibility.chr22.bw")
    assert (summary.minimum, summary.maximum) == (1, 358)
    assert summary.covered == 13_864_049
