"""Tracks around genes: missing values, peaks, summaries, real accessibility."""

from __future__ import annotations

import gzip
import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pyBigWig
import pytest
from safetensors.numpy import load_file
from scipy.stats import spearmanr

from prismflow.data.chromosomes import Genes
from prismflow.data.elements import candidate_elements
from prismflow.data.kinds.peaks import peak_windows
from prismflow.data.kinds.signal import read_windows
from prismflow.data.promoters import activity_of_promoters, core_means
from prismflow.data.tracks import inspect_track
from prismflow.errors import InputError

LENGTHS = {"chr1": 20_000, "chr2": 8000}


def genes(chroms: list[str], tss: list[int], **further: object) -> Genes:
    return Genes(np.array(chroms, dtype=object), np.array(tss), LENGTHS, **further)


def write_track(path: Path, intervals: list[tuple[str, int, int, float]], names=LENGTHS) -> Path:
    with pyBigWig.open(str(path), "w") as out:
        out.addHeader(list(names.items()))
        for chrom, start, end, value in intervals:
            out.addEntries([chrom], [start], ends=[end], values=[value])
    return path


@pytest.fixture
def track(tmp_path: Path) -> Path:
    intervals = [("chr1", 0, 4000, 2.0), ("chr1", 5000, 20_000, 4.0), ("chr2", 0, 8000, 1.0)]
    return write_track(tmp_path / "x.bw", intervals)


def test_loader_windows_of_the_released_code(golden_dir: Path, tmp_path: Path) -> None:
    cases = json.loads((golden_dir / "loader" / "cases.json").read_text())
    stored = load_file(golden_dir / "loader" / "windows.safetensors")
    values = stored["in.values"]
    path = tmp_path / "x.bw"
    with pyBigWig.open(str(path), "w") as out:
        out.addHeader([("chr1", 5000)])
        at = np.flatnonzero(~np.isnan(values))
        out.addEntries(
            ["chr1"] * len(at), at.tolist(), ends=(at + 1).tolist(),
            values=values[at].astype(float).tolist(),
        )  # fmt: skip
    tss = np.array(cases["tss"])
    where = Genes(np.array(["chr1"] * len(tss), dtype=object), tss, {"chr1": 5000})
    found, count = read_windows(path, where, cases["seq_range"])
    for row, position in enumerate(cases["tss"]):
        np.testing.assert_array_equal(found[row], np.nan_to_num(stored[f"signal.{position}"]))
    assert count.n_bases == sum(
        int(np.isnan(values[max(t - 1000, 0) : t + 1000]).sum()) for t in cases["tss"]
    )


def test_policies_for_missing_bases(track: Path) -> None:
    where = genes(["chr1", "chr1"], [4000, 100])
    zero, count = read_windows(track, where, 400)
    assert zero[0].tolist() == [2.0] * 200 + [0.0] * 200
    assert zero[1].tolist() == [0.0] * 100 + [2.0] * 300
    assert count.n_bases == 200
    mean, _ = read_windows(track, where, 400, missing="mean")
    expected = (2 * 4000 + 4 * 15_000 + 8000) / 27_000
    assert mean[0, 200:] == pytest.approx(expected)
    assert mean[1, :100].tolist() == [0.0] * 100
    with pytest.raises(InputError, match="200 bases without a value in windows on chr1"):
        read_windows(track, where, 400, missing="error")
    with pytest.raises(InputError, match="'guess' is not known"):
        read_windows(track, where, 400, missing="guess")


def test_chromosomes_that_differ(tmp_path: Path, track: Path) -> None:
    other = write_track(tmp_path / "y.bw", [("1", 0, 9, 1.0)], {"1": 20_000, "2": 8000})
    where = genes(["chr1", "chr2"], [50, 60], source="genes.tsv")
    with pytest.raises(InputError, match=r"genes.tsv has chr1, chr2; .*y.bw has 1, 2"):
        read_windows(other, where, 20)
    aliases = {"1": "chr1", "2": "chr2"}
    values, _ = read_windows(other, genes(["chr1"], [5], aliases=aliases), 10)
    assert values[0].tolist() == [1.0] * 9 + [0.0]

    lacking = write_track(tmp_path / "z.bw", [("chr1", 0, 900, 1.0)], {"chr1": 20_000})
    with pytest.raises(InputError, match=r"z.bw: no data for chr2 \(1 genes\)"):
        read_windows(lacking, where, 20)
    values, count = read_windows(lacking, where, 200, absent_chromosomes="missing")
    assert values[1].tolist() == [0.0] * 200
    assert count.n_genes_without_chromosome == 1
    assert count.n_bases == 160
    with pytest.raises(InputError, match="absent_chromosomes 'skip' is not known"):
        read_windows(lacking, where, 20, absent_chromosomes="skip")
    wrong = write_track(tmp_path / "w.bw", [("chr1", 0, 9, 1.0)], {"chr1": 19_999, "chr2": 8000})
    with pytest.raises(InputError, match=r"chr1 has 20000 .* but 19999 .* different assemblies"):
        read_windows(wrong, where, 20)


