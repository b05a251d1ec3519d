"""The target that reads all inputs: refusals side by side, flags, counts, and no training."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest

from prismflow.files import read_json, read_tsv
from prismflow.simulate import simulate

from .conftest import Workflow

pytestmark = pytest.mark.workflow
CONFIGS = ("config/demo.yaml", "config/small.yaml")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Workflow:
    """The small configuration with simulated files as if they were the user's."""
    workflow = Workflow(tmp_path_factory.mktemp("checks") / "project", root)
    shutil.copy(root / "tests" / "workflow" / "small.yaml", workflow.folder / "config")
    workflow.edit("config/demo.yaml", "    simulate: {seed: 1}\n", "")
    workflow.edit("config/small.yaml", "cells: [simA]", "cells: [simA, simB]")
    simulate(workflow.folder / "resources" / "demo", {"n_genes": 120}, seed=3)
    return workflow


def table(project: Workflow) -> pd.DataFrame:
    found = read_tsv(project.folder / "results" / "demo" / "checks" / "inputs.tsv")
    return found.fillna({"cell": ""}).set_index(["input", "cell"])


def test_refusals_stand_side_by_side_and_what_is_sound_goes_on(project: Workflow) -> None:
    files = project.folder / "resources" / "demo"
    sound = {name: (files / name).read_bytes() for name in ("simA.dnase.bw", "simB.h3k27ac.bw")}
    for name, data in sound.items():
        (files / name).write_bytes(data[: len(data) // 2])
    done = project.run("checks", configfiles=CONFIGS)
    assert done.returncode != 0
    states = table(project)["state"]
    assert set(states[states == "refused"].index) == {("dnase", "simA"), ("h3k27ac", "simB")}
    assert states["h3k27ac", "simA"] == states["hic", "simB"] == states["genes", ""] == "ok"
    assert set(states[states == "not read"].index) == {
        ("store", "simA"), ("store", "simB"), ("all together", ""),
    }  # fmt: skip
    assert "error: expected inputs that can all be used, found 2 refused: " in done.stdout
    assert not list(project.folder.glob("results/**/model.json"))

    # The gene table is wrong too: the tracks are read all the same.
    genes = files / "genes.tsv"
    right = genes.read_text()
    genes.write_text(right.replace("\t+\t", "\t?\t", 1))
    done = project.run("checks", configfiles=CONFIGS)
    states = table(project)["state"]
    refused = {("genes", ""), ("dnase", "simA"), ("h3k27ac", "simB")}
    assert set(states[states == "refused"].index) == refused
    assert states["h3k27ac", "simA"] == "ok"

    genes.write_text(right)
    for name, data in sound.items():
        (files / name).write_bytes(data)
    done = project.run("checks", configfiles=CONFIGS)
    assert done.returncode == 0, done.stderr[-3000:]
    assert set(table(project)["state"]) == {"ok"}
    assert "Inputs of demo: " in done.stdout
    again = project.run("checks", configfiles=CONFIGS)
    assert "Inputs of demo: " in again.stdout
    assert "rule build_store" not in again.stderr + again.stdout


def test_what_was_read_is_in_the_summary_and_training_uses_the_stores(project: Workflow) -> None:
    summary = read_tsv(project.folder / "results" / "demo" / "input_summary.tsv").fillna("")
    assert {"genes", "genome", "labels", "blacklist", "dnase", "hic"} <= set(summary["input"])
    for _, own in summary.groupby(["input", "cell", "unit"]):
        number = own.groupby("outcome")["n"].sum()
        assert number["read"] == number["kept"] + number.get("skipped", 0)
    planned = project.plan(configfiles=CONFIGS)
    assert "train" in planned.rules
    assert not {"build_store", "inspect_track", "check_data"} & set(planned.rules)


def on_real_data(
    base: Path, root: Path, shared: Path, name: str
) -> tuple[Workflow, pd.DataFrame, list[str]]:
    """The target on a configuration of real data: the project, its tables and its flags."""
    (base / "shared").mkdir()
    (base / "shared" / shared.name).symlink_to(shared)
    project = Workflow(base / "project", root)
    shutil.copytree(root / "tests" / name, project.folder / "tests" / name)
    done = project.run("checks", configfiles=(f"tests/{name}/{name}.yaml",))
    assert done.returncode == 0, done.stderr[-3000:]
    folders = sorted((project.folder / "results").glob("*/checks"))
    tables = pd.concat([read_tsv(folder / "inputs.tsv") for folder in folders])
    flags = [flag for folder in folders for flag in read_json(folder / "summary.json")["flags"]]
    return project, tables, flags


def test_real_data_of_one_chromosome_raise_two_flags_that_are_right(
    tmp_path: Path, root: Path, realdata_dir: Path
) -> None:
    _, inputs, flags = on_real_data(tmp_path, root, realdata_dir, "real_chr22")
    assert not set(inputs["state"]) & {"refused", "not read"}
    # All bases of this FASTA lie in the train block: see docs/data_checks.md.
    assert [flag.partition(" (")[0] for flag in flags] == [
        "sequence: 100 of 100 valid genes", "sequence: 115 of 115 test genes",
    ]  # fmt: skip


def test_real_data_of_the_whole_genome_raise_no_flag(
    tmp_path: Path, root: Path, realdata_genomewide_dir: Path
) -> None:
    project, inputs, flags = on_real_data(tmp_path, root, realdata_genomewide_dir, "real_genome")
    assert set(inputs["state"]) == {"ok"} and flags == []
    summary = read_tsv(project.folder / "results" / "real_k562" / "input_summary.tsv")
    dropped = summary[summary["reason"] == "missing_label:K562_TPM"]
    assert dropped["n"].tolist() == [901]
