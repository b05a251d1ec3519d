"""Input files of rules."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from planned import DEMO_FULL, wildcards

from prismflow.plan.inputs import Inputs
from prismflow.plan.runs import Plan

Make = Callable[..., Plan]


def test_a_dataset_names_its_genome_genes_and_blacklist(plan: Make) -> None:
    inputs = Inputs(plan())
    assert inputs.genome(wildcards()) == "resources/demo/genome.fa"
    assert inputs.gene_table(wildcards()) == "resources/demo/genes.tsv"
    assert inputs.blacklist(wildcards()) == "resources/demo/blacklist.bed"
    # Without candidate enhancers a store does not depend on the blacklist.
    assert inputs.blacklist_of_elements(wildcards()) == []


def test_a_dataset_may_do_without_a_blacklist(plan: Make) -> None:
    made = plan(datasets={"demo": {"blacklist": None}})
    assert Inputs(made).blacklist(wildcards()) == []


def test_tracks_and_summaries_of_a_cell_are_among_those_of_the_dataset(plan: Make) -> None:
    made = plan()
    inputs, cell = Inputs(made), wildcards(cell="simB", modality="hic")
    assert inputs.track_file(cell) == "resources/demo/simB.hic" == inputs.contacts(cell)
    assert len(inputs.tracks(cell)) == len(made.config.modalities_of("simB"))
    assert inputs.summaries(cell)[0].startswith("results/demo/tracks/simB/")
    assert set(inputs.tracks(cell)) < set(inputs.tracks_of_dataset(wildcards()))
    assert set(inputs.summaries(cell)) < set(inputs.summaries_of_dataset(wildcards()))


def test_a_cell_without_contacts_waits_for_none(plan: Make) -> None:
    path = Path("config/demo/tracks.tsv")
    path.write_text("".join(x for x in path.open() if not x.startswith("simB\thic")))
    assert Inputs(plan({"models": ["gbm"]})).contacts(wildcards(cell="simB")) == []


def test_every_run_gives_metrics_and_predictions(plan: Make) -> None:
    made = plan()
    metrics = Inputs(made).metrics(wildcards())
    assert len(metrics) == len(set(metrics)) == len(made.runs("demo"))
    folders = [path.rpartition("/")[0] for path in Inputs(made).predictions(wildcards())]
    assert folders == [path.rpartition("/")[0] for path in metrics]


def test_a_transferred_run_needs_the_store_of_the_other_cell(plan: Make) -> None:
    inputs = Inputs(plan({"models": ["prism"], "transfer": True}))
    run = wildcards(cell="simA", model="prism", run="fold11_seed2")
    assert inputs.other_stores(run) == ["results/demo/simB/store"]


def test_figures_and_tables_read_what_their_modules_need(plan: Make) -> None:
    inputs = Inputs(plan())
    assert inputs.figure(wildcards(experiment="main")) == ["results/demo/metrics.tsv"]
    curves = inputs.figure(wildcards(experiment="training_curves"))
    assert curves and all(path.endswith("/history.tsv") for path in curves)
    assert inputs.comparisons(wildcards(experiment="main")) == (
        "results/demo/tables/main_comparisons.tsv"
    )
    assert inputs.table(wildcards(experiment="main")) == ["results/demo/metrics.tsv"]


def test_worlds_are_gathered_where_the_experiment_is_asked_for(plan: Make) -> None:
    assert Inputs(plan()).worlds(wildcards()) == []
    found = Inputs(plan(files=DEMO_FULL)).worlds(wildcards())
    assert len(found) == 6 and found[0].startswith("results/demo/confounding/train")


def test_a_report_gathers_figures_and_tables(plan: Make) -> None:
    found = Inputs(plan()).report(wildcards())
    assert "results/demo/figures/main.pdf" in found and "results/demo/tables/main.tex" in found
    assert "results/demo/tables/claims.html" in found
    assert len(found) == len(set(found))


def test_claims_wait_for_runs_and_worlds_as_far_as_there_are_any(plan: Make) -> None:
    runs_only = Inputs(plan())
    assert runs_only.gathered(wildcards()) == "results/demo/predictions.safetensors"
    assert runs_only.measures_of_worlds(wildcards()) == []
    worlds_only = Inputs(plan(files=DEMO_FULL, run={"datasets": ["demo"],
                                                    "experiments": ["confounding"]}))  # fmt: skip
    assert worlds_only.gathered(wildcards()) == []
    assert worlds_only.measures_of_worlds(wildcards()) == "results/demo/confounding/measures.tsv"
