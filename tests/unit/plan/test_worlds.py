"""Worlds of known confounding, as rules name them."""

from __future__ import annotations

import ast
from collections.abc import Callable

import pytest
from planned import DEMO_FULL, wildcards

from prismflow.errors import InputError
from prismflow.plan.runs import Plan
from prismflow.plan.worlds import Worlds, worlds_of

Make = Callable[..., Plan]


def test_there_is_no_world_where_the_experiment_is_not_asked_for(plan: Make) -> None:
    assert worlds_of(plan(), "demo") == {}


def test_worlds_are_named_by_confounding_and_replicate(plan: Make) -> None:
    grid = [{"training": -0.5, "replicates": [1, 2]},
            {"training": 1, "replicates": [3], "models": ["prism"]}]  # fmt: skip
    made = plan(files=DEMO_FULL, experiment_overrides={"confounding": {"options": {"grid": grid}}})
    worlds = worlds_of(made, "demo")
    assert list(worlds) == ["trainm0p5_replicate1", "trainm0p5_replicate2", "train1_replicate3"]
    assert worlds["train1_replicate3"]["models"] == ["prism"]
    models = made.experiments["demo", "confounding"].models
    assert worlds["trainm0p5_replicate1"]["models"] == models


def test_a_world_depends_on_neither_paths_nor_promoter_activity(plan: Make) -> None:
    made = plan(files=DEMO_FULL)
    name, world = next(iter(worlds_of(made, "demo").items()))
    settings = Worlds(made).settings(wildcards(world=name))
    assert ast.literal_eval(repr(settings)) == settings
    assert {track["path"] for track in settings["tracks"]} == {""}
    assert [model["model"] for model in settings["models"]] == list(world["models"])
    assert not any("promoter_activity" in m["gene_features"] for m in settings["models"])
    assert settings["dataset"]["cells"] == ["simA"]
    assert settings["seed"] == world["replicate"]
    # The plan's own settings of the models stay as they are.
    assert "promoter_activity" in made.settings("demo", "simA", "prism")["gene_features"]


def test_all_worlds_are_gathered_as_plain_values(plan: Make) -> None:
    made = plan(files=DEMO_FULL)
    found = Worlds(made).all(wildcards())
    assert set(found) == set(worlds_of(made, "demo"))
    assert all(isinstance(world["models"], list) for world in found.values())


def test_worlds_have_a_regional_level_of_their_own(plan: Make) -> None:
    made = plan(files=DEMO_FULL)
    name = next(iter(worlds_of(made, "demo")))
    tracks = {t["modality"]: t for t in Worlds(made).settings(wildcards(world=name))["tracks"]}
    assert tracks["dnase"]["regional_bp"] == [1500, 10000]
    assert "regional_bp" not in tracks["h3k27ac"]
    # No store of another experiment is built with it.
    assert made.config.values["modalities"]["dnase"].get("regional_bp") is None


def test_a_regional_model_without_a_level_is_refused(plan: Make) -> None:
    options = {"confounding": {"options": {"regional_bp": None}}}
    with pytest.raises(InputError, match=r"gbm_regional reads the regional level of dnase"):
        plan(files=DEMO_FULL, experiment_overrides=options)
