"""The sheet of perturbations."""

from __future__ import annotations

from pathlib import Path

import pytest

from prismflow.errors import InputError
from prismflow.settings.perturbations import read_perturbations
from prismflow.settings.sheets import Row

CELLS = {"K562": Row({"cell": "K562"}, "cells.tsv", 2)}


def _read(folder: Path, row: str) -> tuple:
    path = folder / "sheet.tsv"
    path.write_text(f"name\tcell\tpath\tabsent_genes\n{row}\n")
    return read_perturbations(str(path), CELLS, {"made.tsv"})


def test_a_row_names_a_file_that_is_there_or_that_is_made(tmp_path: Path) -> None:
    (tmp_path / "own.tsv").touch()
    (entry,) = _read(tmp_path, f"own\tK562\t{tmp_path / 'own.tsv'}\t")
    assert (entry.name, entry.cell, entry.absent_genes) == ("own", "K562", "error")
    (entry,) = _read(tmp_path, "made\tK562\tmade.tsv\tmissing")
    assert entry.absent_genes == "missing"


@pytest.mark.parametrize(
    ("row", "said"),
    [("own\tK562\tnowhere.tsv\t", "expected a file of tested pairs at nowhere.tsv, found none"),
     ("own\tK562\tmade.tsv\tdrop", "expected error or missing in column 'absent_genes'"),
     ("own file\tK562\tmade.tsv\t", "expected a benchmark name")],
)  # fmt: skip
def test_a_wrong_row_is_refused(row: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=said):
        _read(tmp_path, row)


def test_rows_of_cells_that_the_sheet_of_cells_lacks_are_not_used(tmp_path: Path) -> None:
    assert _read(tmp_path, "own\tHeLa\tnowhere.tsv\t") == ()


def test_rows_that_a_short_sheet_of_references_does_not_bring_are_not_used(tmp_path: Path) -> None:
    assert _read(tmp_path, "own\tK562\tresources/reference/pairs.tsv\t") == ()
