"""The workflow runs from any directory, and as a module of a repository of another shape."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from prismflow.files import read_tsv
from prismflow.settings.datasets import merge

from .conftest import Workflow

pytestmark = pytest.mark.workflow
CONFIGS = ("config/demo.yaml", "config/small.yaml")
TARGET = "results/demo/genes.tsv"
MODULE = """
configfile: "settings/analysis.yaml"


module prism:
    snakefile: "{snakefile}"
    config: config["prism"]


use rule * from prism as prism_*


rule count_genes:
    default_target: True
    input: "results/demo/genes.tsv"
    output: "genes.txt"
    run:
        with open(input[0]) as table, open(output[0], "w") as out:
            out.write(str(len(table.readlines()) - 1))
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Workflow:
    """The workflow with the small configuration."""
    workflow = Workflow(tmp_path_factory.mktemp("places") / "project", root)
    shutil.copy(root / "tests" / "workflow" / "small.yaml", workflow.folder / "config")
    return workflow


def test_it_runs_in_another_directory(project: Workflow, tmp_path: Path) -> None:
    result = project.run(TARGET, "--directory", str(tmp_path), configfiles=CONFIGS)
    assert result.returncode == 0, result.stderr[-2000:]
    assert len(read_tsv(tmp_path / TARGET)) > 50
    assert not (project.folder / "results").exists()


def test_a_configuration_that_names_absent_files_says_where_it_looked(
    project: Workflow, tmp_path: Path
) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("run: {datasets: [demo]}\nsheets: {cells: mine/cells.tsv}\n")
    arguments = ("-n", "--directory", str(tmp_path))
    result = project.run(*arguments, configfiles=("config/demo.yaml", str(own)))
    assert result.returncode != 0
    said = result.stdout + result.stderr
    assert "mine/cells.tsv: expected a sheet (TSV), found no such file" in said


def test_its_snakefile_is_named_from_elsewhere(project: Workflow, tmp_path: Path) -> None:
    snakefile = project.folder / "Snakefile"
    result = project.run("-n", "--directory", str(tmp_path), "--snakefile", str(snakefile),
                         configfiles=(str(project.folder / "config" / "demo.yaml"),))  # fmt: skip
    assert result.returncode == 0, result.stderr[-2000:]
    assert "plot_figure" in result.stdout + result.stderr


def test_it_runs_as_a_module(project: Workflow, tmp_path: Path) -> None:
    analysis = tmp_path / "analysis"
    (analysis / "workflow").mkdir(parents=True)
    (analysis / "settings").mkdir()
    snakefile = analysis / "workflow" / "Snakefile"
    snakefile.write_text(MODULE.format(snakefile=project.folder / "Snakefile"))
    texts = [(project.folder / config).read_text() for config in CONFIGS]
    settings = {"prism": merge(*(yaml.safe_load(text) for text in texts))}
    (analysis / "settings" / "analysis.yaml").write_text(yaml.safe_dump(settings))
    result = project.run("--directory", str(analysis), "--snakefile", str(snakefile),
                         configfiles=())  # fmt: skip
    assert result.returncode == 0, result.stderr[-2000:]
    assert int((analysis / "genes.txt").read_text()) == len(read_tsv(analysis / TARGET))
    planned = project.plan("prism_tables", "--directory", str(analysis), "--snakefile",
                           str(snakefile), configfiles=())  # fmt: skip
    assert planned.rules["prism_train"] + planned.rules["prism_train_tabular"] > 0


@pytest.mark.parametrize("line", ['prefix: "sub/logs"', 'replace_prefix: {"results/": "out/"}'])
def test_other_places_for_the_files_of_a_module_are_refused_before_anything_runs(
    project: Workflow, tmp_path: Path, line: str
) -> None:
    snakefile = tmp_path / "Snakefile"
    text = MODULE.format(snakefile=project.folder / "Snakefile")
    snakefile.write_text(text.replace('    config: config["prism"]\n',
                                      f'    config: config["prism"]\n    {line}\n'))  # fmt: skip
    (tmp_path / "settings").mkdir()
    texts = [(project.folder / config).read_text() for config in CONFIGS]
    settings = {"prism": merge(*(yaml.safe_load(text) for text in texts))}
    (tmp_path / "settings" / "analysis.yaml").write_text(yaml.safe_dump(settings))
    result = project.run("-n", "--directory", str(tmp_path), "--snakefile", str(snakefile),
                         configfiles=())  # fmt: skip
    said = result.stdout + result.stderr
    assert result.returncode != 0 and "Traceback" not in said
    assert "expected `prefix` of one module" in said
    assert "run the whole in another folder with --directory" in said


def test_a_prefix_of_a_module_moves_what_is_made(project: Workflow, tmp_path: Path) -> None:
    snakefile = tmp_path / "Snakefile"
    text = MODULE.format(snakefile=project.folder / "Snakefile").replace("results/", "sub/results/")
    settings = '    config: config["prism"]\n'
    snakefile.write_text(text.replace(settings, f'{settings}    prefix: "sub"\n'))
    (tmp_path / "settings").mkdir()
    texts = [(project.folder / config).read_text() for config in CONFIGS]
    merged = {"prism": merge(*(yaml.safe_load(text) for text in texts))}
    (tmp_path / "settings" / "analysis.yaml").write_text(yaml.safe_dump(merged))
    places = ("--directory", str(tmp_path), "--snakefile", str(snakefile))
    result = project.run("count_genes", "prism_checks", "prism_plan", *places, configfiles=())
    assert result.returncode == 0, result.stderr[-2000:]
    made = tmp_path / "sub" / TARGET
    assert int((tmp_path / "genes.txt").read_text()) == len(read_tsv(made))
    for name in ("input_summary.tsv", "checks/summary.json", "checks/inputs.tsv", "plan.tsv"):
        assert (made.parent / name).is_file()
    assert (tmp_path / "sub" / "logs" / "demo" / "define_windows.log").is_file()
    assert (tmp_path / "resources" / "demo" / "genes.tsv").is_file()
    assert not (tmp_path / "results").exists() and not (tmp_path / "logs").exists()
    planned = project.plan("prism_all", *places, configfiles=())
    assert planned.rules["prism_write_report"] == 1
