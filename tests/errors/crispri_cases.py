"""Wrong tables of tested element-gene pairs; as tests/errors/cases.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from errors.cases import Case
from unit.data import crispri_pairs as made

from prismflow.data.perturbations import read_pairs, rows_of_genes

TESTED = "Element-gene pairs tested by CRISPR interference"


def _pairs(lengths: dict[str, int] | None = None, moved: int = 0, **changes: Any) -> Callable:
    """Read a table with these columns replaced and look its genes up in a table of genes."""

    def run() -> object:
        pairs = read_pairs(made.write(**changes))
        genes = made.genes().assign(tss=lambda table: table["tss"] + moved)
        return rows_of_genes(
            pairs, genes, lengths or made.LENGTHS, source="pairs.tsv", genes_source="genes.tsv"
        )

    return run


def _one(column: str, value: object) -> Callable[[], object]:
    values = made.table()[column].tolist()
    return _pairs(**{column: [*values[:3], value, *values[4:]]})


CRISPRI_CASES: tuple[Case, ...] = (
    Case(TESTED, "table without a column", _pairs(Regulated=None), "found no Regulated"),
    Case(TESTED, "answer that is neither TRUE nor FALSE", _one("Regulated", "maybe"),
         "line 5: expected TRUE or FALSE"),
    Case(TESTED, "position that is no number", _one("chromStart", "x"), "line 5: expected a whole"),
    Case(TESTED, "only regulated pairs", _pairs(Regulated="TRUE"), "pairs that are not"),
    Case(TESTED, "gene that isn't in the gene table", _one("measuredGeneEnsemblId", "ENSG99"),
         "ENSG99 .* which isn't in it"),
    Case(TESTED, "element of another build, beyond the end of its chromosome",
         _pairs({"chr1": 60_000, "chr2": 300_000}), "of another build"),
    Case(TESTED, "elements of another build, TSS elsewhere", _pairs(moved=40_000),
         "found 0 of 6 genes there"),
)  # fmt: skip
