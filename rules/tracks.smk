# Each track is inspected before anything is built from it: names, range, missing bases.
rule inspect_track:
    input:
        track=INPUTS.track_file,
        genes="results/{dataset}/genes.tsv",
        sizes="results/{dataset}/genome/chrom.sizes",
        reference=INPUTS.s3norm_reference,
        splits=INPUTS.s3norm_splits,
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
        track=PARAMETERS.inspected_track,
        aliases=PARAMETERS.aliases,
        code=DIGESTS.inspection,
    script:
        "../workflow/scripts/inspect_track.py"


rule check_data:
    input:
        tracks=INPUTS.tracks_of_dataset,
        summaries=INPUTS.summaries_of_dataset,
        stores=INPUTS.reports_of_stores,
        table=INPUTS.gene_table,
        own=INPUTS.own_genes,
        blacklist=INPUTS.blacklist,
        splits="results/{dataset}/splits.tsv",
        genes="results/{dataset}/genes.tsv",
        dropped="results/{dataset}/dropped.tsv",
        shared="results/{dataset}/shared_sequence.tsv",
        sizes="results/{dataset}/genome/chrom.sizes",
    output:
        checks="results/{dataset}/checks/checks.tsv",
        profiles="results/{dataset}/checks/profiles.tsv",
        examples="results/{dataset}/checks/examples.tsv",
        summary="results/{dataset}/checks/summary.json",
        inputs="results/{dataset}/input_summary.tsv",
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
        settings=PARAMETERS.checks,
        code=DIGESTS.checks,
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
        context=REQUESTS.context,
        code=code_digest("figures.draw_figure", "figures.plots.data_checks"),
    script:
        "../workflow/scripts/plot_data_checks.py"
