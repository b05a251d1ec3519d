"""Parameters of rules: plain values that hold what a job depends on, and nothing else."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from planned import DEMO_FULL, PAPER, RELEASED, wildcards

from prismflow.plan.parameters import Parameters, simulation_settings, window_settings
from prismflow.plan.runs import Plan

Make = Callable[..., Plan]
IN_CELL = wildcards(cell="simA", model="prism", run="fold11_seed2", modality="dnase")
#: Parameters and the names that they need.
NAMES = (
    "aliases", "inspected_track", "tracks", "checks", "windows", "store", "model",
    "model_anywhere", "fold", "seed", "scenarios", "runs", "element_shapes", "contact_range",
    "crispri", "pairs",
)  # fmt: skip


def everything(plan: Plan) -> dict[str, str]:
    """What Snakemake would record of every parameter."""
    return {name: repr(getattr(Parameters(plan), name)(IN_CELL)) for name in NAMES}


def reversed_keys(value: Any) -> Any:
    """The same content, every mapping in the opposite order."""
    if isinstance(value, dict):
        return {key: reversed_keys(value[key]) for key in reversed(value)}
    return [reversed_keys(item) for item in value] if isinstance(value, list) else value


def test_every_parameter_is_tested_here() -> None:
    own = {name for name in vars(Parameters) if not name.startswith("_")}
    assert own == set(NAMES)


def test_parameters_are_plain_values(plan: Make) -> None:
    for name, record in everything(plan(files=DEMO_FULL)).items():
        value = getattr(Parameters(plan(files=DEMO_FULL)), name)(IN_CELL)
        assert ast.literal_eval(record) == value


def test_reordered_keys_of_the_files_change_no_parameter(plan: Make) -> None:
    before = everything(plan())
    for file in ("config/demo.yaml", "config/models.yaml", "config/experiments.yaml"):
        content = yaml.safe_load(Path(file).read_text())
        # The order of modalities is that of channels and of experiments that of the request.
        Path(file).write_text(yaml.safe_dump(reversed_keys(content), sort_keys=False))
    assert everything(plan()) == before


def test_a_changed_setting_changes_the_parameters_that_hold_it(plan: Make) -> None:
    before = everything(plan())
    after = everything(plan(training={"learning_rate": 0.123}))
    assert {name for name in NAMES if before[name] != after[name]} == {"model", "model_anywhere"}
    after = everything(plan(datasets={"demo": {"signal_dtype": "float16"}}))
    changed = {name for name in NAMES if before[name] != after[name]}
    assert changed == {"windows", "store"}


def test_the_choice_of_runs_moves_no_window(plan: Make) -> None:
    settings = plan().config.datasets["demo"]
    chosen = {**settings, "experiments": ["main"], "splits": {**settings["splits"], "use": ["x"]}}
    assert window_settings(chosen) == window_settings(settings)


def test_tracks_come_in_channel_order_with_their_modality(plan: Make) -> None:
    made = plan()
    tracks = Parameters(made).tracks(IN_CELL)
    assert [track["modality"] for track in tracks] == made.config.modalities_of("simA")
    assert {"missing", "pseudocount", "path", "where"} <= set(tracks[0])
    inspected = Parameters(made).inspected_track(IN_CELL)
    assert inspected["md5"] == "" and inspected["path"].endswith("simA.dnase.bw")


def test_checks_name_a_summary_for_every_track(plan: Make) -> None:
    checks = Parameters(plan()).checks(IN_CELL)
    for cell, tracks in checks["cells"].items():
        assert checks["summaries"][cell] == {
            track["modality"]: f"results/demo/tracks/{cell}/{track['modality']}.json"
            for track in tracks
        }


def test_runs_are_lists_of_cell_model_fold_and_seed(plan: Make) -> None:
    runs = Parameters(plan({"models": ["gbm"], "seeds": [7]})).runs(IN_CELL)
    assert runs == [["simA", "gbm", "fold11", 7], ["simB", "gbm", "fold11", 7]]


def test_the_run_is_read_off_its_wildcard(plan: Make) -> None:
    parameters = Parameters(plan())
    assert (parameters.fold(IN_CELL), parameters.seed(IN_CELL)) == ("fold11", 2)


def test_a_simulation_is_told_its_cells(plan: Make) -> None:
    found = simulation_settings(plan().config.datasets["demo"])
    assert found == {"cells": ["simA", "simB"], "seed": 1}


def test_contact_partners_are_counted_in_the_range_of_the_experiment(plan: Make) -> None:
    found = Parameters(plan(files=DEMO_FULL)).contact_range(IN_CELL)
    assert found["track"]["kind"] == "contacts"
    assert (
        found["range_bp"]
        == plan(files=DEMO_FULL).config.experiments["hic_range"]["options"]["range_bp"]
    )


def test_a_cell_without_contacts_has_no_track_to_count_in(plan: Make) -> None:
    path = Path("config/demo/tracks.tsv")
    path.write_text("".join(x for x in path.open() if not x.startswith("simB\thic")))
    found = Parameters(plan({"models": ["gbm"]})).contact_range(wildcards(cell="simB"))
    assert found["track"] is None


def test_shapes_of_elements_are_those_of_the_dataset(plan: Make) -> None:
    nothing = {"element_bp": 0, "n_elements": 0}
    assert Parameters(plan()).element_shapes(IN_CELL) == nothing
    made = plan(files=RELEASED)
    elements = made.config.datasets["hg38_cage"]["elements"]
    found = Parameters(made).element_shapes(wildcards(dataset="hg38_cage"))
    wanted = {"element_bp": elements["sequence_bp"], "n_elements": elements["n_nearest"]}
    assert found == wanted != nothing


def test_tested_pairs_come_with_the_tracks_and_folds_that_judge_them(plan: Make) -> None:
    found = Parameters(plan(files=PAPER)).crispri(wildcards(dataset="hg38_cage", cell="K562"))
    assert [entry["absent_genes"] for entry in found["benchmarks"]] == ["missing"]
    assert [track["modality"] for track in found["tracks"]] == ["h3k27ac", "dnase"]
    assert found["folds"] and Parameters(plan()).crispri(IN_CELL)["benchmarks"] == []


def test_pairs_come_with_tracks_of_activity_and_contact(plan: Make) -> None:
    found = Parameters(plan(files=PAPER)).pairs(wildcards(dataset="hg38_cage", cell="K562"))
    assert [entry["absent_genes"] for entry in found["benchmarks"]] == ["missing"]
    assert [track["modality"] for track in found["tracks"]] == ["h3k27ac", "dnase"]
    assert found["contacts"]["kind"] == "contacts"
