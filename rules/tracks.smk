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
    params:
        track=lambda wildcards: as_json(track_settings(wildcards.cell, wildcards.modality)),
        aliases=lambda wildcards: as_json(dataset_of(wildcards)["chrom_aliases"]),
        code=code_digest("tracks"),
    resources:
        mem_mb=2000,
        runtime=30,
    conda:
        ENVIRONMENT
    script:
        "../workflow/scripts/inspect_track.py"
