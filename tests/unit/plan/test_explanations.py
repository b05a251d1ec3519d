"""Which runs are explained, and with which runs variants are scored."""

from __future__ import annotations

import pytest
from planned import wildcards

from prismflow.errors import InputError
from prismflow.plan.explanations import (
    Explanations,
    attribution_files,
    shown_in_report,
    variant_files,
)
from prismflow.plan.inputs import Inputs
from prismflow.plan.requests import Requests


def test_every_run_of_the_models_named_is_explained(files) -> None:
    plan = files.plan(attributions={"models": ["prism", "cnn"]})
    found = attribution_files(plan)
    assert len(found) == 2 * 2 * 2 * 3
    assert "results/demo/simB/cnn/fold11_seed22/attributions" in found


def test_prism_is_explained_where_no_model_is_named(files) -> None:
    assert {path.split("/")[3] for path in attribution_files(files.plan())} == {"prism"}


def test_a_network_that_no_experiment_trains_is_refused(files) -> None:
    plan = files.plan(attributions={"models": ["prism", "enformer"]})
    with pytest.raises(InputError, match=r"expected a network .*prism.*, found 'enformer'"):
        attribution_files(plan)


def test_what_is_no_network_is_refused_while_planning(files) -> None:
    with pytest.raises(InputError, match=r"expected networks.*caduceus.*, found 'gbm'"):
        files.plan(attributions={"models": ["prism", "gbm"]})


def test_a_figures_size_does_not_explain_genes_again(files) -> None:
    chosen = wildcards(cell="simA", model="prism", run="fold11_seed2")
    one, two = (
        Explanations(files.plan(attributions={"figure_genes": n})).attributions(chosen)
        for n in (1, 2)
    )
    assert one == two
    assert one["genes"] == [] and one["split"] == "test"


def test_variants_are_scored_per_cell_and_model_with_all_seeds(files) -> None:
    plan = files.plan(variants={"vcf": "my.vcf.gz"})
    assert variant_files(plan) == [
        "results/demo/variants/simA/prism.tsv.gz", "results/demo/variants/simB/prism.tsv.gz",
    ]  # fmt: skip
    chosen = wildcards(cell="simB", model="prism")
    view = Explanations(plan)
    assert view.vcf(chosen) == "my.vcf.gz"
    assert view.folders(chosen) == [
        "results/demo/simB/prism/fold11_seed2", "results/demo/simB/prism/fold11_seed22",
    ]  # fmt: skip
    assert len(view.trained(chosen)) == 4


def test_without_a_vcf_the_target_says_what_to_name(files) -> None:
    with pytest.raises(InputError, match=r"`variants\.vcf`, found none"):
        variant_files(files.plan())


def test_the_report_shows_explanations_where_the_configuration_asks_for_them(files) -> None:
    own = wildcards(dataset="demo")
    plain = files.plan()
    assert shown_in_report(plain, "demo") == {}
    assert not any("attributions" in file for file in Inputs(plain).report(own))
    asked = files.plan(attributions={"report": True}, variants={"vcf": "my.vcf.gz"})
    shown = shown_in_report(asked, "demo")
    assert len(shown["attributions"]) == 4 and shown["variants"] == variant_files(asked)
    assert all(file.endswith("/attributions.png") for file in shown["attributions"])
    assert set(Inputs(asked).report(own)) >= {*shown["attributions"], *shown["variants"]}
    assert Requests(asked).report(own)["variants"] == shown["variants"]
