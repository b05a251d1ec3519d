# Every scenario of a run in one job; then one long table of all metrics.
rule evaluate:
    input:
        store="results/{dataset}/{cell}/store",
        splits="results/{dataset}/splits.tsv",
        weights="results/{dataset}/{cell}/{model}/{run}/model.safetensors",
        model="results/{dataset}/{cell}/{model}/{run}/model.json",
        other_stores=INPUTS.other_stores,
    output:
        predictions="results/{dataset}/{cell}/{model}/{run}/predictions.tsv.gz",
        metrics="results/{dataset}/{cell}/{model}/{run}/metrics.tsv",
        extras="results/{dataset}/{cell}/{model}/{run}/extras.safetensors",
    log:
        "logs/{dataset}/{cell}/{model}/{run}/evaluate.log",
    benchmark:
        "benchmarks/{dataset}/{cell}/{model}/{run}/evaluate.tsv"
    wildcard_constraints:
        model=one_of(set(PLAN.models) - PLAN.tabular),
    conda:
        ENVIRONMENT
    threads: PLAN.config.values["run"]["train_threads"]
    resources:
        mem_mb=growing(8000),
        runtime=growing(60),
    params:
        scenarios=PARAMETERS.scenarios,
        device=PLAN.config.values["run"]["device"],
        code=lambda wildcards: code_digest(
            "evaluation.scenarios",
            module_of(PLAN.models[wildcards.model]["architecture"]),
        ),
    script:
        "../workflow/scripts/evaluate.py"


use rule evaluate as evaluate_tabular with:
    wildcard_constraints:
        model=one_of(PLAN.tabular),
    resources:
        mem_mb=growing(8000),
        runtime=growing(15),


rule aggregate_metrics:
    input:
        INPUTS.metrics,
    output:
        metrics="results/{dataset}/metrics.tsv",
    log:
        "logs/{dataset}/aggregate_metrics.log",
    benchmark:
        "benchmarks/{dataset}/aggregate_metrics.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        code=code_digest("evaluation.metrics_table"),
    script:
        "../workflow/scripts/aggregate_metrics.py"


rule benchmark_crispri:
    input:
        pairs=INPUTS.perturbations,
        tracks=INPUTS.activity,
        genes="results/{dataset}/genes.tsv",
        splits="results/{dataset}/splits.tsv",
        sizes="results/{dataset}/genome/chrom.sizes",
        scores=ENHANCER_GENES.of_cell,
    output:
        pairs="results/{dataset}/{cell}/crispri_pairs.tsv.gz",
        summary="results/{dataset}/{cell}/crispri.tsv",
        reach="results/{dataset}/{cell}/crispri_reach.tsv",
    log:
        "logs/{dataset}/{cell}/benchmark_crispri.log",
    benchmark:
        "benchmarks/{dataset}/{cell}/benchmark_crispri.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=growing(4000),
        runtime=growing(60),
    params:
        settings=PARAMETERS.crispri,
        code=code_digest("evaluation.crispri"),
    script:
        "../workflow/scripts/benchmark_crispri.py"
