# Windows around the TSS, splits, and one store per cell at the dataset's longest window.
def optional_blacklist(wildcards):
    return dataset_of(wildcards)["blacklist"] or []


def window_settings(wildcards):
    """A dataset's settings without those that only choose runs."""
    settings = dataset_of(wildcards)
    splits = {key: value for key, value in settings["splits"].items() if key != "use"}
    return {key: v for key, v in settings.items() if key != "experiments"} | {
        "splits": splits
    }


def blacklist_of_elements(wildcards):
    """Candidate enhancers in blacklisted regions are left out of the store."""
    return optional_blacklist(wildcards) if dataset_of(wildcards)["elements"] else []


rule define_windows:
    input:
        genes=lambda wildcards: dataset_of(wildcards)["genes"]["path"],
        sizes="results/{dataset}/genome/chrom.sizes",
        fasta=lambda wildcards: dataset_of(wildcards)["genome"],
        index="results/{dataset}/genome/index",
        blacklist=optional_blacklist,
    output:
        genes="results/{dataset}/genes.tsv",
        windows="results/{dataset}/windows.bed.gz",
        dropped="results/{dataset}/dropped.tsv",
        splits="results/{dataset}/splits.tsv",
        shared="results/{dataset}/shared_sequence.tsv",
    log:
        "logs/{dataset}/define_windows.log",
    benchmark:
        "benchmarks/{dataset}/define_windows.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        settings=lambda wildcards: as_json(window_settings(wildcards)),
        code=code_digest("data.windows", "data.splits", "data.genes", "data.shared_sequence"),
    script:
        "../workflow/scripts/define_windows.py"


rule build_store:
    input:
        genes="results/{dataset}/genes.tsv",
        fasta=lambda wildcards: dataset_of(wildcards)["genome"],
        index="results/{dataset}/genome/index",
        blacklist=blacklist_of_elements,
        tracks=lambda wildcards: [
            PLAN.config.tracks[wildcards.cell, modality].path
            for modality in PLAN.config.modalities_of(wildcards.cell)
        ],
        summaries=lambda wildcards: [
            f"results/{wildcards.dataset}/tracks/{wildcards.cell}/{modality}.json"
            for modality in PLAN.config.modalities_of(wildcards.cell)
        ],
    output:
        store=directory("results/{dataset}/{cell}/store"),
    log:
        "logs/{dataset}/{cell}/build_store.log",
    benchmark:
        "benchmarks/{dataset}/{cell}/build_store.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=growing(4000),
        runtime=growing(120),
    params:
        settings=lambda wildcards: as_json(store_settings(dataset_of(wildcards))),
        tracks=lambda wildcards: as_json(
            [
                track_settings(wildcards.cell, modality)
                for modality in PLAN.config.modalities_of(wildcards.cell)
            ]
        ),
        code=code_digest("data.store_builder"),
    script:
        "../workflow/scripts/build_store.py"