def test_promoter_activity(track: Path) -> None:
    where = genes(["chr1", "chr2", "chr1"], [4000, 4000, 200])
    means = core_means(track, where)
    assert means.tolist() == [1.0, 1.0, 1.4]
    assert activity_of_promoters(means, means * 4).tolist() == pytest.approx([2.0, 2.0, 2.8])
    with pytest.raises(InputError, match="negative means at 1 promoters"):
        activity_of_promoters(np.array([1.0, -1.0]), np.array([1.0, 1.0]))


def test_peaks_from_bed_and_bigwig(tmp_path: Path, track: Path) -> None:
    path = tmp_path / "x.bed"
    path.write_text("chr1\t100\t110\tp\nchr1\t95\t99\tp\nchr1\t98\t103\tp\nchr1\t500\t600\tq\n")
    where = genes(["chr1", "chr2"], [100, 100])
    with pytest.raises(InputError, match=r"no data for chr2 \(1 genes\) .*; it has chr1"):
        list(peak_windows(path, where, 20))
    lenient = peak_windows(path, where, 20, absent_chromosomes="missing")
    masks = np.concatenate([mask for _, mask in lenient])
    found = inspect_track(path, "peaks", where, absent_chromosomes="missing")
    assert found["n_genes_without_chromosome"] == 1
    assert masks[0].tolist() == [0] * 5 + [1] * 15
    assert masks[1].sum() == 0
    assert masks.dtype == np.uint8
    edge = np.concatenate([m for _, m in peak_windows(path, genes(["chr1"], [114]), 20)])
    assert edge[0].tolist() == [1] * 6 + [0] * 14
    rows, mask = next(peak_windows(track, genes(["chr1"], [4000]), 20))
    assert (rows.tolist(), mask[0].tolist()) == ([0], [1] * 10 + [0] * 10)
    path.write_text("1\t100\t110\n")
    with pytest.raises(InputError, match="chromosome names differ"):
        list(peak_windows(path, where, 20))


def test_peaks_against_a_dense_mask(tmp_path: Path) -> None:
    rng = np.random.default_rng(8)
    starts = rng.integers(0, 7000, 80)
    ends = starts + rng.integers(1, 200, 80)
    dense = np.zeros(8000, dtype=np.uint8)
    for start, end in zip(starts, ends, strict=True):
        dense[start:end] = 1
    path = tmp_path / "x.bed"
    path.write_text("".join(f"chr2\t{s}\t{e}\n" for s, e in zip(starts, ends, strict=True)))
    tss = rng.integers(500, 7500, 30)
    for rows, mask in peak_windows(path, genes(["chr2"] * 30, tss.tolist()), 600):
        at = tss[rows[0]]
        assert mask[0].tolist() == dense[at - 300 : at + 300].tolist()


def test_summary_of_a_signal(track: Path) -> None:
    where = genes(["chr1", "chr2"], [4000, 4000])
    found = inspect_track(track, "signal", where, modality="dnase")
    assert json.loads(json.dumps(found)) == found
    assert (found["min"], found["max"], found["n_genes"]) == (1.0, 4.0, 2)
    assert found["missing_share"] == pytest.approx(1000 / 28_000)
    assert found["missing_share_tss"] == pytest.approx(500 / 2000)
    assert found["quantiles"]["tss"]["0.5"] == 1.0
    assert 1 < found["quantiles"]["genome"]["0.5"] <= 4
    assert found["chromosomes"] == LENGTHS


def test_summary_of_peaks_and_wrong_kinds(tmp_path: Path, track: Path) -> None:
    path = tmp_path / "x.bed"
    path.write_text("chr1\t100\t110\nchr2\t7000\t7100\n")
    found = inspect_track(path, "peaks", genes(["chr1", "chr2"], [400, 400]), modality="peaks")
    assert (found["n_peaks"], found["n_genes_with_peak"]) == (2, 1)
    with pytest.raises(InputError, match="kind 'image' is not known"):
        inspect_track(path, "image", genes(["chr1"], [1]))
    with pytest.raises(InputError, match="need resolution_bp"):
        inspect_track(path, "contacts", genes(["chr1"], [1]), modality="hic")
    with pytest.raises(InputError, match="reserved"):
        inspect_track(path, "signal", genes(["chr1"], [1]), modality="sequence")


