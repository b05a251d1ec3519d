"""Wrong configurations and sheets: each gives the sentence that names what, where and how."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from unit.settings.damaged import WRONG_SHEETS, WRONG_YAML, Project, removal, setting

from prismflow.errors import InputError
from prismflow.plan.parameters import Parameters, track_settings
from prismflow.plan.runs import Plan
from prismflow.settings import config as configuration
from prismflow.settings.datasets import merge


@pytest.fixture
def project(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """The demo's configuration in an empty working directory."""
    monkeypatch.chdir(tmp_path)
    return Project(tmp_path, root)


def test_the_shipped_demo_is_right(project: Project) -> None:
    plan = project.plan()
    runs = plan.runs("demo")
    assert len(runs) == len(set(runs)) > 0
    assert {run.cell for run in runs} == {"simA", "simB"}


def test_experiments_share_runs(project: Project) -> None:
    plan = project.plan()
    asked = [run for experiment in plan.experiments.values() for run in experiment.runs]
    assert len(set(asked)) == len(plan.scenarios) < len(asked)


def recorded(plan: Plan) -> str:
    """What Snakemake keeps of a training job's settings."""
    wildcards = SimpleNamespace(dataset="demo", cell="simA", model="prism")
    return repr(Parameters(plan).model(wildcards))


def test_settings_do_not_depend_on_key_order(project: Project) -> None:
    before = recorded(project.plan())
    project.edit("models.yaml", lambda c: c.update(prism=dict(reversed(c["prism"].items()))))
    assert recorded(project.plan()) == before


@pytest.mark.parametrize("case", WRONG_YAML)
def test_wrong_yaml(project: Project, case: str) -> None:
    file, change, sentence = WRONG_YAML[case]
    project.edit(file, change)
    with pytest.raises(InputError) as caught:
        project.plan()
    assert re.search(sentence, str(caught.value)), str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("case", WRONG_SHEETS)
def test_wrong_sheet(project: Project, case: str) -> None:
    file, old, new, sentence = WRONG_SHEETS[case]
    project.replace(file, old, new)
    with pytest.raises(InputError) as caught:
        project.plan()
    assert re.search(sentence, str(caught.value)), str(caught.value)


@pytest.mark.parametrize("file", ["config/models.yaml", "config/experiments.yaml"])
def test_broken_yaml(project: Project, file: str) -> None:
    Path(file).write_text("a: [1,\nb: {")
    with pytest.raises(InputError, match=rf"{file}: expected YAML, found"):
        project.plan()


def test_missing_sheet(project: Project) -> None:
    Path("config/demo/cells.tsv").unlink()
    with pytest.raises(InputError, match=r"cells\.tsv: expected a sheet \(TSV\), found no such"):
        project.plan()


def test_empty_sheet(project: Project) -> None:
    Path("config/demo/cells.tsv").write_text("# nothing\n")
    with pytest.raises(InputError, match="expected a header line, found an empty file"):
        project.plan()


def test_channels_follow_the_files_not_the_merge(project: Project) -> None:
    project.edit("demo.yaml", setting("modalities", "extra", value={"kind": "signal"}))
    project.edit("demo.yaml", setting("modalities", "dnase", value={"label": "Accessibility"}))
    names = ["h3k27ac", "dnase", "hic", "peaks", "h3k4me3", "chia_pet", "extra"]
    assert list(project.plan().config.values["modalities"]) == names
    files = ["config/config.yaml", "config/demo.yaml"]
    merged: dict[str, Any] = {}
    for file in reversed(files):
        merged = merge(merged, yaml.safe_load(Path(file).read_text()))
    merged = merge(merged, yaml.safe_load(Path(files[1]).read_text()))
    config = configuration.load(merged, files)
    assert list(config.values["modalities"]) == names


