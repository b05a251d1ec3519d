"""The transform `s3norm` in a configuration: what it asks of jobs, and what is refused."""

from __future__ import annotations

import copy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from prismflow.errors import InputError
from prismflow.plan.inputs import Inputs
from prismflow.plan.parameters import Parameters
from prismflow.plan.runs import Plan, make_plan
from prismflow.settings import config as configuration
from prismflow.settings.datasets import merge


def plan_of(root: Path, monkeypatch: pytest.MonkeyPatch, **dnase: Any) -> Plan:
    monkeypatch.chdir(root)
    files = ["config/config.yaml", "config/demo.yaml"]
    merged: dict[str, Any] = {}
    for file in files:
        merged = merge(merged, yaml.safe_load(Path(file).read_text()))
    merged = merge(merged, {"modalities": dnase})
    return make_plan(configuration.load(copy.deepcopy(merged), files))


def test_a_track_is_fitted_to_its_reference_on_the_folds_that_run(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = {"transform": "s3norm", "s3norm": {"reference": "simA"}}
    plan = plan_of(root, monkeypatch, dnase=chosen)
    asked = SimpleNamespace(dataset="demo", cell="simB", modality="dnase")
    track = Parameters(plan).inspected_track(asked)
    reference = "resources/demo/simA.dnase.bw"
    assert track["s3norm"]["reference"] == reference
    assert track["s3norm"]["folds"] == sorted({run.fold for run in plan.runs("demo")})
    assert Inputs(plan).s3norm_reference(asked) == reference
    assert Inputs(plan).s3norm_splits(asked) == "results/demo/splits.tsv"
    other = SimpleNamespace(dataset="demo", cell="simB", modality="h3k27ac")
    assert Inputs(plan).s3norm_reference(other) == Inputs(plan).s3norm_splits(other) == []
    assert "s3norm" not in Parameters(plan).inspected_track(other)


@pytest.mark.parametrize(
    ("modalities", "sentence"),
    [
        (
            {"dnase": {"transform": "s3norm:log1p"}},
            r"dnase.transform\): the transform 's3norm:log1p' of 'dnase' needs a reference",
        ),
        (
            {"dnase": {"s3norm": {"reference": "simC"}}},
            r"expected a cell with a track 'dnase' as reference, found 'simC'; cells with one are",
        ),
        (
            {"hic": {"s3norm": {"reference": "simA"}}},
            r"expected s3norm for a modality of kind 'signal', found 'contacts'",
        ),
    ],
    ids=["no reference", "unknown cell", "contacts"],
)
def test_what_is_refused(
    root: Path, monkeypatch: pytest.MonkeyPatch, modalities: dict, sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence):
        plan_of(root, monkeypatch, **modalities)
