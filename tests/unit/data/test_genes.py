"""Gene tables: renaming, checks with file lines, labels."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
import pytest

from prismflow.data.genes import read_genes
from prismflow.errors import InputError

LENGTHS = {"chr1": 1000, "chr2": 500}
HEADER = "gene_id\tchrom\ttss\tstrand\tgc\tA_cage\tB_cage\tblock\n"
ROWS = [
    "g1\tchr1\t100\t+\t0.5\t9\t0\ttrain",
    "g2\tchr1\t1000\t-\t0.25\t99\t3\tgap",
    "g3\tchr2\t0\t+\t0.75\t0\t999\t",
]


def table(tmp_path: Path, rows: list[str], header: str = HEADER) -> Path:
    path = tmp_path / "genes.tsv"
    path.write_text(header + "".join(row + "\n" for row in rows))
    return path


def read(path: Path, **options: object) -> pd.DataFrame:
    settings: dict = {
        "cells": ["A", "B"],
        "chrom_lengths": LENGTHS,
        "lengths_source": "genome.fa",
        "features": ["gc"],
    }
    return read_genes(path, **(settings | options))


def test_columns_labels_and_order(tmp_path: Path) -> None:
    genes = read(table(tmp_path, ROWS), split_columns=["block"])
    assert list(genes.columns) == [
        "gene_id", "chrom", "tss", "strand", "gc", "label_A", "label_B", "block", "line",
        "drop_reason",
    ]  # fmt: skip
    assert genes["label_A"].tolist() == [1.0, 2.0, 0.0]
    assert genes["label_B"].tolist() == [0.0, math.log10(4), 3.0]
    assert genes["block"].tolist() == ["train", "gap", "none"]
    assert genes["line"].tolist() == [2, 3, 4]
    assert genes["drop_reason"].tolist() == ["", "", ""]
    raw = read(table(tmp_path, ROWS), label_transform="raw", cells=["A"])
    assert raw["label_A"].tolist() == [9.0, 99.0, 0.0]


def test_renamed_columns_and_aliases(tmp_path: Path) -> None:
    header = "symbol\tchr\tTSS\tstrand\tGC\tact_A\tcounts_A\n"
    path = table(tmp_path, ["g1\t1\t5\t+\t0.1\t7\t0"], header)
    genes = read(
        path,
        cells=["A"],
        columns={"gene_id": "symbol", "chrom": "chr", "tss": "TSS", "gc": "GC"},
        label_column="counts_{cell}",
        promoter_activity_column="act_{cell}",
        chrom_aliases={"1": "chr1"},
    )
    assert genes.loc[0, ["gene_id", "chrom", "tss"]].tolist() == ["g1", "chr1", 5]
    assert genes["promoter_activity_A"].tolist() == [7.0]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("g2\tchr1\t7\t+\t1\t1\t1\t", r"gene 'g2' stands in lines 3 and 5"),
        ("g4\tchr1\t7\t.\t1\t1\t1\t", r"line 5: expected strand \+ or - for g4, found '\.'"),
        ("g4\tchr1\t-7\t+\t1\t1\t1\t", r"line 5: the TSS -7 of g4 .* outside chr1, .* 1000 bases"),
        ("g4\tchr2\t500\t+\t1\t1\t1\t", r"TSS 500 of g4 \(\+\) lies outside chr2, .* 500 bases"),
        ("g4\tchr2\t0\t-\t1\t1\t1\t", r"TSS 0 of g4 \(-\) lies outside chr2"),
        ("g4\tchr2\t501\t-\t1\t1\t1\t", r"TSS 501 .* genome\.fa"),
        ("g4\tchr2\t7.5\t+\t1\t1\t1\t", r"line 5: expected a whole number in column 'tss'"),
        ("g4\tchr2\t\t+\t1\t1\t1\t", r"line 5: expected a whole number"),
        ("g4\tchr2\tmany\t+\t1\t1\t1\t", r"line 5: expected a number in column 'tss'.*'many'"),
        ("g4\tchr2\t7\t+\thigh\t1\t1\t", r"line 5: expected a number in column 'gc'.*'high'"),
        ("g4\tchr2\t7\t+\tinf\t1\t1\t", r"line 5: expected a number in column 'gc'.*'inf'"),
        ("g4\tchr2\t7\t+\tNA\t1\t1\t", r"line 5: the feature 'gc' of g4 is missing"),
        ("g4\tchr2\t7\t+\t1\tNaN\t1\t", r"line 5: the label 'A_cage' of g4 .*label\.missing: drop"),
        ("g4\tchr2\t7\t+\t1\t-2\t1\t", r"line 5: the label 'A_cage' of g4 is -2;"),
        ("g4\tchr9\t7\t+\t1\t1\t1\t", r"genome\.fa: no data for chr9 \(1 genes\)"),
        ("\tchr1\t7\t+\t1\t1\t1\t", r"line 5: gene_id is empty"),
        ("", r"line 5: gene_id is empty"),
    ],
)
def test_wrong_rows_name_the_line(tmp_path: Path, row: str, words: str) -> None:
    path = table(tmp_path, [*ROWS, row])
    with pytest.raises(InputError, match=words) as caught:
        read(path)
    assert "genes.tsv" in str(caught.value)


def test_absent_column_names_the_columns(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"line 1: the column 'H1_cage' .*gene_id, chrom.*block"):
        read(table(tmp_path, ROWS), cells=["A", "H1"])
    with pytest.raises(InputError, match=r"columns 'utr', 'exons' can't be found"):
        read(table(tmp_path, ROWS), features=["utr", "gc", "exons"])


def test_names_that_differ(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"genes.tsv has chr1, chr2; genome.fa has 1, 2"):
        read(table(tmp_path, ROWS), chrom_lengths={"1": 1000, "2": 500})


def test_missing_values_can_be_dropped_with_a_reason(tmp_path: Path) -> None:
    rows = [*ROWS, "g4\tchr1\t5\t+\tNA\t1\tNA\t"]
    genes = read(table(tmp_path, rows), missing_label="drop", missing_feature="drop")
    assert genes["drop_reason"].tolist()[:3] == ["", "", ""]
    assert genes["drop_reason"][3] == "missing_feature:gc;missing_label:B_cage"


def test_empty_tables_and_policies(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a header and nothing else"):
        read(table(tmp_path, []))
    with pytest.raises(InputError, match="'ignore' is not known; known: error, drop"):
        read(table(tmp_path, ROWS), missing_label="ignore")
    with pytest.raises(InputError, match="label transform 'sqrt'"):
        read(table(tmp_path, ROWS), label_transform="sqrt")
    with pytest.raises(InputError, match="no such file"):
        read(tmp_path / "none.tsv")


def test_real_gene_table(realdata_dir: Path) -> None:
    genes = read_genes(
        realdata_dir / "genes" / "genes_K562_chr22.tsv",
        cells=["K562", "GM12878"],
        chrom_lengths={"chr22": 50_818_468},
        lengths_source="chr22.fa.gz",
        columns={"gene_id": "symbol", "chrom": "chr"},
        label_column="{cell}_TSSseq_pm192",
        split_columns=["split"],
    )
    assert len(genes) == 517
    assert (genes["label_K562"] > 0).sum() == 334
    assert set(genes["split"]) == {"train", "valid", "test", "gap"}


def test_cells_need_a_column_each(tmp_path: Path) -> None:
    path = table(tmp_path, ROWS)
    with pytest.raises(InputError, match=r"label.column: expected a column with \{cell\}"):
        read(path, label_column="A_cage")
    with pytest.raises(InputError, match=r"genes.promoter_activity: expected .*the cells A, B"):
        read(path, promoter_activity_column="A_cage")
    assert len(read(path, label_column="A_cage", cells=["A"])) == 3
    with pytest.raises(InputError, match=r"the column '\{other\}_cage' can't be found"):
        read(path, label_column="{other}_cage", cells=["A"])


def test_a_pseudocount_below_one_is_added_before_the_logarithm(tmp_path: Path) -> None:
    genes = read(table(tmp_path, ROWS), label_transform="log10:0.1", cells=["A"])
    expected = [math.log10(x + 0.1) for x in (9, 99, 0)]
    assert genes["label_A"].tolist() == pytest.approx(expected, abs=1e-12)
    with pytest.raises(InputError, match=r"label transform 'log10:0' is unknown"):
        read(table(tmp_path, ROWS), label_transform="log10:0", cells=["A"])


def test_a_gene_without_a_label_in_one_cell_stays_in_a_dataset_of_the_other(
    tmp_path: Path,
) -> None:
    rows = [*ROWS, "g4\tchr2\t7\t+\t1\t\t1\ttrain"]
    kept = {
        cells: set(genes.loc[genes["drop_reason"] == "", "gene_id"])
        for cells in (("A",), ("B",), ("A", "B"))
        for genes in [read(table(tmp_path, rows), cells=cells, missing_label="drop")]
    }
    assert kept["A",] == kept["A", "B"] == {"g1", "g2", "g3"}
    assert kept["B",] == {"g1", "g2", "g3", "g4"}
