"""A gene table of the user's annotation in the plan; cells that the sheet alone names."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from planned import wildcards

from prismflow.errors import InputError
from prismflow.plan.checks import checks_request
from prismflow.plan.downloads import Downloads
from prismflow.plan.inputs import Inputs
from prismflow.plan.own_genes import OwnGenes
from prismflow.plan.predictions import Predictions
from prismflow.plan.runs import Plan, make_plan
from prismflow.settings import config as configuration
from prismflow.settings.datasets import merge

CELLS = "own_cell/cells.tsv"


@pytest.fixture
def template(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The template in an empty folder, with empty files where it names any."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(root / "config" / "own_cell", "own_cell")
    files = Path("own_cell/files")
    files.mkdir()
    for name in ("annotation.gtf.gz", "genome.fa.gz", "rep1.genes.results.gz", "rep2.quant.sf.gz"):
        (files / name).touch()
    for cell in ("mycell", "othercell", "third"):
        for modality in ("h3k27ac", "dnase"):
            (files / f"{cell}.{modality}.bw").touch()
    return root


def plan(root: Path, **changes: Any) -> Plan:
    names = [str(root / "config" / "config.yaml"), "own_cell/config.yaml"]
    merged: dict[str, Any] = {}
    for values in [*(yaml.safe_load(Path(name).read_text()) for name in names), changes]:
        merged = merge(merged, values)
    return make_plan(configuration.load(merged, names, root))


def test_the_template_trains_on_labelled_cells_and_predicts_the_others(template: Path) -> None:
    made = plan(template)
    assert made.config.datasets["own"]["cells"] == ["mycell"]
    asked = OwnGenes(made)
    assert asked.labels() == {
        "mycell": ["own_cell/files/rep1.genes.results.gz", "own_cell/files/rep2.quant.sf.gz"]
    }
    assert asked.options()["tss_rule"] == "most_5prime"
    own = wildcards(dataset="own", cell="mycell", model="prism")
    assert Predictions(made).scale(own) == ["resources/own/genes.scale.tsv"]


def test_the_checks_read_what_the_gene_table_is_made_of(template: Path) -> None:
    made = plan(template)
    dataset = checks_request(made)["datasets"]["own"]
    own = {(row["input"], row.get("cell", "")): row["file"]
           for row in dataset["rows"] if row["job"] == "make_own_genes"}  # fmt: skip
    files = "own_cell/files/"
    assert own == {
        ("annotation", ""): f"{files}annotation.gtf.gz",
        ("quantification", "mycell"): f"{files}rep1.genes.results.gz | {files}rep2.quant.sf.gz",
    }
    jobs = dataset["jobs"]
    assert "make_own_genes" in jobs["define_windows"]["needs"]
    assert jobs["make_own_genes"]["output"] == "resources/own/genes.inputs.tsv"
    assert Inputs(made).own_genes(wildcards(dataset="own")) == "resources/own/genes.inputs.tsv"


def test_adding_a_cell_is_rows_in_two_sheets(template: Path) -> None:
    with Path(CELLS).open("a") as cells:
        cells.write("third\town_cell/files/rep1.genes.results.gz\tmore\n")
    with Path("own_cell/tracks.tsv").open("a") as tracks:
        for modality in ("h3k27ac", "dnase"):
            tracks.write(f"third\t{modality}\town_cell/files/third.{modality}.bw\tGRCh38\n")
    made = plan(template)
    assert made.config.datasets["own"]["cells"] == ["mycell", "third"]
    assert {run.cell for run in made.runs("own")} == {"mycell", "third"}
    assert set(OwnGenes(made).labels()) == {"mycell", "third"}


def test_one_key_stands_between_the_sizes_of_a_cpu_and_of_the_paper(template: Path) -> None:
    small, paper = (
        plan(template, sheets={"models": f"own_cell/models_{size}.yaml"})
        for size in ("cpu", "paper")
    )
    assert small.runs("own") == paper.runs("own")
    sizes = [made.settings("own", "mycell", "prism") for made in (small, paper)]
    assert [entry["training"]["steps"] for entry in sizes] == [120, 50_000]
    assert [entry["window_bp"] for entry in sizes] == [2000, 2000]


def test_a_label_by_accession_is_downloaded(template: Path) -> None:
    sheet = Path(CELLS)
    sheet.write_text(sheet.read_text().replace("own_cell/files/rep2.quant.sf.gz", "ENCFF934YBO"))
    made = plan(template)
    path = "resources/encode/ENCFF934YBO.tsv"
    assert path in OwnGenes(made).files() and path in Downloads(made).wanted()
    asked = Downloads(made).track(wildcards(portal="encode", name="ENCFF934YBO.tsv"))
    assert (asked["accession"], asked["extension"], asked["cell"]) == (
        "ENCFF934YBO", "tsv", "mycell"
    )  # fmt: skip
    assert asked["sheet"] == CELLS


def test_an_absent_label_is_one_sentence(template: Path) -> None:
    Path("own_cell/files/rep2.quant.sf.gz").unlink()
    with pytest.raises(InputError, match=r"cells.tsv, line 4: expected a file at .*rep2.quant.sf"):
        OwnGenes(plan(template)).files()


def test_a_named_cell_without_labels_is_one_sentence(template: Path) -> None:
    made = plan(template, datasets={"own": {"cells": ["mycell", "othercell"]}})
    with pytest.raises(InputError, match=r"cells.tsv, line 5: expected a quantification or bigWig"):
        OwnGenes(made).labels()
