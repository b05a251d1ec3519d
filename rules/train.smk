# One job per model, fold and seed.
rule train:
    input:
        store="results/{dataset}/{cell}/store",
        splits="results/{dataset}/splits.tsv",
        initial=INPUTS.initial_weights,
    output:
        weights="results/{dataset}/{cell}/{model}/{run}/model.safetensors",
        model="results/{dataset}/{cell}/{model}/{run}/model.json",
        history="results/{dataset}/{cell}/{model}/{run}/history.tsv",
    log:
        "logs/{dataset}/{cell}/{model}/{run}/train.log",
    benchmark:
        "benchmarks/{dataset}/{cell}/{model}/{run}/train.tsv"
    wildcard_constraints:
        model=one_of(set(PLAN.models) - PLAN.adopted - PLAN.tabular),
    conda:
        ENVIRONMENT
    threads: PLAN.config.values["run"]["train_threads"]
    resources:
        mem_mb=growing(8000),
        runtime=growing(480),
    params:
        settings=PARAMETERS.model,
        fold=PARAMETERS.fold,
        seed=PARAMETERS.seed,
        device=PLAN.config.values["run"]["device"],
        code=DIGESTS.training,
    script:
        "../workflow/scripts/train.py"


use rule train as train_tabular with:
    wildcard_constraints:
        model=one_of(PLAN.tabular),
    resources:
        mem_mb=growing(8000),
        runtime=growing(60),


rule adopt_checkpoint:
    input:
        checkpoint=INPUTS.checkpoint,
        store="results/{dataset}/{cell}/store",
        splits="results/{dataset}/splits.tsv",
    output:
        weights="results/{dataset}/{cell}/{model}/{run}/model.safetensors",
        model="results/{dataset}/{cell}/{model}/{run}/model.json",
        history="results/{dataset}/{cell}/{model}/{run}/history.tsv",
    log:
        "logs/{dataset}/{cell}/{model}/{run}/adopt_checkpoint.log",
    benchmark:
        "benchmarks/{dataset}/{cell}/{model}/{run}/adopt_checkpoint.tsv"
    wildcard_constraints:
        model=one_of(PLAN.adopted),
    conda:
        ENVIRONMENT
    resources:
        mem_mb=growing(4000),
        runtime=growing(30),
    params:
        settings=PARAMETERS.model,
        fold=PARAMETERS.fold,
        seed=PARAMETERS.seed,
        code=DIGESTS.adoption,
    script:
        "../workflow/scripts/adopt_checkpoint.py"
