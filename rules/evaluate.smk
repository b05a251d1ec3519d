# Every scenario of a run in one job; then one long table of all metrics.
rule evaluate:
    input:
        store="results/{dataset}/{cell}/store",
        splits="results/{dataset}/splits.tsv",
        weights="results/{dataset}/{cell}/{model}/{run}/model.safetensors",
        model="results/{dataset}/{cell}/{model}/{run}/model.json",
    output:
        predictions="results/{dataset}/{cell}/{model}/{run}/predictions.tsv.gz",
        metrics="results/{dataset}/{cell}/{model}/{run}/metrics.tsv",
        extras="results/{dataset}/{cell}/{model}/{run}/extras.safetensors",
    log:
        "logs/{dataset}/{cell}/{model}/{run}/evaluate.log",
    benchmark:
        "benchmarks/{dataset}/{cell}/{model}/{run}/evaluate.tsv"
    params:
        scenarios=lambda wildcards: PLAN.scenarios_json(run_of(wildcards)),
        device=PLAN.config.values["run"]["device"],
        code=lambda wildcards: code_digest(
            "prediction", module_of(PLAN.models[wildcards.model]["architecture"])
        ),
    threads: PLAN.config.values["run"]["train_threads"]
    resources:
        mem_mb=lambda wildcards, attempt: 8000 * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
    conda:
        ENVIRONMENT
    script:
        "../workflow/scripts/evaluate.py"


rule aggregate_metrics:
    input:
        lambda wildcards: [
            f"results/{run.folder}/metrics.tsv" for run in PLAN.runs(wildcards.dataset)
        ],
    output:
        metrics="results/{dataset}/metrics.tsv",
    log:
        "logs/{dataset}/aggregate_metrics.log",
    benchmark:
        "benchmarks/{dataset}/aggregate_metrics.tsv"
    params:
        code=code_digest("aggregate"),
    resources:
        mem_mb=2000,
        runtime=30,
    conda:
        ENVIRONMENT
    script:
        "../workflow/scripts/aggregate_metrics.py"
