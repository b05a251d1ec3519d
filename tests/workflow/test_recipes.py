"""What adding a thing costs: the files that it touches, and that nothing else is planned then.

The workflow is finished with stubs in the place of jobs; plan, records and digests are real.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from .conftest import Planned, Workflow

pytestmark = pytest.mark.workflow
CONFIGS = ("config/demo.yaml", "config/small.yaml")
PACKAGE = Path("src/prismflow")
#: Holds one row per architecture; the row of ``cnn`` is copied.
REGISTRY = PACKAGE / "settings" / "architectures.py"
#: Rules that gather what runs of an experiment gave.
GATHERING = {
    "aggregate_metrics", "gather_predictions", "compare_models", "plot_figure", "write_table",
    "write_comparisons", "judge_claims", "write_claims", "write_report", "all",
}  # fmt: skip


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Workflow:
    """The small demo, finished by stubs."""
    workflow = Workflow(tmp_path_factory.mktemp("recipes") / "project", root)
    shutil.copy(root / "tests" / "workflow" / "small.yaml", workflow.folder / "config")
    environment = os.environ | {
        "PYTHONPATH": str(workflow.folder / "src"), "STUB_GENES": "4", "OMP_NUM_THREADS": "1",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }  # fmt: skip
    command = [
        sys.executable, root / "tests" / "load" / "stubbed.py", "--cores", "2",
        "--quiet", "rules", "--configfile", *CONFIGS,
    ]  # fmt: skip
    result = subprocess.run(
        command, cwd=workflow.folder, env=environment, capture_output=True, text=True,
        timeout=600, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr[-5000:]
    return workflow


@pytest.fixture
def workflow(done: Workflow) -> Iterator[Workflow]:
    """The finished demo; what a test adds is taken away again."""
    kept = done.folder.with_name("kept")
    parts = ("src", "config", "workflow")
    for part in parts:
        shutil.copytree(done.folder / part, kept / part)
    assert not plan(done).rules
    yield done
    for part in parts:
        shutil.rmtree(done.folder / part)
        shutil.copytree(kept / part, done.folder / part)
    shutil.rmtree(kept)


def plan(workflow: Workflow, *arguments: str) -> Planned:
    """Dry run with the small configuration."""
    return workflow.plan(*arguments, configfiles=CONFIGS)


def add_entry(workflow: Workflow, file: str, *keys: str, value: object) -> None:
    """Add one entry to a YAML file of the configuration."""
    path = workflow.folder / "config" / file
    content = yaml.safe_load(path.read_text())
    place = content
    for key in keys[:-1]:
        place = place[key]
    assert keys[-1] not in place
    place[keys[-1]] = value
    path.write_text(yaml.safe_dump(content, sort_keys=False))


def add_model(workflow: Workflow) -> None:
    """A model is its file, one row and one entry: ``copied``, the same network as ``cnn``."""
    models = workflow.folder / PACKAGE / "models"
    text = (models / "cnn.py").read_text()
    assert 'architecture = "cnn"' in text
    (models / "copied.py").write_text(text.replace('"cnn"', '"copied"'))
    registry = workflow.folder / REGISTRY
    row = next(x for x in registry.read_text().splitlines() if x.startswith('    "cnn": '))
    rows = registry.read_text().replace(row, f"{row}\n" + row.replace('"cnn"', '"copied"'))
    registry.write_text(rows)
    entry = {"architecture": "copied", "label": "Copied", "window_bp": 500}
    add_entry(workflow, "models.yaml", "copied", value=entry)


def test_a_model_that_nothing_asks_for_reruns_nothing(workflow: Workflow) -> None:
    add_model(workflow)
    assert not plan(workflow).rules


def test_a_new_model_is_the_only_one_that_is_trained(workflow: Workflow) -> None:
    add_model(workflow)
    named = "[gbm, cnn, caduceus, prism"
    workflow.edit("config/small.yaml", f"{named}]", f"{named}, copied]")
    planned = plan(workflow)
    assert planned.models() == {"copied"}
    assert planned.rules["train"] == planned.rules["evaluate"] == 1
    assert set(planned.rules) == {"train", "evaluate", *GATHERING}
    # The figures of other experiments stay.
    assert planned.rules["plot_figure"] == planned.rules["write_table"] == 1


def test_a_new_kind_reruns_nothing_of_the_others(workflow: Workflow) -> None:
    kinds = workflow.folder / PACKAGE / "data" / "kinds"
    shutil.copy(kinds / "signal.py", kinds / "levels.py")
    rows = workflow.folder / PACKAGE / "settings" / "kinds.py"
    row = '    "signal": KindRow({"bigwig": "bw"}, levelled=True),\n'
    text = rows.read_text()
    assert row in text
    rows.write_text(text.replace(row, f'{row}    "levels": KindRow({{"bigwig": "bw"}}),\n'))
    add_entry(workflow, "config.yaml", "modalities", "rna_levels", value={"kind": "levels"})
    assert not plan(workflow).rules


def test_a_new_figure_is_the_only_one_that_is_drawn(workflow: Workflow) -> None:
    plots = workflow.folder / PACKAGE / "figures" / "plots"
    shutil.copy(plots / "main.py", plots / "again.py")
    entry = {"title": "Again", "caption": "The same.", "category": "Description",
             "renderer": "again", "models": ["cnn", "prism"]}  # fmt: skip
    add_entry(workflow, "experiments.yaml", "experiments", "again", value=entry)
    assert not plan(workflow).rules  # no configuration asks for it
    workflow.edit("config/small.yaml", "training_curves]", "training_curves, again]")
    planned = plan(workflow)
    assert dict(planned.rules) == {"plot_figure": 1, "write_report": 1, "all": 1}
    assert "results/demo/figures/again.pdf" in planned.outputs


def test_keys_in_another_order_rerun_nothing(workflow: Workflow) -> None:
    small = workflow.folder / "config" / "small.yaml"
    small.write_text(yaml.safe_dump(yaml.safe_load(small.read_text()), sort_keys=True))
    for file in ("models.yaml", "experiments.yaml"):
        path = workflow.folder / "config" / file
        content = yaml.safe_load(path.read_text())
        # Models keep their order, because tables have it.
        for entries in (content, content.get("experiments", {})):
            for name, entry in entries.items():
                entries[name] = dict(reversed(entry.items()))
        path.write_text(yaml.safe_dump(content, sort_keys=False))
    assert not plan(workflow).rules
