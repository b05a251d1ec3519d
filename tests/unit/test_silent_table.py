"""The table kind x place of docs/reliability.md has no empty cell, and its tests exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PLACES = (
    "gene table", "published tables", "annotation, quantification", "FASTA and its index",
    "bigWig", ".hic", ".cool, .mcool", "peaks", "sheets", "YAML", "a run",
)  # fmt: skip
N_KINDS = 9


def table(text: str) -> dict[str, dict[str, str]]:
    """Kind -> place -> what its cell holds."""
    part = text.partition("## Input that looks sound and is not")[2].partition("\n## ")[0]
    kinds = {}
    for section in re.split(r"^### ", part, flags=re.M)[1:]:
        name, _, body = section.partition("\n")
        rows = re.findall(r"^\| (.+?) \| (.*) \|$", body, re.M)
        kinds[name] = {place: cell for place, cell in rows if place != "place"}
    return kinds


def wrong_cell(cell: str, known: set[str]) -> str:
    """What is wrong with a cell, as words; empty if it names tests that exist, or a reason."""
    names = re.findall(r"`(\w+)`", cell) if not cell.startswith("- ") else []
    if not names:
        return "" if cell.startswith("- ") and len(cell.split()) > 4 else "neither test nor reason"
    absent = [name for name in names if f"test_{name}" not in known]
    return f"no test {absent[0]}" if absent else ""


@pytest.fixture(scope="module")
def known(root: Path) -> set[str]:
    files = (root / "tests").rglob("test_*.py")
    found = (re.findall(r"^def (test_\w+)\(", f.read_text(encoding="utf-8"), re.M) for f in files)
    return {name for names in found for name in names}


def test_every_cell_names_tests_that_exist_or_a_reason(root: Path, known: set[str]) -> None:
    kinds = table((root / "docs" / "reliability.md").read_text(encoding="utf-8"))
    assert len(kinds) == N_KINDS
    for kind, cells in kinds.items():
        assert tuple(cells) == PLACES, kind
        for place, cell in cells.items():
            assert not wrong_cell(cell, known), f"{kind}, {place}: {wrong_cell(cell, known)}"
        assert any("`" in cell for cell in cells.values()), kind


@pytest.mark.parametrize(
    ("cell", "words"),
    [("", "neither"), ("- no", "neither"), ("`nothing_of_this_name`", "no test"),
     ("- it holds no data", ""), ("`every_cell_names_tests_that_exist_or_a_reason`", "")],
)  # fmt: skip
def test_an_empty_cell_would_be_noticed(cell: str, words: str, known: set[str]) -> None:
    assert (words in wrong_cell(cell, known)) if words else not wrong_cell(cell, known)
