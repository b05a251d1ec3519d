"""Peaks of a bigWig: blocks, their share by area, a control, merging; against plain loops."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyBigWig
import pytest

from prismflow.data import called_peaks
from prismflow.data.bigwig import BigWig
from prismflow.data.called_peaks import (
    above_control,
    blocks_of,
    control_threshold,
    find_blocks,
    merge_near,
    top_blocks,
    write_called_peaks,
)
from prismflow.errors import InputError


def sparse(seed: int, n: int = 500) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 4, n) * (np.sin(np.arange(n) / 9 + seed) > 0)


def bigwig(path: Path, chromosomes: dict[str, np.ndarray]) -> Path:
    with pyBigWig.open(str(path), "w") as out:
        out.addHeader([(name, len(values)) for name, values in chromosomes.items()])
        for name, values in chromosomes.items():
            at = np.flatnonzero(values)
            if len(at):
                out.addEntries([name] * len(at), at.tolist(), ends=(at + 1).tolist(),
                               values=values[at].astype(float).tolist())  # fmt: skip
    return path


def by_hand(values: np.ndarray, floor: float) -> list[tuple]:
    found, start = [], None
    for at, value in enumerate([*values, floor]):
        if value > floor and start is None:
            start = at
        elif value <= floor and start is not None:
            run = values[start:at]
            found.append((start, at, run.sum(), run.max(), start + int(run.argmax())))
            start = None
    return found


@pytest.mark.parametrize("floor", [0.0, 1.0])
@pytest.mark.parametrize("seed", range(3))
def test_blocks_are_those_of_a_plain_loop(seed: int, floor: float) -> None:
    values = sparse(seed).astype(float)
    found = [tuple(row) for row in blocks_of(values, floor).itertuples(index=False)]
    assert len(found) > 5
    assert found == by_hand(values, floor)


def test_a_block_over_the_edge_of_two_reads_is_one(tmp_path: Path, monkeypatch) -> None:
    path = bigwig(tmp_path / "a.bw", {"chr1": sparse(1), "chr2": sparse(2)})
    with BigWig(path) as track:
        whole = find_blocks(track, 0.0)
        monkeypatch.setattr(called_peaks, "READ_BP", 7)
        pieces = find_blocks(track, 0.0)
    pd.testing.assert_frame_equal(whole, pieces, check_dtype=False)


def block_table(*rows: tuple) -> pd.DataFrame:
    made = [("chr1", s, e, area, 1.0, s) for s, e, area in rows]
    return pd.DataFrame(made, columns=called_peaks.COLUMNS)


def test_the_share_takes_the_largest_areas_in_the_order_of_the_genome() -> None:
    blocks = block_table((0, 9, 5), (20, 29, 1), (40, 49, 7), (60, 69, 5), (80, 89, 2))
    assert top_blocks(blocks, 0.4)["start"].tolist() == [0, 40]
    assert top_blocks(blocks, 0.41)["start"].tolist() == [0, 40, 60]


def test_peaks_nearer_than_a_tenth_of_their_mean_length_are_one() -> None:
    peaks = block_table((0, 100, 5), (109, 209, 7), (219, 319, 3))
    merged = merge_near(peaks)
    assert merged[["start", "end", "area"]].to_numpy().tolist() == [[0, 209, 12], [219, 319, 3]]


@pytest.mark.parametrize("seed", range(5))
def test_the_threshold_is_the_lowest_with_95_percent_of_the_best_share(seed: int) -> None:
    rng = np.random.default_rng(seed)
    own, control = rng.gamma(2, 5, 60).round(), rng.gamma(2, 1, 90).round()
    shares = {}
    for t in [0, *own, *control]:
        n, m = (own > t).sum(), (control > t).sum()
        shares[t] = n / (n + m) if n + m else 0
    best = max(shares.values())
    assert control_threshold(own, control) == min(t for t, s in shares.items() if s >= 0.95 * best)


def test_a_block_over_a_high_block_of_the_control_is_dropped() -> None:
    blocks = block_table((0, 100, 50), (200, 300, 60), (400, 500, 70), (600, 700, 55))
    control = block_table((150, 201, 40), (300, 310, 3), (500, 510, 1))
    kept = above_control(blocks, control.assign(area=[40.0, 3.0, 1.0]), "control.bw")
    assert kept["start"].tolist() == [0, 200, 400, 600]
    lower = block_table((0, 100, 5), (200, 300, 60), (400, 500, 70), (600, 700, 55))
    high = block_table((300, 400, 80), (450, 460, 90))
    with_overlap = above_control(lower, high, "control.bw")
    assert with_overlap["start"].tolist() == [0, 200, 600]


def test_a_file_of_peaks_is_read_by_the_kind_that_reads_others(tmp_path: Path) -> None:
    from prismflow.data.windows import read_bed

    values = np.zeros(3000)
    values[100:200] = 5
    values[150] = 9
    values[900:910] = 1
    path = bigwig(tmp_path / "a.bw", {"chr1": values})
    write_called_peaks(path, tmp_path / "out.narrowPeak", top_share=0.5)
    fields = (tmp_path / "out.narrowPeak").read_text().splitlines()[0].split("\t")
    assert fields == ["chr1", "100", "200", "peak1", "0", ".", "504", "-1", "-1", "50"]
    regions = read_bed(tmp_path / "out.narrowPeak")
    assert regions[["chrom", "start", "end"]].to_numpy().tolist() == [["chr1", 100, 200]]


@pytest.mark.parametrize(
    ("track", "control", "options", "sentence"),
    [
        ([1, -1], None, {"top_share": 0.1}, "at least 0 to call peaks, found -1 on chr1"),
        ([1, 1], None, {"top_share": 0.1, "floor": 3.0}, "bases above 3 to call peaks, found none"),
        ([1, 1], None, {"top_share": None}, "one of top_share and control, found neither"),
        ([1, 1], [1, 1], {"top_share": 0.1}, "one of top_share and control, found both"),
        ([1, 1], [1, 1], {"top_share": None}, "is it the track itself"),
        ([1, 1], [1, 1, 1], {"top_share": None}, "found chr1 of another length"),
    ],
)
def test_wrong_tracks_give_one_sentence(tmp_path: Path, track, control, options, sentence) -> None:
    own = bigwig(tmp_path / "a.bw", {"chr1": np.array(track)})
    other = None
    if control is not None:
        other = bigwig(tmp_path / "b.bw", {"chr1": np.array(control)})
    with pytest.raises(InputError, match=sentence):
        write_called_peaks(own, tmp_path / "out.narrowPeak", control=other, **options)
