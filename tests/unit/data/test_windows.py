"""Windows: placing, dropping with reasons, files."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from prismflow.data.genome import Genome
from prismflow.data.windows import define_windows, read_bed, write_windows
from prismflow.errors import InputError
from prismflow.files import read_tsv

LENGTHS = {"chr1": 100, "chr2": 60}


def gene_table(**further: object) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "gene_id": ["a", "b", "c", "d"],
            "chrom": ["chr2", "chr1", "chr1", "chr1"],
            "tss": [30, 5, 98, 50],
            "strand": ["+", "+", "-", "-"],
            "gc": [0.1, 0.2, 0.3, 0.4],
            "label_A": [1.0, 2.0, 3.0, 4.0],
            "line": [2, 3, 4, 5],
            "drop_reason": "",
        }
    ).assign(**further)


@pytest.fixture
def genome(tmp_path: Path) -> Genome:
    path = tmp_path / "g.fa"
    path.write_text(f">chr1\n{'A' * 40}{'N' * 8}{'C' * 52}\n>chr2\n{'N' * 30}{'G' * 30}\n")
    return Genome(path)


def test_windows_ignore_the_strand_and_may_reach_over_ends() -> None:
    kept, dropped = define_windows(gene_table(), LENGTHS, 20)
    assert kept["window_start"].tolist() == [20, -5, 88, 40]
    assert kept["window_end"].tolist() == [40, 15, 108, 60]
    assert list(kept.columns) == [
        "gene_id", "chrom", "tss", "strand", "window_start", "window_end", "gc", "label_A",
    ]  # fmt: skip
    assert dropped.empty
    assert list(dropped.columns) == ["gene_id", "chrom", "tss", "strand", "reason"]


@pytest.mark.parametrize("window_bp", [0, -20, 21, 20.0, True, "20"])
def test_window_must_be_positive_and_even(window_bp: object) -> None:
    with pytest.raises(InputError, match="positive even number of bases, found"):
        define_windows(gene_table(), LENGTHS, window_bp)


def test_unknown_fraction(genome: Genome) -> None:
    kept, dropped = define_windows(gene_table(), LENGTHS, 20, genome=genome, min_acgt_fraction=0.6)
    assert dropped["gene_id"].tolist() == ["a"]
    assert dropped["reason"].tolist() == ["unknown_sequence"]
    assert kept["n_fraction"].tolist() == [0.0, 0.0, 0.4]
    everything, _ = define_windows(gene_table(), LENGTHS, 20, genome=genome)
    assert everything["n_fraction"].tolist() == [0.5, 0.0, 0.0, 0.4]


def test_unknown_fraction_against_counting(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    letters = rng.choice(list("ACGTNN"), 300)
    path = tmp_path / "g.fa"
    path.write_text(">chr1\n" + "".join(letters) + "\n")
    genes = pd.DataFrame({"chrom": "chr1", "tss": np.arange(0, 300, 3), "strand": "+"})
    genes = genes.assign(gene_id=genes.index.astype(str), line=0, drop_reason="")
    for window_bp in (2, 10, 400):
        kept, _ = define_windows(genes, {"chr1": 300}, window_bp, genome=Genome(path))
        expected = [
            np.sum(letters[max(t - window_bp // 2, 0) : t + window_bp // 2] == "N") / window_bp
            for t in genes["tss"]
        ]
        assert kept["n_fraction"].tolist() == expected


def test_blacklist_and_reasons(tmp_path: Path, genome: Genome) -> None:
    path = tmp_path / "black.bed"
    path.write_text(
        "#comment\ntrack name=x\nchr1\t95\t99\tlow mappability\nchr1\t0\t2\nchr2\t0\t9\n"
    )
    genes = gene_table(drop_reason=["missing_label:A", "", "", ""])
    settings = {"blacklist": path, "blacklist_core_bp": 3}
    kept, dropped = define_windows(genes, LENGTHS, 20, drop_blacklisted=True, **settings)
    assert kept["gene_id"].tolist() == ["b", "d"]
    assert dropped["gene_id"].tolist() == ["a", "c"]
    assert dropped["reason"].tolist() == ["missing_label:A", "blacklisted"]
    kept, _ = define_windows(genes, LENGTHS, 20, **settings)
    assert kept["gene_id"].tolist() == ["b", "c", "d"]
    settings["blacklist_core_bp"] = 4
    kept, _ = define_windows(genes, LENGTHS, 20, drop_blacklisted=True, **settings)
    assert kept["gene_id"].tolist() == ["d"]
    with pytest.raises(InputError, match="needs a blacklist"):
        define_windows(genes, LENGTHS, 20, drop_blacklisted=True)


def test_blacklist_names_that_differ(tmp_path: Path) -> None:
    path = tmp_path / "black.bed"
    path.write_text("1\t95\t99\n")
    settings = {"drop_blacklisted": True, "blacklist": path, "blacklist_core_bp": 3}
    with pytest.raises(InputError, match=r"has chr2, chr1; .*black.bed has 1\."):
        define_windows(gene_table(), LENGTHS, 20, **settings)
    kept, _ = define_windows(gene_table(), LENGTHS, 20, **settings, chrom_aliases={"1": "chr1"})
    assert kept["gene_id"].tolist() == ["a", "b", "d"]


def test_bedtools_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match=r"'bedtools' is not on PATH; install it with 'apt-get"):
        define_windows(
            gene_table(), LENGTHS, 20, drop_blacklisted=True, blacklist=tmp_path / "b.bed"
        )


def test_nothing_left() -> None:
    with pytest.raises(InputError, match=r"no gene is left of 4; reasons: \{'x': 4\}"):
        define_windows(gene_table(drop_reason="x"), LENGTHS, 20)


@pytest.mark.parametrize(
    ("text", "line"), [("chr1\t\t5\n", 1), ("chr1\t1\t2\nchr1\tx\t9\n", 2), ("chr1\t9\t5\n", 1)]
)
def test_bad_bed_names_the_line(tmp_path: Path, text: str, line: int) -> None:
    path = tmp_path / "x.bed"
    path.write_text(text)
    with pytest.raises(InputError, match=f"x.bed line {line}: expected chromosome"):
        read_bed(path)


def test_bed_forms(tmp_path: Path) -> None:
    path = tmp_path / "x.bed.gz"
    path.write_bytes(gzip.compress(b"chr1\t1\t2\tpeak\t5\nchr1\t3\t4\n"))
    assert read_bed(path).to_numpy().tolist() == [["chr1", 1, 2], ["chr1", 3, 4]]
    empty = tmp_path / "e.bed"
    empty.write_text("")
    assert read_bed(empty).empty
    with pytest.raises(InputError, match="no such file"):
        read_bed(tmp_path / "none.bed")


def test_files(tmp_path: Path) -> None:
    kept, dropped = define_windows(gene_table(drop_reason=["", "", "", "x"]), LENGTHS, 20)
    paths = {
        "genes_path": tmp_path / "genes.tsv",
        "dropped_path": tmp_path / "dropped.tsv",
        "bed_path": tmp_path / "windows.bed.gz",
    }
    write_windows(kept, dropped, LENGTHS, **paths)
    assert read_tsv(paths["genes_path"])["gene_id"].tolist() == ["a", "b", "c"]
    assert paths["dropped_path"].read_text().splitlines()[1] == "d\tchr1\t50\t-\tx"
    bed = gzip.decompress(paths["bed_path"].read_bytes()).decode()
    assert bed == "chr1\t0\t15\tb\t0\t+\nchr1\t88\t100\tc\t0\t-\nchr2\t20\t40\ta\t0\t+\n"
