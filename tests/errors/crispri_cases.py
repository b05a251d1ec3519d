"""Wrong tables of tested element-gene pairs; as tests/errors/cases.py."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from errors.cases import Case
from make_store import make_store, settings
from unit.data import crispri_pairs as made
from unit.plan.planned import DEMO_FULL, Files

from prismflow.data.inputs import GeneInputs
from prismflow.data.perturbations import read_pairs, rows_of_genes
from prismflow.data.store import Store
from prismflow.evaluation.reach import replaced_beyond
from prismflow.explain.attention import promoter_attention
from prismflow.explain.enhancer_gene import export_pairs
from prismflow.files import write_tsv
from prismflow.plan.enhancer_gene import enhancer_gene_files, scoring_runs
from prismflow.settings.scenarios import Scenario
from prismflow.training.record import open_inputs

PAIRS = "Scores of element-gene pairs, and how far models look"
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


def _planned(**section: Any) -> Callable[[], object]:
    """Ask the full demo which runs score its pairs."""

    def run() -> object:
        plan = Files(Path(__file__).parents[2]).plan(files=DEMO_FULL, enhancer_gene=section)
        return scoring_runs(plan, "demo_long")

    return run


def _inputs() -> GeneInputs:
    return open_inputs(Store.open(make_store(Path())[0]), settings("epinformer"))


def _without_elements() -> object:
    scenario = Scenario.parse("own", {"beyond_bp": 10, "where": "elements"})
    return replaced_beyond(_inputs(), scenario, np.arange(3))


def _attention_without_elements() -> object:
    chosen = settings("epinformer")
    return promoter_attention(chosen, "model.safetensors", _inputs(), np.arange(3), 2, "cpu")


def _other_pairs() -> object:
    write_tsv(pd.DataFrame({"gene_id": ["a"], "chrom": ["chr1"]}), "pairs.tsv")
    write_tsv(pd.DataFrame({"pair": [5], "held_out": [True]}), "scores.tsv")
    return export_pairs("pairs.tsv", {"cnn": ["scores.tsv"]}, "out.tsv", "out.bedpe")


def _nothing_to_score() -> object:
    return enhancer_gene_files(Files(Path(__file__).parents[2]).plan())


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
    Case(PAIRS, "model without elements: its window holds no distant one",
         _planned(models=["prism"]), "found 'prism' without elements in its 300 bp"),
    Case(PAIRS, "model that no experiment trains", _planned(models=["prism_random_2"]),
         "expected a model that the experiments train"),
    Case(PAIRS, "dataset without elements and without tested pairs", _nothing_to_score,
         "expected a dataset with `elements`"),
    Case(PAIRS, "elements replaced in a store without elements", _without_elements,
         "has no candidate enhancers"),
    Case(PAIRS, "attention of a model without elements", _attention_without_elements,
         "expected an EPInformer that reads candidate elements"),
    Case(PAIRS, "scores of other pairs than those of the cell", _other_pairs,
         "expected scores of 1 pairs, found pair 5"),
)  # fmt: skip
