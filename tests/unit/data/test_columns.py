"""Each column of the gene table, each usual fault: refused with its line, dropped, or flagged."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from prismflow.data.genes import read_genes
from prismflow.data.splits import assign_splits
from prismflow.errors import InputError

COLUMNS = ("gene_id", "chrom", "tss", "strand", "length", "activity", "A_tpm", "split")
ROWS = [[f"g{n}", "chr1", str(100 * n), "+-"[n % 2], f"{n}.5", f"0.{n}", str(n), split]
        for n, split in enumerate(["train", "train", "valid", "test"], start=1)]  # fmt: skip


def read(folder: Path, rows: list[list[str]], columns: tuple[str, ...] = COLUMNS) -> pd.DataFrame:
    """Genes and their split of a table of these rows."""
    path = folder / "genes.tsv"
    path.write_text("\n".join("\t".join(row) for row in [list(columns), *rows]) + "\n")
    genes = read_genes(
        path, cells=["A"], chrom_lengths={"chr1": 9000}, lengths_source="genome.fa",
        features=["length"], label_column="{cell}_tpm", label_transform="raw",
        promoter_activity_column="activity", split_columns=["split"],
    )  # fmt: skip
    splits = assign_splits(genes, kind="column", folds=["split"], source=str(path))
    return genes.assign(split=splits["split"].to_numpy())


def changed(column: str, value: str) -> list[list[str]]:
    rows = [list(row) for row in ROWS]
    rows[1][COLUMNS.index(column)] = value
    return rows


@pytest.mark.parametrize("column", [c for c in COLUMNS if c != "split"])
def test_a_missing_value_of_each_column_is_refused(tmp_path: Path, column: str) -> None:
    for value in ("", "NA"):
        with pytest.raises(InputError, match=r"genes\.tsv,? line 3: "):
            read(tmp_path, changed(column, value))


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("chrom", ["1", "Chr1", "chr1_alt"]), ("tss", ["-5", "99999", "1e+02", "12.5", "1,200"]),
        ("strand", ["1", "plus", "-1", "."]), ("length", ["high", "inf", "1,5"]),
        ("activity", ["high", "inf", "1,5"]), ("A_tpm", ["high", "inf", "1,5"]),
        ("gene_id", ["g1", "2-Sep", "MAR-1"]), ("split", ["Train", "validation", "tset", "TEST"]),
    ],
)  # fmt: skip
def test_a_stray_value_of_each_column_is_refused(
    tmp_path: Path, column: str, values: list[str]
) -> None:
    for value in values:
        with pytest.raises(InputError, match=r"genes\.tsv"):
            read(tmp_path, changed(column, value))


@pytest.mark.parametrize("column", COLUMNS)
def test_each_column_that_stands_twice_is_refused(tmp_path: Path, column: str) -> None:
    rows = [[*row, "x"] for row in ROWS]
    with pytest.raises(InputError, match=f"line 1: .*'{column}' 2 times"):
        read(tmp_path, rows, (*COLUMNS, column))


@pytest.mark.parametrize("column", COLUMNS)
def test_each_column_that_is_absent_is_refused(tmp_path: Path, column: str) -> None:
    at = COLUMNS.index(column)
    rows = [row[:at] + row[at + 1 :] for row in ROWS]
    with pytest.raises(InputError, match=rf"'{column}'"):
        read(tmp_path, rows, COLUMNS[:at] + COLUMNS[at + 1 :])


@pytest.mark.parametrize("column", COLUMNS)
def test_quotes_and_spaces_round_each_column_change_nothing_or_are_refused(
    tmp_path: Path, column: str
) -> None:
    whole = read(tmp_path, ROWS)
    own = ROWS[1][COLUMNS.index(column)]
    for value in (f'"{own}"', f" {own}", f"{own} "):
        try:
            found = read(tmp_path, changed(column, value))
        except InputError as error:
            assert "genes.tsv" in str(error)
        else:
            pd.testing.assert_frame_equal(found, whole)
