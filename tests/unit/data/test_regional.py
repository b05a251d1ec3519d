"""The level of a signal in the region round a gene."""

from __future__ import annotations

import numpy as np
import pyBigWig
import pytest

from prismflow.data.chromosomes import Genes
from prismflow.data.regional import FLOOR_SHARE, regional_level
from prismflow.errors import InputError

LENGTHS = {"chr1": 60_000, "chr2": 30_000}


def track(path, values: dict[str, np.ndarray]):
    file = pyBigWig.open(str(path), "w")
    file.addHeader(list(LENGTHS.items()))
    for chrom, own in values.items():
        there = np.flatnonzero(np.isfinite(own))
        file.addEntries(
            [chrom] * there.size,
            there.tolist(),
            ends=(there + 1).tolist(),
            values=own[there].tolist(),
        )
    file.close()
    return path


def genes(*places: tuple[str, int]) -> Genes:
    import pandas as pd

    table = pd.DataFrame(places, columns=["chrom", "tss"]).assign(strand="+")
    table["gene_id"] = [f"g{i}" for i in range(len(table))]
    table["window_start"], table["window_end"] = table["tss"] - 100, table["tss"] + 100
    return Genes.from_table(table, LENGTHS, source="genes.tsv", lengths_source="genome.fa")


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    values = {chrom: np.full(length, 2.0) for chrom, length in LENGTHS.items()}
    values["chr1"][:20_000] = 5.0
    values["chr1"][9_000:11_000] = 100.0  # the promoter itself, inside the inner distance
    values["chr1"][12_000:13_000] = 80.0  # a peak of a neighbour
    values["chr1"][40_000:42_000] = np.nan
    return track(tmp_path_factory.mktemp("track") / "t.bw", values)


def test_the_median_of_the_ring_sees_the_region_and_no_peak(path) -> None:
    level = regional_level(
        path, genes(("chr1", 10_000), ("chr1", 41_000), ("chr2", 5)), 1_500, 6_000
    )
    with pyBigWig.open(str(path)) as file:
        floor = FLOOR_SHARE * file.header()["sumData"] / file.header()["nBasesCovered"]
    np.testing.assert_allclose(np.exp(level) - floor, [5.0, 2.0, 2.0], rtol=1e-5)


def test_a_gene_whose_chromosome_is_absent_gets_the_median_of_the_others(tmp_path) -> None:
    only = track(tmp_path / "one.bw", {"chr1": np.full(LENGTHS["chr1"], 3.0)})
    chosen = genes(("chr1", 20_000), ("chr2", 15_000))
    level = regional_level(only, chosen, 1_500, 6_000, "missing")
    assert level[0] == level[1]
    with pytest.raises(InputError, match="chr2"):
        regional_level(only, chosen, 1_500, 6_000)


def test_negative_medians_are_refused(tmp_path) -> None:
    negative = track(tmp_path / "n.bw", {c: np.full(n, -1.0) for c, n in LENGTHS.items()})
    with pytest.raises(InputError, match="2 genes with a negative and 0 without any of 2"):
        regional_level(negative, genes(("chr1", 20_000), ("chr2", 15_000)), 1_500, 6_000)


@pytest.mark.parametrize(("covered", "said"), [(2_500, True), (7_000, False)])
def test_a_track_of_peaks_is_said_to_have_no_background_level(
    tmp_path, caplog, covered: int, said: bool
) -> None:
    """Bases of the ring: 9,000 on either side of the inner 3,000."""
    values = np.full(LENGTHS["chr1"], np.nan)
    for start in (28_500 - 9_000, 31_500):
        values[start : start + covered] = 4.0
    peaks = track(tmp_path / "peaks.bw", {"chr1": values})
    regional_level(peaks, genes(("chr1", 30_000)), 1_500, 10_500)
    assert ("track of peaks" in caplog.text) is said
