"""Which runs score element-gene pairs, and what the target makes."""

from __future__ import annotations

import pytest
from planned import DEMO_FULL, PAPER, wildcards

from prismflow.errors import InputError
from prismflow.plan.enhancer_gene import EnhancerGenes, enhancer_gene_files, scoring_runs


def test_models_of_long_windows_and_those_that_read_elements_score_pairs(files) -> None:
    plan = files.plan(files=DEMO_FULL)
    assert {run.model for run in scoring_runs(plan, "demo_long")} == {
        "gbm_24000bp", "cnn_24000bp", "epinformer",
    }  # fmt: skip
    assert enhancer_gene_files(plan) == [
        "results/demo_long/simA/enhancer_gene.tsv.gz", "results/demo_long/simA/enhancer_gene.bedpe",
    ]  # fmt: skip
    view, own = EnhancerGenes(plan), wildcards(dataset="demo_long", cell="simA")
    assert view.of_cell(own) == "results/demo_long/simA/enhancer_gene.tsv.gz"
    assert len(view.scores(own)) == 3 and set(view.by_model(own)) == {
        "gbm_24000bp", "cnn_24000bp", "epinformer",
    }  # fmt: skip


def test_the_papers_data_are_scored_by_its_long_window_models(files) -> None:
    plan = files.plan(files=PAPER)
    models = {run.model for run in scoring_runs(plan, "hg38_cage")}
    assert {"caduceus", "enformer", "epinformer", "seq2exp_soft"} <= models
    assert not models & {"prism", "caduceus_2kb", "gbm"}
    assert "results/hg38_cage/K562/enhancer_gene.bedpe" in enhancer_gene_files(plan)


def test_a_model_whose_window_holds_no_distant_element_is_refused(files) -> None:
    plan = files.plan(files=DEMO_FULL, enhancer_gene={"models": ["prism"]})
    with pytest.raises(InputError, match="found 'prism' without elements in its 300 bp"):
        scoring_runs(plan, "demo_long")


def test_a_model_that_nothing_trains_is_refused(files) -> None:
    plan = files.plan(files=DEMO_FULL, enhancer_gene={"models": ["prism_sampled_none"]})
    with pytest.raises(InputError, match="expected a model that the experiments train"):
        scoring_runs(plan, "demo_long")


def test_without_elements_and_pairs_the_target_says_what_to_declare(files) -> None:
    with pytest.raises(InputError, match="expected a dataset with `elements`"):
        enhancer_gene_files(files.plan())
