"""Damaged data files: the job ends with one sentence, not a traceback."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from prismflow.files import read_tsv, write_tsv
from prismflow.simulate import simulate

from .conftest import Workflow

pytestmark = pytest.mark.workflow
CONFIGS = ("config/demo.yaml", "config/small.yaml")


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small simulated genome."""
    folder = tmp_path_factory.mktemp("simulated")
    simulate(folder, {"cells": ["simA", "simB"], "n_genes": 120}, seed=3)
    return folder


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Workflow:
    """The workflow with the small configuration."""
    workflow = Workflow(tmp_path_factory.mktemp("bad") / "project", root)
    shutil.copy(root / "tests" / "workflow" / "small.yaml", workflow.folder / "config")
    return workflow


@pytest.fixture
def data(project: Workflow, simulated: Path) -> Path:
    """Fresh data files and no results."""
    for name in ("resources", "results", ".snakemake", "logs", "config"):
        shutil.rmtree(project.folder / name, ignore_errors=True)
    root = Path(__file__).parents[2]
    shutil.copytree(root / "config", project.folder / "config")
    shutil.copy(root / "tests" / "workflow" / "small.yaml", project.folder / "config")
    return Path(shutil.copytree(simulated, project.folder / "resources" / "demo"))


def edit_genes(change: Callable[[pd.DataFrame], None]) -> Callable[[Path], None]:
    """Damage the gene table."""

    def damage(folder: Path) -> None:
        table = read_tsv(folder / "genes.tsv")
        change(table)
        write_tsv(table, folder / "genes.tsv")

    return damage


def text_as_bigwig(folder: Path) -> None:
    (folder / "simA.dnase.bw").write_text("chr1\t0\t100\t3.5\n" * 50)


def truncated_bigwig(folder: Path) -> None:
    path = folder / "simA.h3k27ac.bw"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty_fasta(folder: Path) -> None:
    (folder / "genome.fa").write_text("")
    (folder / "genome.fa.fai").write_text("")


def ncbi_names(table: pd.DataFrame) -> None:
    table["chrom"] = table["chrom"].str.removeprefix("chr")


def far_tss(table: pd.DataFrame) -> None:
    table.loc[4, "tss"] = 10**9


def no_label(table: pd.DataFrame) -> None:
    table.loc[7, "simA_cage"] = float("nan")


def wrong_strand(table: pd.DataFrame) -> None:
    table.loc[2, "strand"] = "."


def same_gene_twice(table: pd.DataFrame) -> None:
    table.loc[3, "gene_id"] = table.loc[2, "gene_id"]


CASES: dict[str, tuple[Callable[[Path], None], str]] = {
    "text file named .bw": (text_as_bigwig, r"simA\.dnase\.bw.*bigWig"),
    "truncated bigWig": (truncated_bigwig, r"simA\.h3k27ac\.bw.*truncated|incomplete"),
    "empty FASTA": (empty_fasta, r"genome\.fa.*empty"),
    "chr1 against 1": (edit_genes(ncbi_names), r"genome\.fa|genes\.tsv.*chr1"),
    "TSS beyond the chromosome": (edit_genes(far_tss), r"line 6.*1,?000,?000,?000"),
    "NaN label": (edit_genes(no_label), r"line 9.*simA_cage"),
    "wrong strand": (edit_genes(wrong_strand), r"line 4.*strand"),
    "duplicated gene": (edit_genes(same_gene_twice), r"lines 4 and 5"),
}


@pytest.mark.parametrize("case", CASES)
def test_damaged_file(project: Workflow, data: Path, case: str) -> None:
    damage, sentence = CASES[case]
    damage(data)
    result = project.run("stores", configfiles=CONFIGS)
    assert result.returncode != 0
    said = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert said and any(re.search(sentence, line) for line in said), result.stderr[-3000:]
    assert "Traceback" not in result.stderr
    assert not list((project.folder / "results").glob("demo/*/store"))


def test_absent_normalisation_prints_what_is_there(project: Workflow, data: Path) -> None:
    project.edit(
        "config/demo/tracks.tsv", "mcool\tsimulated\t5000\tNONE", "mcool\tsimulated\t5000\tKR"
    )
    result = project.run("stores", configfiles=CONFIGS)
    assert result.returncode != 0
    assert re.search(r"error: .*tracks\.tsv, line 4.*KR.*(weight|VC|NONE)", result.stderr)


def test_wrong_configuration_is_one_sentence_while_planning(project: Workflow, data: Path) -> None:
    project.edit("config/demo.yaml", "  steps: 150", "  steps: -1")
    project.edit("config/small.yaml", "steps: 6, ", "")
    result = project.run("--dry-run", configfiles=CONFIGS)
    assert result.returncode != 0
    text = result.stderr + result.stdout
    assert "(training.steps): expected a number of at least 1, found -1" in text
    assert "Traceback" not in text