def test_real_accessibility_follows_expression(realdata_dir: Path) -> None:
    table = pd.read_csv(realdata_dir / "genes" / "genes_K562_chr22.tsv", sep="\t")
    table = table.rename(columns={"chr": "chrom"})
    where = Genes.from_table(table, {"chr22": 50_818_468})
    coding = (table["gene_type"] == "protein_coding") & table["K562_TPM"].notna()
    is_test = table["split"] == "test"
    assert (coding.sum(), is_test.sum()) == (401, 115)
    for cell, expected in (("K562", 0.85), ("GM12878", 0.82)):
        means = core_means(realdata_dir / "signals" / f"{cell}_accessibility.chr22.bw", where)
        label = np.log10(table[f"{cell}_TSSseq_pm192"] + 1)
        assert spearmanr(means[is_test], label[is_test])[0] == pytest.approx(expected, abs=0.01)
        if cell == "K562":
            wide = table["K562_TSSseq_pm500"]
            assert spearmanr(means[coding], wide[coding])[0] == pytest.approx(0.855, abs=0.002)


def test_real_hic_summary(realdata_dir: Path) -> None:
    where = Genes(np.array(["chr22"], dtype=object), np.array([20_000_000]), {"chr22": 50_818_468})
    path = realdata_dir / "hic" / "K562_chr22_hg38.hic"
    found = inspect_track(
        path, "contacts", where, modality="hic", resolution_bp=5000, normalisation="NONE"
    )
    assert found["resolutions"] == [5000, 10_000, 25_000, 50_000, 100_000]
    assert not math.isnan(found["bytes"])
    with pytest.raises(InputError, match="no normalisation 'VC' at 5000 bp; the file has NONE"):
        inspect_track(
            path, "contacts", where, modality="hic", resolution_bp=5000, normalisation="VC"
        )


def test_a_chromosome_that_is_named_and_empty_is_absent(tmp_path: Path) -> None:
    path = write_track(tmp_path / "x.bw", [("chr1", 0, 900, 1.0)])
    where = genes(["chr1", "chr2", "chr2"], [500, 500, 600], source="genes.tsv")
    with pytest.raises(InputError, match=r"no value on chr2 \(2 genes\) of genes.tsv; it has chr1"):
        inspect_track(path, "signal", where)
    found = inspect_track(path, "signal", where, absent_chromosomes="missing")
    assert found["n_genes_without_chromosome"] == 2


def test_entries_of_nan_are_missing_values(tmp_path: Path) -> None:
    intervals = [("chr1", 0, 900, 1.0), ("chr1", 900, 1000, math.nan), ("chr2", 0, 50, 3.0)]
    path = write_track(tmp_path / "x.bw", intervals)
    where = genes(["chr1", "chr2"], [900, 100])
    assert inspect_track(path, "signal", where)["covered_bases"] == 950
    values, count = read_windows(path, where, 20, missing="mean")
    assert values[0].tolist() == pytest.approx([1.0] * 10 + [1050 / 950] * 10)
    assert count.n_bases == 30


def test_peaks_of_another_assembly_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.bed"
    path.write_text("chr1\t10\t20\nchr2\t9000\t9100\n")
    with pytest.raises(InputError, match=r"1 of 2 peaks begin behind .*chr2:9000-9100.*assembly"):
        inspect_track(path, "peaks", genes(["chr1"], [15]))


def test_the_content_of_peaks_decides_not_the_name(tmp_path: Path, track: Path) -> None:
    where = genes(["chr1"], [4000])
    packed, plain = tmp_path / "x.narrowPeak", tmp_path / "y.bed.gz"
    text = "track type=narrowPeak\nchr1\t3990\t4100\tp\t1\t.\t1\t1\t1\t7\n"
    packed.write_bytes(gzip.compress(text.encode()))
    plain.write_text(text)
    for path in (packed, plain):
        assert next(peak_windows(path, where, 40))[1].sum() == 30
        assert candidate_elements(path, where, width_bp=10).to_numpy().tolist() == [
            ["chr1", 3992, 4002]
        ]
    renamed = tmp_path / "z.bed"
    renamed.write_bytes(track.read_bytes())
    assert next(peak_windows(renamed, where, 20))[1].sum() == 10
