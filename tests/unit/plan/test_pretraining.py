"""Which runs start from which pretrained weights."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from planned import DEMO_FULL, PAPER, wildcards

from prismflow.errors import InputError
from prismflow.plan.inputs import Inputs
from prismflow.plan.pretraining import Pretrainings
from prismflow.plan.runs import Plan

Make = Callable[..., Plan]
LONG = {"models": ["caduceus_pretrained", "caduceus"]}


def start_of(plan: Plan, dataset: str, cell: str, model: str) -> str | list[str]:
    run = wildcards(dataset=dataset, cell=cell, model=model, run="fold11_seed2")
    return Inputs(plan).initial_weights(run)


def test_hg38_plans_models_of_all_lengths_with_and_without_pretraining(plan: Make) -> None:
    made = plan(files=PAPER)
    points = made.experiments["hg38_cage", "pretraining"].points
    lengths = {500, 2000, 10000, 50000, 200000}
    for base in LONG["models"]:
        assert {point["x"] for point in points if point["base"] == base} == lengths
    starts = {
        start_of(made, "hg38_cage", cell, point["model"])
        for cell in ("K562", "GM12878")
        for point in points
        if point["base"] == "caduceus_pretrained"
    }
    assert starts == {"results/hg38_cage/pretraining/long_context/fold11/model.safetensors"}
    assert start_of(made, "hg38_cage", "K562", "caduceus_500bp") == []


def test_a_pretraining_has_the_sizes_of_its_model_and_passes_that_fit(plan: Make) -> None:
    where = wildcards(dataset="hg38_cage", pretraining="long_context", fold="fold11")
    found = Pretrainings(plan(files=PAPER)).settings(where)
    assert found["class"].endswith(":Caduceus") and found["window_bp"] == 131072
    # 8 pieces of 131,072 bp are above 800,000 bp per pass.
    assert found["training"]["batch_size"] * found["training"]["accumulate_batches"] == 8
    assert found["training"]["batch_size"] * found["window_bp"] <= 800_000
    where = wildcards(pretraining="long_context", fold="fold11")
    tiny = Pretrainings(plan(files=DEMO_FULL)).settings(where)
    assert tiny["hyperparameters"] == {"d_model": 16, "n_layers": 1, "d_state": 4}


def test_only_models_that_start_from_it_have_the_key_among_their_settings(plan: Make) -> None:
    made = plan(LONG)
    assert made.settings("demo", "simA", "caduceus_pretrained")["initial_weights"] == "long_context"
    assert "initial_weights" not in made.settings("demo", "simA", "caduceus")


def test_released_weights_are_taken_over_once_for_all_folds(plan: Make, files: object) -> None:
    made = plan(LONG, pretraining={"long_context": {"released": "config/config.yaml"}})
    expected = "results/demo/pretraining/long_context/released/model.safetensors"
    assert start_of(made, "demo", "simA", "caduceus_pretrained") == expected
    rules = Pretrainings(made)
    assert rules.names(released=True) == ["long_context"] and rules.names(released=False) == []


def test_a_configuration_without_pretraining_is_fine_until_a_model_asks_for_it(plan: Make) -> None:
    assert plan({"models": ["caduceus"]}, pretraining={}).runs("demo")
    with pytest.raises(InputError, match="expected a name of `pretraining`"):
        plan({"models": ["cnn"]}, model_overrides={"cnn": {"initial_weights": "other"}})


def test_a_released_checkpoint_is_not_started_from_anything(plan: Make) -> None:
    both = {"checkpoint": "config/config.yaml"}
    with pytest.raises(InputError, match="expected `initial_weights` or `checkpoint`, found both"):
        plan(LONG, model_overrides={"caduceus_pretrained": both})
