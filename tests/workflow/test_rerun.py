"""What reruns after which change, on a finished small demo."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from .conftest import Planned, Workflow, finished

pytestmark = pytest.mark.workflow
CONFIGS = ("config/demo.yaml", "config/small.yaml")
REPORT = "results/demo/report.html"


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Workflow:
    """A finished small demo."""
    workflow = Workflow(tmp_path_factory.mktemp("rerun") / "project", root)
    shutil.copy(root / "tests" / "workflow" / "small.yaml", workflow.folder / "config")
    return finished(workflow, configfiles=CONFIGS)


@pytest.fixture
def workflow(done: Workflow) -> Iterator[Workflow]:
    """The finished demo; code and configuration are put back after the test."""
    kept = done.folder.with_name("kept")
    parts = ("src", "config")
    for part in parts:
        shutil.copytree(done.folder / part, kept / part)
    yield done
    for part in parts:
        shutil.rmtree(done.folder / part)
        shutil.copytree(kept / part, done.folder / part)
    shutil.rmtree(kept)


def plan(workflow: Workflow, *arguments: str) -> Planned:
    """Dry run with the small configuration."""
    return workflow.plan(*arguments, configfiles=CONFIGS)


def test_second_run_does_nothing(workflow: Workflow) -> None:
    assert not plan(workflow).rules


def test_comment_and_docstring_rerun_nothing(workflow: Workflow) -> None:
    for file in ("models/prism.py", "figures/plots/main.py", "training/run.py", "data/store.py"):
        path = workflow.folder / "src" / "prismflow" / file
        text = path.read_text()
        quotes = text.index('"""')
        path.write_text(
            text[: quotes + 3] + "Other words. " + text[quotes + 3 :] + "\n# a comment\n"
        )
    assert not plan(workflow).rules


def test_edited_plot_redraws_its_figure_only(workflow: Workflow) -> None:
    path = workflow.folder / "src" / "prismflow" / "figures" / "plots" / "main.py"
    path.write_text(path.read_text() + "\nEDITED = True\n")
    planned = plan(workflow)
    assert set(planned.rules) == {"plot_figure", "write_report", "all"}
    assert planned.rules["plot_figure"] == 1
    assert "results/demo/figures/main.pdf" in planned.outputs


def test_edited_style_redraws_all_figures_only(workflow: Workflow) -> None:
    path = workflow.folder / "src" / "prismflow" / "figures" / "plots" / "style.py"
    path.write_text(path.read_text() + "\nEDITED = True\n")
    figures = {"plot_figure", "plot_data_checks", "write_report", "all"}
    assert set(plan(workflow).rules) <= figures


def test_edited_model_retrains_that_model_only(workflow: Workflow) -> None:
    path = workflow.folder / "src" / "prismflow" / "models" / "prism.py"
    path.write_text(path.read_text() + "\nEDITED = True\n")
    planned = plan(workflow)
    assert planned.models() == {"prism"}
    assert planned.rules["train"] == planned.rules["evaluate"] == 1
    assert not planned.rules["build_store"]


def test_edited_training_loop_keeps_tabular_models(workflow: Workflow) -> None:
    path = workflow.folder / "src" / "prismflow" / "training" / "loop.py"
    path.write_text(path.read_text() + "\nEDITED = True\n")
    assert plan(workflow).models() == {"cnn", "caduceus", "prism"}


def test_edited_store_rebuilds_and_retrains(workflow: Workflow) -> None:
    path = workflow.folder / "src" / "prismflow" / "data" / "store.py"
    path.write_text(path.read_text() + "\nEDITED = True\n")
    assert plan(workflow).rules["build_store"] == 1


def test_changed_setting_of_one_model_retrains_it_only(workflow: Workflow) -> None:
    workflow.edit("config/small.yaml", "channels: 4", "channels: 6")
    planned = plan(workflow)
    assert planned.models() == {"cnn"}
    assert planned.rules["train"] == 1


def test_added_model_is_the_only_one_trained(workflow: Workflow) -> None:
    workflow.edit(
        "config/small.yaml", "[gbm, cnn, caduceus, prism]", "[gbm, cnn, caduceus, prism, prism_n0]"
    )
    planned = plan(workflow)
    assert planned.models() == {"prism_n0"}
    assert planned.rules["aggregate_metrics"] == 1


def test_reordered_keys_rerun_nothing(workflow: Workflow) -> None:
    workflow.edit("config/small.yaml", "channels: 4, n_layers: 1", "n_layers: 1, channels: 4")
    assert not plan(workflow).rules


def test_changed_learning_rate_retrains_networks_and_keeps_stores(workflow: Workflow) -> None:
    workflow.edit("config/small.yaml", "warmup_steps: 2", "warmup_steps: 3")
    planned = plan(workflow)
    assert planned.models() >= {"cnn", "caduceus", "prism"}
    assert not planned.rules["build_store"]


def test_one_rule_can_be_forced(workflow: Workflow) -> None:
    planned = plan(workflow, "--forcerun", "aggregate_metrics")
    assert planned.rules["aggregate_metrics"] == 1
    assert not planned.rules["train"]


@pytest.mark.parametrize("target", ["figures", "tables", "report", "results/demo/figures/main.png"])
def test_named_targets_are_done(workflow: Workflow, target: str) -> None:
    assert not plan(workflow, target).rules


def test_a_lost_figure_is_redrawn_by_its_name(workflow: Workflow) -> None:
    figure = workflow.folder / "results" / "demo" / "figures" / "main.pdf"
    before = figure.read_bytes()
    figure.unlink()
    result = workflow.run("results/demo/figures/main.pdf", configfiles=CONFIGS)
    assert result.returncode == 0, result.stderr[-2000:]
    assert figure.read_bytes() == before


def test_same_configuration_gives_the_same_bytes(workflow: Workflow) -> None:
    run = workflow.folder / "results" / "demo" / "simA" / "prism" / "fold11_seed2"
    names = ("model.safetensors", "history.tsv", "predictions.tsv.gz", "metrics.tsv")
    before = {name: (run / name).read_bytes() for name in names}
    written = (run / names[0]).stat().st_mtime_ns
    target = str(run.relative_to(workflow.folder) / "metrics.tsv")
    result = workflow.run(target, "--forcerun", "train", configfiles=CONFIGS)
    assert result.returncode == 0, result.stderr[-2000:]
    assert {name: (run / name).read_bytes() for name in names} == before
    assert (run / names[0]).stat().st_mtime_ns > written
