"""Predictions and bundles in the plan."""

from __future__ import annotations

import pytest
from planned import Files, wildcards

from prismflow.errors import InputError
from prismflow.plan.inputs import Inputs
from prismflow.plan.predictions import Predictions, all_bundles, all_predictions, check_trained

ENTRY = {"dataset": "demo", "cell": "simA", "model": "prism", "genes": "resources/demo/genes.tsv"}


def test_a_prediction_reads_the_bundle_of_its_runs_and_the_tracks_of_its_cell(files: Files) -> None:
    plan = files.plan(predictions={"other": {**ENTRY, "tracks": "simB"}})
    asked = Predictions(plan)
    own = wildcards(prediction="other")
    assert all_predictions(plan) == ["results/demo/predictions/other.tsv"]
    assert asked.bundle(own) == "results/demo/simA/prism/bundle.zip"
    assert asked.bundle(own) in all_bundles(plan)
    assert "resources/demo/simB.hic" in asked.track_files(own)
    assert asked.tracks(own)["hic"]["path"] == "resources/demo/simB.hic"
    assert asked.options(own)["cell"] == "simB"
    assert asked.genome(own) == "resources/demo/genome.fa"
    assert "results/demo/predictions/other.tsv" in Inputs(plan).report(wildcards())


def test_a_bundle_holds_every_run_of_its_model(files: Files) -> None:
    own = wildcards(cell="simA", model="prism")
    asked = Predictions(files.plan())
    assert asked.folders(own) == [f"results/demo/simA/prism/fold11_seed{s}" for s in (2, 22)]
    assert len(asked.run_files(own)) == 6


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"dataset": "x"}, "unknown dataset 'x'"),
        ({"cell": "HepG2"}, "unknown cell of the dataset 'HepG2'"),
        ({"tracks": "HepG2"}, "unknown cell 'HepG2'"),
        ({"dataset": "hg38_cage", "cell": "K562"}, "expected a file at resources/demo/genes.tsv"),
    ],
)
def test_what_a_prediction_cannot_name_is_one_sentence(
    files: Files, change: dict[str, str], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        files.plan(predictions={"other": ENTRY | change})


def test_a_model_that_no_experiment_trains_is_one_sentence(files: Files) -> None:
    plan = files.plan(predictions={"other": ENTRY | {"model": "hyena"}})
    with pytest.raises(InputError, match="expected a model that is trained in simA"):
        check_trained(plan)
