"""Tables of tested element-gene pairs: what is read, and which genes they mean."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from unit.data import crispri_pairs as made

from prismflow.data.perturbations import read_pairs, rows_of_genes
from prismflow.errors import InputError

FILES = {"source": "pairs.tsv", "genes_source": "genes.tsv"}


def test_pairs_are_read_with_their_optional_signals(tmp_path: Path) -> None:
    pairs = read_pairs(made.write(tmp_path / "p.tsv", **{"DHS.RPM": None}))
    assert len(pairs) == 12 and pairs["regulated"].sum() == 6
    assert pairs["dnase_rpm"].isna().all() and (pairs["h3k27ac_rpm"] == 4).all()
    assert pairs["line"].tolist() == list(range(2, 14))


def test_only_valid_pairs_of_the_cell_are_kept(tmp_path: Path) -> None:
    cells = ["K562"] * 6 + ["WTC11"] * 6
    valid = ["TRUE"] * 5 + ["FALSE"] + ["TRUE"] * 6
    path = made.write(tmp_path / "p.tsv", CellType=cells, ValidConnection=valid)
    assert len(read_pairs(path, cell_type="K562")) == 5
    assert len(read_pairs(path)) == 11
    with pytest.raises(InputError, match="found 0 pairs"):
        read_pairs(path, cell_type="HeLa")


def test_chromosomes_take_the_names_of_the_gene_table(tmp_path: Path) -> None:
    names = [name.removeprefix("chr") for name in made.table()["chrom"]]
    path = made.write(tmp_path / "p.tsv", chrom=names)
    pairs = read_pairs(path, {"1": "chr1", "2": "chr2"})
    assert set(pairs["chrom"]) == {"chr1", "chr2"}


def test_genes_are_found_by_identifier_without_version_else_by_symbol(tmp_path: Path) -> None:
    pairs = read_pairs(made.write(tmp_path / "p.tsv"))
    genes = made.genes()
    expected = np.repeat(np.arange(6), 2)
    np.testing.assert_array_equal(rows_of_genes(pairs, genes, made.LENGTHS, **FILES), expected)
    renamed = genes.assign(
        gene_id=[f"X{number}" for number in range(6)],
        symbol=[f"GENE{number}" for number in range(6)],
    )
    np.testing.assert_array_equal(rows_of_genes(pairs, renamed, made.LENGTHS, **FILES), expected)


def test_a_gene_outside_the_table_is_refused_or_has_no_row(tmp_path: Path) -> None:
    pairs = read_pairs(made.write(tmp_path / "p.tsv"))
    genes = made.genes().drop(index=2).reset_index(drop=True)
    with pytest.raises(InputError, match=r"line 6: expected genes of genes.tsv, found ENSG2"):
        rows_of_genes(pairs, genes, made.LENGTHS, **FILES)
    found = rows_of_genes(pairs, genes, made.LENGTHS, **FILES, absent_genes="missing")
    assert (found < 0).sum() == 2


def test_positions_of_another_build_are_refused(tmp_path: Path) -> None:
    pairs = read_pairs(made.write(tmp_path / "p.tsv"))
    with pytest.raises(InputError, match="beyond the end of chr1"):
        rows_of_genes(pairs, made.genes(), {"chr1": 60_000, "chr2": 300_000}, **FILES)
    moved = made.genes().assign(tss=lambda table: table["tss"] + 40_000)
    with pytest.raises(InputError, match="found 0 of 6 genes there; the elements are of another"):
        rows_of_genes(pairs, moved, made.LENGTHS, **FILES)


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [("Regulated", "maybe", "TRUE or FALSE"), ("chromStart", -4, "a whole number >= 0"),
     ("distanceToTSS", "far", "a whole number >= 0"), ("DHS.RPM", "high", "a number"),
     ("chromEnd", 7, "a value above chromStart")],
)  # fmt: skip
def test_a_wrong_field_is_named_with_its_line(
    column: str, value: object, said: str, tmp_path: Path
) -> None:
    values = made.table()[column].tolist()
    path = made.write(tmp_path / "p.tsv", **{column: [*values[:3], value, *values[4:]]})
    with pytest.raises(InputError, match=rf"line 5: expected {said} in column '{column}'"):
        read_pairs(path)
