"""Whatever a reader skips is counted: kept and skipped are all that was read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyBigWig
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prismflow.data.chromosomes import Genes
from prismflow.data.counts import Count, rows_of
from prismflow.data.elements import candidate_elements
from prismflow.data.tracks import inspect_track
from prismflow.data.windows import read_bed

LENGTHS = {"chr1": 30_000, "chr2": 9000, "chr3": 5000}
GENES = Genes(np.array(["chr1", "chr1", "chr2"], dtype=object), np.array([900, 15_000, 4000]),
              LENGTHS)  # fmt: skip
PEAK = st.tuples(st.sampled_from(list(LENGTHS)), st.integers(0, 4000), st.integers(1, 900)).map(
    lambda p: f"{p[0]}\t{p[1]}\t{p[1] + p[2]}"
)
OTHER = st.sampled_from(["# a comment", "track name=x", "browser hide all", ""])
LINES = st.lists(st.one_of(PEAK, PEAK, OTHER), max_size=30)
ALWAYS = ["chr1\t10\t50", "chr2\t10\t50"]


def adds_up(count: dict) -> bool:
    return count["read"] == count["kept"] + sum(count["skipped"].values())


@given(lines=LINES)
@settings(max_examples=60, deadline=None)
def test_lines_of_a_bed(tmp_path_factory: pytest.TempPathFactory, lines: list[str]) -> None:
    path = tmp_path_factory.mktemp("bed") / "x.bed"
    path.write_text("\n".join([*lines, *ALWAYS]) + "\n")
    count = Count("lines")
    kept = read_bed(path, count=count)
    assert count.n_read == len(lines) + 2
    assert count.plain(len(kept))["kept"] == sum("\t" in line for line in lines) + 2


@given(lines=LINES)
@settings(max_examples=25, deadline=None)
def test_peaks_against_genes(tmp_path_factory: pytest.TempPathFactory, lines: list[str]) -> None:
    path = tmp_path_factory.mktemp("peaks") / "x.bed"
    path.write_text("\n".join([*lines, *ALWAYS]) + "\n")
    (count,) = inspect_track(path, "peaks", GENES)["counts"]
    assert adds_up(count) and count["read"] == len(lines) + 2
    assert count["skipped"].get("peak on a chromosome without genes", 0) == sum(
        line.startswith("chr3") for line in lines
    )


def test_peaks_of_elements(tmp_path: Path) -> None:
    path, bad = tmp_path / "x.bed", tmp_path / "bad.bed"
    path.write_text("chr1\t100\t200\nchr1\t150\t260\nchr1\t20000\t20100\nchr2\t5\t9\nchr3\t1\t9\n")
    bad.write_text("chr1\t20050\t20060\n")
    count = Count("peaks")
    found = candidate_elements(path, GENES, width_bp=100, blacklist=bad, count=count)
    assert len(found) == 2  # two of the three that are left touch
    assert count.plain() == {
        "unit": "peaks", "read": 5, "kept": 3,
        "skipped": {"on a chromosome without genes": 1, "in a blacklisted region": 1},
    }  # fmt: skip


@given(steps=st.lists(st.tuples(st.integers(1, 300), st.integers(0, 300)), min_size=1, max_size=12))
@settings(max_examples=25, deadline=None)
def test_bases_of_a_bigwig(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, int]]
) -> None:
    path = tmp_path_factory.mktemp("bw") / "x.bw"
    covered = 0
    with pyBigWig.open(str(path), "w") as out:
        out.addHeader(list(LENGTHS.items()))
        for chrom in LENGTHS:
            at = 0
            for width, gap in steps:
                out.addEntries([chrom], [at], ends=[at + width], values=[1.5])
                covered += width
                at += width + gap
                if at > 4000:
                    break
    (count,) = inspect_track(path, "signal", GENES)["counts"]
    assert adds_up(count)
    assert (count["read"], count["kept"]) == (sum(LENGTHS.values()), covered)


def test_a_reader_that_loses_something_does_not_pass() -> None:
    count = Count("rows", 5)
    count.skip("why", 2)
    with pytest.raises(RuntimeError, match="2 rows kept of 5"):
        count.plain(2)
    count.skip("why", 4)
    with pytest.raises(RuntimeError, match="5 read, skipped"):
        count.plain()


def test_rows_name_the_most_frequent_reason_first() -> None:
    count = Count("rows", 9)
    count.skip("rare", 1)
    count.skip("often", 3)
    count.skip("never", 0)
    rows = rows_of([count.plain()], input="genes", cell="")
    assert [(row["outcome"], row["reason"], row["n"]) for row in rows] == [
        ("read", "", 9), ("kept", "", 5), ("skipped", "often", 3), ("skipped", "rare", 1),
    ]  # fmt: skip
