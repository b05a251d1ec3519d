# Worlds with a known confounding: every model of the experiment is trained in each of them and
# tested where the confounding is intact, absent or turned round (docs/confounding.md).
CONFOUNDING = "results/{dataset}/confounding"


def worlds_of(dataset):
    """Name of a world -> kappa of its training genes, replicate and models."""
    if (dataset, "confounding") not in PLAN.experiments:
        return {}
    experiment = PLAN.experiments[dataset, "confounding"]
    worlds = {}
    for block in experiment.entry["options"]["grid"]:
        kappa = f"{block['training']:g}".replace("-", "m").replace(".", "p")
        for replicate in block["replicates"]:
            worlds[f"train{kappa}_replicate{replicate}"] = {
                "training": block["training"],
                "replicate": replicate,
                "models": block.get("models", experiment.models),
            }
    return worlds


def world_settings(wildcards):
    """All that a world depends on; the gene feature made from the signals is left out of it."""
    dataset, settings = wildcards.dataset, window_settings(wildcards)
    world = worlds_of(dataset)[wildcards.world]
    options = PLAN.experiments[dataset, "confounding"].entry["options"]
    cell = settings["cells"][0]
    models = [PLAN.settings(dataset, cell, model) for model in world["models"]]
    for model in models:
        names = model["gene_features"]
        model["gene_features"] = [name for name in names if name != "promoter_activity"]
    return {
        "dataset": {
            **settings,
            "cells": [cell],
            "genes": {**settings["genes"], "promoter_activity": "none"},
            "elements": None,
        },
        "tracks": [
            {**track_settings(cell, modality), "path": "", "where": ""}
            for modality in PLAN.modalities(cell, "prism_n0")
        ],
        "simulate": options["simulate"],
        "training": world["training"],
        "test": options["test"],
        "seed": world["replicate"],
        "fold": "fold11",
        "models": models,
    }


def world_modules(wildcards):
    models = worlds_of(wildcards.dataset)[wildcards.world]["models"]
    architectures = {PLAN.models[model]["architecture"] for model in models}
    ways = ("training.network", "training.table")
    return code_digest(
        "evaluation.worlds", *ways, *sorted(map(module_of, architectures))
    )


rule train_in_world:
    output:
        predictions=f"{CONFOUNDING}/{{world}}/predictions.tsv.gz",
        truth=f"{CONFOUNDING}/{{world}}/truth.tsv",
        contexts=f"{CONFOUNDING}/{{world}}/contexts.tsv.gz",
        runs=f"{CONFOUNDING}/{{world}}/runs.tsv",
    log:
        "logs/{dataset}/confounding/{world}.log",
    benchmark:
        "benchmarks/{dataset}/confounding/{world}.tsv"
    wildcard_constraints:
        world=r"train[0-9pm]+_replicate\d+",
    conda:
        ENVIRONMENT
    threads: PLAN.config.values["run"]["train_threads"]
    resources:
        mem_mb=growing(4000),
        runtime=growing(120),
    params:
        settings=lambda wildcards: as_json(world_settings(wildcards)),
        device=PLAN.config.values["run"]["device"],
        code=world_modules,
    script:
        "../workflow/scripts/train_in_world.py"


rule gather_confounding:
    input:
        lambda wildcards: [
            f"results/{wildcards.dataset}/confounding/{world}/{file}"
            for world in worlds_of(wildcards.dataset)
            for file in ("predictions.tsv.gz", "truth.tsv", "contexts.tsv.gz")
        ],
    output:
        measures=f"{CONFOUNDING}/measures.tsv",
        summary=f"{CONFOUNDING}/summary.tsv",
        contrasts=f"{CONFOUNDING}/contrasts.tsv",
        contexts=f"{CONFOUNDING}/contexts.tsv",
    log:
        "logs/{dataset}/confounding/gather.log",
    benchmark:
        "benchmarks/{dataset}/confounding/gather.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        worlds=lambda wildcards: as_json(worlds_of(wildcards.dataset)),
        code=code_digest("evaluation.confounding"),
    script:
        "../workflow/scripts/gather_confounding.py"