ALLOWED = {
    "no clipping": setting("training", "clip_norm", value=0),
    "fractional warm-up": setting("training", "warmup_steps", value=7.5),
    "mean of a signal": setting("modalities", "dnase", value={"missing": "mean"}),
    "wait between attempts": setting("downloads", value={"backoff_s": 0.5, "max_backoff_s": 2}),
    "lines of progress": setting("downloads", value={"progress_s": 1}),
}


@pytest.mark.parametrize("case", ALLOWED)
def test_what_the_readers_document_may_be_set(project: Project, case: str) -> None:
    project.edit("demo.yaml", ALLOWED[case])
    assert project.plan().runs("demo")


def test_the_second_padding_of_contacts_reaches_the_store(project: Project) -> None:
    plan = project.plan()
    track = plan.config.tracks["simA", "hic"]
    modalities = plan.config.values["modalities"]
    assert "double_padding" not in track_settings(track, modalities["hic"])
    project.edit("demo.yaml", setting("modalities", "hic", value={"double_padding": True}))
    modalities = project.plan().config.values["modalities"]
    assert track_settings(track, modalities["hic"])["double_padding"] is True


def test_training_must_say_how_long_it_is(project: Project) -> None:
    for file in ("config.yaml", "demo.yaml"):
        project.edit(file, removal("training", "steps"))
    with pytest.raises(InputError, match=r"\(training\): expected the keys steps, found"):
        project.plan()


def test_a_key_given_twice_is_refused_with_both_lines(project: Project) -> None:
    project.replace("demo.yaml", "seeds: [2, 22]", "seeds: [2, 22]\nseeds: [3]")
    lines = Path("config/demo.yaml").read_text().splitlines()
    first = lines.index("seeds: [2, 22]") + 1
    place = rf"demo\.yaml, line {first + 1} \(seeds\)"
    sentence = f"{place}: the key 'seeds' stands twice, first in line {first}"
    with pytest.raises(InputError, match=sentence):
        project.plan()


def test_values_keep_the_way_they_were_written(project: Project) -> None:
    # Results record them: 1 must not become 1.0 in a model's settings.
    project.edit("demo.yaml", setting("training", "clip_norm", value=1))
    training = project.plan().settings("demo", "simA", "prism")["training"]
    assert repr(training["clip_norm"]) == "1"


def test_cell_without_a_modality_is_normal(project: Project) -> None:
    path = Path("config/demo/tracks.tsv")
    path.write_text("".join(x for x in path.open() if not x.startswith("simA\th3k27ac")))
    plan = project.plan()
    assert plan.settings("demo", "simA", "prism")["modalities"] == ["dnase", "hic"]
    assert any("caduceus_signals_h3k27ac is left out in simA" in note for note in plan.skipped)
    assert not any(
        run.cell == "simA" and run.model == "caduceus_signals_h3k27ac" for run in plan.scenarios
    )


def test_sheets_of_the_repository_are_used_only_without_own_ones(
    project: Project, root: Path
) -> None:
    for file in (project.folder / "config").iterdir():
        if file.is_file() and file.name not in ("config.yaml", "demo.yaml"):
            file.unlink()
    with pytest.raises(InputError, match=r"experiments\.yaml: expected a YAML file, found no such"):
        project.plan()
    own = project.folder / "config"
    merged = merge(*(yaml.safe_load((own / f).read_text()) for f in ("config.yaml", "demo.yaml")))
    (project.folder / "config" / "config.yaml").rename(project.folder / "elsewhere.yaml")
    loaded = configuration.load(merged, [], root)
    assert loaded.values["sheets"]["models"] == str(root / "config" / "models.yaml")
    assert loaded.values["sheets"]["cells"] == "config/demo/cells.tsv"


def test_settings_of_a_module_lie_over_the_shipped_ones(project: Project) -> None:
    shipped = "config/config.yaml"
    values, files = configuration.with_shipped({"seeds": [7]}, ["main.yaml"], shipped)
    assert values["seeds"] == [7]
    assert "modalities" in values
    assert files == [shipped, "main.yaml"]
    whole = {"modalities": {}}
    assert configuration.with_shipped(whole, [], shipped) == (whole, [])
