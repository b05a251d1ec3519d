"""What figures, tables, claims and the report are asked for."""

from __future__ import annotations

import ast
from collections.abc import Callable

import pytest
from planned import DEMO_FULL, PAPER, wildcards

from prismflow.plan.price_request import plan_request
from prismflow.plan.requests import Requests, context, families
from prismflow.plan.runs import Plan

Make = Callable[..., Plan]


def test_requests_of_all_experiments_are_plain(plan: Make) -> None:
    made = plan(files=DEMO_FULL)
    requests = Requests(made)
    for dataset, identifier in made.experiments:
        asked = wildcards(dataset=dataset, experiment=identifier)
        found = requests.of_experiment(asked)
        assert ast.literal_eval(repr(found)) == found
        assert list(found["experiment"]) == sorted(found["experiment"])
        assert found["experiment"]["id"] == identifier
        assert [len(run) for run in found["runs"]] == [4] * len(found["runs"])


def test_options_and_grids_are_resolved_in_a_request(plan: Make) -> None:
    made = plan({"vary": {"models": ["prism"], "hyperparameters": {"n_contexts": [0, 2]}},
                 "options": {"metrics": ["mse"]}})  # fmt: skip
    experiment = Requests(made).of_experiment(wildcards(experiment="own"))["experiment"]
    assert experiment["models"] == ["prism_n0", "prism"]
    assert experiment["metrics"] == ["mse"]
    assert [point["x"] for point in experiment["points"]] == [0, 2]
    assert not {"vary", "options"} & set(experiment)


def test_families_are_given_to_the_renderer_that_needs_them(plan: Make) -> None:
    made = plan()
    found = Requests(made).of_experiment(wildcards(experiment="input_length"))
    assert found["families"] == families(made, made.experiments["demo", "input_length"])
    for models in found["families"].values():
        lengths = [made.models[model]["window_bp"] for model in models]
        assert len(lengths) > 1 and lengths == sorted(lengths)
    assert "families" not in Requests(made).of_experiment(wildcards(experiment="main"))


def test_families_that_an_experiment_names_itself_come_first(plan: Make) -> None:
    named = {"short": ["gbm"]}
    made = plan({"models": ["gbm"], "renderer": "input_length", "options": {"families": named}})
    assert Requests(made).of_experiment(wildcards(experiment="own"))["families"] == named


def test_settings_of_models_are_given_where_a_table_needs_them(plan: Make) -> None:
    made = plan(files=PAPER)
    asking = [
        (dataset, name) for dataset, name in made.experiments if name == "scm" or "param" in name
    ]
    assert asking
    for dataset, name in asking:
        asked = wildcards(dataset=dataset, experiment=name)
        settings = Requests(made).of_experiment(asked)["context"].get("model_settings")
        assert settings is None or set(settings) == set(made.experiments[dataset, name].models)
    assert any(
        "model_settings" in Requests(made).of_experiment(
            wildcards(dataset=dataset, experiment=name))["context"]
        for dataset, name in asking
    )  # fmt: skip


def test_a_context_names_the_signals_that_a_model_reads_in_any_cell(plan: Make) -> None:
    found = context(plan(), "demo")
    assert found["model_modalities"]["prism"] == ["h3k27ac", "dnase", "hic"]
    assert found["model_modalities"]["caduceus"] == []
    assert found["simulated"] and found["cells"] == ["simA", "simB"]
    assert set(found["model_order"]) == set(found["model_labels"])


def test_claims_are_asked_for_the_experiments_that_are_run(plan: Make) -> None:
    content = {
        "claims": {
            "a": {"position": 0, "tests": [{"experiments": ["main", "folds"]}]},
            "b": {"position": 1, "tests": [{"kind": "parameters"}]},
        }
    }
    found = Requests(plan()).claims(wildcards(), content)
    assert list(found["experiments"]) == ["main"]
    assert found["experiments"]["main"]["runs"][0][2:] == ["fold11", 2]
    assert found["context"]["dataset"] == "demo"


def test_the_report_knows_where_tracks_come_from(plan: Make) -> None:
    found = Requests(plan()).report(wildcards())
    assert {track["source"] for track in found["tracks"]} == {"simulated"}
    by_name = {entry["id"]: entry for entry in found["experiments"]}
    assert by_name["main"]["figure"] and by_name["main"]["title"]
    real = Requests(plan(files=PAPER)).report(wildcards(dataset="hg38_cage"))
    assert {track["source"] for track in real["tracks"]} == {"not recorded (local file)"}


def test_experiments_say_where_they_stand_in_the_paper(plan: Make) -> None:
    made = plan({"models": ["gbm"], "paper": "", "category": "Beyond"})
    requests, asked = Requests(made), wildcards(experiment="own")
    words = (requests.title(asked), requests.caption(asked), requests.category(asked))
    assert words == ("t", "c", "Beyond")
    assert requests.place(asked) == "beyond the paper"


@pytest.mark.parametrize("of", [DEMO_FULL, PAPER])
def test_the_price_of_a_plan_is_asked_for_in_plain_values(plan: Make, of: tuple[str, ...]) -> None:
    made = plan(files=of)
    request = plan_request(made)
    assert ast.literal_eval(repr(request)) == request
    for dataset, content in request["datasets"].items():
        named = [e.id for e in made.experiments_of(dataset)]
        assert list(content["experiments"]) == named
        assert len(content["runs"]) == len(made.runs(dataset))
