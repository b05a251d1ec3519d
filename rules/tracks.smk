# Each track is inspected before anything is built from it: names, range, missing bases.
def track_of(wildcards):
    return PLAN.config.tracks[wildcards.cell, wildcards.modality]


rule inspect_track:
    input:
        track=lambda wildcards: track_of(wildcards).path,
        genes="results/{dataset}/genes.tsv",
        sizes="results/{dataset}/genome/chrom.sizes",
    output:
        summary="results/{dataset}/tracks/{cell}/{modality}.json",
    log:
        "logs/{dataset}/{cell}/inspect_track_{modality}.log",
    benchmark:
        "benchmarks/{dataset}/{cell}/inspect_track_{modality}.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        track=lambda wildcards: as_json(
            {
                **track_settings(wildcards.cell, wildcards.modality),
                "md5": track_of(wildcards).md5,
            }
        ),
        aliases=lambda wildcards: as_json(dataset_of(wildcards)["chrom_aliases"]),
        code=code_digest("data.tracks"),
    script:
        "../workflow/scripts/inspect_track.py"


def tracks_of_dataset(wildcards):
    """Cell -> settings of its tracks."""
    return {
        cell: [
            track_settings(cell, modality)
            for modality in PLAN.config.modalities_of(cell)
        ]
        for cell in dataset_of(wildcards)["cells"]
    }


def summaries_of_dataset(wildcards):
    return {
        cell: {
            track[
                "modality"
            ]: f"results/{wildcards.dataset}/tracks/{cell}/{track['modality']}.json"
            for track in tracks
        }
        for cell, tracks in tracks_of_dataset(wildcards).items()
    }


rule check_data:
    input:
        tracks=lambda wildcards: [
            track["path"]
            for tracks in tracks_of_dataset(wildcards).values()
            for track in tracks
        ],
        summaries=lambda wildcards: [
            path
            for paths in summaries_of_dataset(wildcards).values()
            for path in paths.values()
        ],
        genes="results/{dataset}/genes.tsv",
        dropped="results/{dataset}/dropped.tsv",
        shared="results/{dataset}/shared_sequence.tsv",
        sizes="results/{dataset}/genome/chrom.sizes",
    output:
        checks="results/{dataset}/checks/checks.tsv",
        profiles="results/{dataset}/checks/profiles.tsv",
        examples="results/{dataset}/checks/examples.tsv",
        summary="results/{dataset}/checks/summary.json",
    log:
        "logs/{dataset}/check_data.log",
    benchmark:
        "benchmarks/{dataset}/check_data.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=growing(2000),
        runtime=growing(60),
    params:
        settings=lambda wildcards: as_json(
            {
                "cells": tracks_of_dataset(wildcards),
                "summaries": summaries_of_dataset(wildcards),
                "aliases": dataset_of(wildcards)["chrom_aliases"],
                "label_transform": dataset_of(wildcards)["label"]["transform"],
            }
        ),
        code=code_digest("evaluation.data_checks"),
    script:
        "../workflow/scripts/check_data.py"


rule plot_data_checks:
    input:
        checks="results/{dataset}/checks/checks.tsv",
        profiles="results/{dataset}/checks/profiles.tsv",
        examples="results/{dataset}/checks/examples.tsv",
        summary="results/{dataset}/checks/summary.json",
    output:
        pdf="results/{dataset}/figures/data_checks.pdf",
        png=report(
            "results/{dataset}/figures/data_checks.png",
            caption="../workflow/report/data_checks.rst",
            category="Checks",
            labels={"experiment": "data checks", "kind": "figure"},
        ),
    log:
        "logs/{dataset}/figures/data_checks.log",
    benchmark:
        "benchmarks/{dataset}/figures/data_checks.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        context=lambda wildcards: as_json(PLAN.context(wildcards.dataset)),
        code=code_digest("figures.draw_figure", "figures.plots.data_checks"),
    script:
        "../workflow/scripts/plot_data_checks.py"
