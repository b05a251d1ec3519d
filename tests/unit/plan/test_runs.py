"""From experiments to runs: grids, shared runs, folds, cells, crops, transfer, bases."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from planned import PAPER

from prismflow.errors import InputError
from prismflow.plan.runs import Plan

Make = Callable[..., Plan]


def own(made: Plan, dataset: str = "demo") -> Any:
    return made.experiments[dataset, "own"]


def test_a_grid_takes_named_models_where_their_settings_are_equal(plan: Make) -> None:
    made = plan({"vary": {"models": ["prism"], "hyperparameters": {"n_contexts": [0, 2, 3]}}})
    assert own(made).models == ("prism_n0", "prism", "prism_n_contexts_3")
    assert [point["x"] for point in own(made).points] == [0, 2, 3]
    assert {point["base"] for point in own(made).points} == {"prism"}
    hyperparameters = made.settings("demo", "simA", "prism_n_contexts_3")["hyperparameters"]
    assert hyperparameters == {**made.models["prism"]["hyperparameters"], "n_contexts": 3}


def test_a_loss_weight_of_zero_keeps_the_generator(plan: Make) -> None:
    made = plan({"vary": {"models": ["prism"], "loss": {"intervention": [0, 0.1, 1]}}})
    assert own(made).models == ("prism_intervention_0", "prism_intervention_0_1", "prism")
    settings = made.settings("demo", "simA", "prism_intervention_0")
    assert settings["loss"] == {"intervention": 0, "uniform": 1}
    assert settings["hyperparameters"]["n_contexts"] == 2


def test_every_set_of_signals(plan: Make) -> None:
    made = plan({"vary": {"models": ["caduceus_signals"], "modalities": "subsets"}})
    names = [name.removeprefix("caduceus_signals") for name in own(made).models]
    assert names == [
        "_h3k27ac",
        "_dnase",
        "_hic",
        "_h3k27ac_dnase",
        "_h3k27ac_hic",
        "_dnase_hic",
        "",
    ]
    assert made.modalities("simA", "caduceus_signals_dnase_hic") == ["dnase", "hic"]
    assert own(made).points == ()


def test_extra_signals_are_read_only_by_models_that_name_them(plan: Make) -> None:
    made = plan({"models": ["prism"], "vary": {"models": ["prism"], "modalities": "extras"}})
    assert own(made).models == ("prism", "prism_with_h3k4me3")
    assert made.modalities("simA", "prism") == ["h3k27ac", "dnase", "hic"]
    added = made.modalities("simA", "prism_with_h3k4me3")
    assert added == ["h3k27ac", "dnase", "hic", "h3k4me3"]


def test_without_extra_tracks_the_experiment_is_left_out_with_a_note(plan: Make) -> None:
    path = Path("config/demo/tracks.tsv")
    path.write_text("".join(x for x in path.open() if "h3k4me3" not in x))
    made = plan({"models": ["prism"], "vary": {"models": ["prism"], "modalities": "extras"}})
    assert made.experiments == {} and made.scenarios == {}
    assert any("own is left out, because no modality marked `extra`" in x for x in made.skipped)


def test_a_model_that_needs_peaks_is_left_out_where_there_are_none(plan: Make) -> None:
    path = Path("config/demo/tracks.tsv")
    path.write_text("".join(x for x in path.open() if not x.startswith("simB\tpeaks")))
    made = plan({"models": ["peak_mask", "gbm"]}, model_overrides={"peak_mask": {"window_bp": 300}})
    assert {run.cell for run in own(made).runs if run.model == "peak_mask"} == {"simA"}
    assert any("peak_mask is left out in simB" in note for note in made.skipped)


def test_architectures_that_need_peaks_are_known_to_planning() -> None:
    from named import TABULAR, model_class

    from prismflow.settings.architectures import ARCHITECTURES

    networks = [name for name in ARCHITECTURES if name not in TABULAR]
    needing = {n for n in networks if "peak_mask" in getattr(model_class(n), "needs", ())}
    assert needing == {name for name, row in ARCHITECTURES.items() if row.needs_peaks}


def test_cells_folds_and_seeds_of_an_experiment(plan: Make) -> None:
    made = plan({"models": ["gbm"], "cells": ["simB"], "folds": "all", "seeds": [7]})
    folds = made.config.datasets["demo"]["splits"]["folds"]
    assert [(run.cell, run.fold, run.seed) for run in own(made).runs] == [
        ("simB", fold, 7) for fold in folds
    ]
    assert {run.fold for run in own(plan({"models": ["gbm"]})).runs} == {"fold11"}
    with pytest.raises(InputError, match=r"experiments\.own\.folds\): expected folds of dataset"):
        plan({"models": ["gbm"], "folds": ["fold7"]})


def test_crops_are_points_of_the_models_that_are_long_enough(plan: Make) -> None:
    made = plan({"models": ["gbm", "prism"], "crop_bp": [100, 400]})
    points = [(p["model"], p["scenario"], p["x"]) for p in own(made).points]
    assert points == [
        (model, scenario, x)
        for model in ("gbm", "prism")
        for scenario, x in (("full", 300), ("crop_100bp", 100))
    ]
    run = own(made).runs[0]
    assert made.tested(run)["crop_100bp"] == {"crop_bp": 100}


def test_transfer_tests_each_model_on_the_other_cells(plan: Make) -> None:
    made = plan({"models": ["prism"], "transfer": True})
    for run in own(made).runs:
        other = {"simA": "simB", "simB": "simA"}[run.cell]
        assert made.other_cells(run) == [other]
        assert made.tested(run) == {
            "full": {}, f"on_{other}": {"cell": other},
        }  # fmt: skip
    alone = plan({"models": ["prism"], "transfer": True, "cells": ["simA"]})
    assert alone.experiments == {}
    assert any("it needs two cells and the dataset has simA" in x for x in alone.skipped)


def test_a_dataset_takes_over_its_base(plan: Make) -> None:
    label = {"column": "{cell}_rna", "transform": "raw", "name": "RNA"}
    made = plan(
        {"models": ["gbm"]},
        run={"datasets": ["demo", "rna_only"]},
        datasets={"rna_only": {"base": "demo", "label": label, "cells": ["simB"]}},
    )
    settings = made.config.datasets["rna_only"]
    assert settings["genome"] == "resources/demo/genome.fa" and settings["label"]["name"] == "RNA"
    assert settings["simulate"]["cells"] == ["simA", "simB"]
    assert {run.cell for run in own(made, "rna_only").runs} == {"simB"}
    with pytest.raises(InputError, match="a dataset without a base of its own, found 'no'"):
        plan({"models": ["gbm"]}, datasets={"x": {"base": "no"}})


def test_a_dataset_may_have_experiments_of_its_own(plan: Make) -> None:
    made = plan({"models": ["gbm"]}, datasets={"demo": {"experiments": ["rna"]}},
                experiment_overrides={"rna": {"models": ["gbm"]}})  # fmt: skip
    assert list(made.experiments) == [("demo", "rna")]


@pytest.mark.parametrize(
    ("window_bp", "n_contexts", "expected"),
    [(2000, 2, (8, 1, 64)), (200_000, 0, (4, 2, 16)), (200_000, 2, (1, 8, 4))],
)
def test_long_windows_take_a_batch_in_several_passes(
    window_bp: int, n_contexts: int, expected: tuple[int, int, int]
) -> None:
    from prismflow.plan.model_settings import training_settings

    values = {"training": {"batch_size": 8, "eval_batch_size": 64}, "run": {"pass_bp": 800_000}}
    entry = {"window_bp": window_bp, "hyperparameters": {"n_contexts": n_contexts}}
    training = training_settings(values, entry)
    found = (training["batch_size"], training.get("accumulate_batches", 1))
    assert (*found, training["eval_batch_size"]) == expected
    assert found[0] * found[1] == 8


def test_the_papers_configuration_is_planned(plan: Make) -> None:
    # The gene table and tracks are made or downloaded later; planning asks for none of them.
    made = plan(files=PAPER)
    main = made.experiments["hg38_cage", "main"]
    published = Path("config/published.tsv").read_text().splitlines()[1:]
    named = {line.split("\t")[2] for line in published if line.startswith("main\t")}
    assert named <= set(main.models)
    assert {run.model for run in main.runs} == set(main.models)
    assert len({run.seed for run in main.runs}) == 5
    folds = {run.fold for run in made.experiments["hg38_cage", "folds"].runs}
    assert len(folds) == 12
    lengths = {point["x"] for point in made.experiments["hg38_cage", "input_length"].points}
    assert {500, 2000, 200_000} <= lengths


def test_a_regional_level_is_the_last_gene_feature_of_models_that_read_it(plan: Make) -> None:
    modalities = {"dnase": {"regional_bp": [1500, 10_000]}}
    overrides = {"prism_regional": {"window_bp": 300}}
    made = plan(
        {"models": ["prism_regional", "gbm"]}, modalities=modalities, model_overrides=overrides
    )
    regional = made.settings("demo", "simA", "prism_regional")
    assert regional["gene_features"][-1] == "dnase_regional"
    assert regional["modalities"] == ["h3k27ac", "dnase"]
    assert "dnase_regional" not in made.settings("demo", "simA", "gbm")["gene_features"]


def test_a_model_that_reads_a_level_which_no_signal_has_is_refused(plan: Make) -> None:
    with pytest.raises(InputError, match=r"`modalities\.dnase\.regional_bp` is not set"):
        plan({"models": ["prism_regional"]}, model_overrides={"prism_regional": {"window_bp": 300}})


def test_models_longer_than_the_windows_are_left_out_with_one_note(plan: Make) -> None:
    made = plan({"models": ["gbm", "caduceus", "prism", "cnn"]}, files=PAPER,
                datasets={"hg38_cage": {"window_bp": 2000}},
                run={"datasets": ["hg38_cage"]})  # fmt: skip
    assert own(made, "hg38_cage").models == ("gbm", "prism", "cnn")
    assert {run.model for run in made.scenarios} == {"gbm", "prism", "cnn"}
    (note,) = [note for note in made.notes("hg38_cage") if "caduceus" in note]
    assert note == (
        "windows of 2,000 bp hold no input for caduceus (200,000 bp), which is left out of all "
        "experiments; raise `datasets.hg38_cage.window_bp` to have it"
    )


def test_shorter_windows_leave_out_experiments_that_lose_all_models_or_one_they_compare_with(
    plan: Make,
) -> None:
    made = plan(files=PAPER, datasets={"hg38_cage": {"window_bp": 2000}})
    left = {note.split()[1] for note in made.notes("hg38_cage") if note.startswith("experiment ")}
    assert {"test_crop", "locus"} <= left
    assert not {"main", "input_length", "parameters"} & left
    lengths = made.experiments["hg38_cage", "input_length"]
    assert {point["x"] for point in lengths.points} == {500, 2000}
    models = made.experiments["hg38_cage", "parameters"].models
    assert all(made.models[name]["window_bp"] <= 2000 for name in models) and "prism" in models


def test_nothing_is_left_out_for_its_length_where_windows_are_long_enough(plan: Make) -> None:
    made = plan(files=PAPER)
    assert not any("bp hold no input" in note for note in made.skipped)


@pytest.mark.parametrize(
    "changes",
    [
        {"model_overrides": {"prism": {"window_bp": 4000}}},
        {"experiment_overrides": {"own": {"models": ["caduceus"]}}},
        {"experiment_overrides": {"own": {"vary": {"models": ["prism"], "window_bp": [9000]}}}},
    ],
)
def test_a_long_model_that_the_configuration_names_is_refused(
    plan: Make, changes: dict[str, Any]
) -> None:
    with pytest.raises(InputError, match=r"asks for windows of [\d,]+ bp, but the store of"):
        plan({"models": ["prism"]}, files=PAPER, datasets={"hg38_cage": {"window_bp": 2000}},
             run={"datasets": ["hg38_cage"]}, **changes)  # fmt: skip


def test_contact_partners_are_not_counted_where_no_cell_has_contacts(plan: Make) -> None:
    path = Path("config/demo/tracks.tsv")
    path.write_text("".join(x for x in path.open() if "\thic\t" not in x))
    made = plan(run={"experiments": ["hic_range", "scm"]})
    assert [name for _, name in made.experiments] == ["scm"]
    assert (
        "experiment hic_range is left out, because no cell has a track of contacts"
        in made.notes("demo")
    )


def test_published_folds_stay_as_they_are_and_all_others_share_no_sequence(plan: Make) -> None:
    def policies(made: Plan) -> dict[str, str]:
        return {n: d["splits"]["shared_sequence"] for n, d in made.config.datasets.items()}

    assert policies(plan(files=PAPER)) == {"hg38_cage": "keep", "hg38_rna": "keep"}
    assert policies(plan()) == {"demo": "drop"}


def test_networks_of_the_matched_arm_differ_in_nothing_but_architecture_and_signals(
    plan: Make,
) -> None:
    made = plan(files=PAPER)
    experiment = made.experiments["hg38_cage", "matched"]
    networks = [name for name in experiment.models if name not in made.tabular]
    assert len(networks) == 10
    found = [made.settings("hg38_cage", "K562", name) for name in networks]
    for key in ("window_bp", "training", "gene_features"):
        assert all(one[key] == found[0][key] for one in found), key
    read = [one["transforms"] for one in found if one["modalities"]]
    assert all(one == read[0] for one in read)
    # The published settings do differ, or the arm would be of no use.
    published = made.settings("hg38_cage", "K562", "caduceus_signals_2kb")
    assert published["training"] != found[0]["training"]
