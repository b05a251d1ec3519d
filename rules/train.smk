# One job per model, fold and seed.
def training_modules(wildcards):
    architecture = PLAN.models[wildcards.model]["architecture"]
    # Which of the two ways a run takes is no import, so that an edit of one doesn't concern the other.
    tabular = ARCHITECTURES[architecture].tabular
    way = "training.table" if tabular else "training.network"
    return code_digest("training.run", way, module_of(architecture))


def adopted_models():
    return [name for name, entry in PLAN.models.items() if "checkpoint" in entry]


rule train:
    input:
        store="results/{dataset}/{cell}/store",
        splits="results/{dataset}/splits.tsv",
    output:
        weights="results/{dataset}/{cell}/{model}/{run}/model.safetensors",
        model="results/{dataset}/{cell}/{model}/{run}/model.json",
        history="results/{dataset}/{cell}/{model}/{run}/history.tsv",
    log:
        "logs/{dataset}/{cell}/{model}/{run}/train.log",
    benchmark:
        "benchmarks/{dataset}/{cell}/{model}/{run}/train.tsv"
    wildcard_constraints:
        model=one_of(set(PLAN.models) - set(adopted_models()) - tabular_models()),
    conda:
        ENVIRONMENT
    threads: PLAN.config.values["run"]["train_threads"]
    resources:
        mem_mb=growing(8000),
        runtime=growing(480),
    params:
        settings=lambda wildcards: PLAN.settings_json(
            wildcards.dataset, wildcards.cell, wildcards.model
        ),
        fold=lambda wildcards: run_of(wildcards).fold,
        seed=lambda wildcards: run_of(wildcards).seed,
        device=PLAN.config.values["run"]["device"],
        code=training_modules,
    script:
        "../workflow/scripts/train.py"


use rule train as train_tabular with:
    wildcard_constraints:
        model=one_of(tabular_models()),
    resources:
        mem_mb=growing(8000),
        runtime=growing(60),


rule adopt_checkpoint:
    input:
        checkpoint=lambda wildcards: PLAN.checkpoint(run_of(wildcards)),
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
        model=one_of(adopted_models()),
    conda:
        ENVIRONMENT
    resources:
        mem_mb=growing(4000),
        runtime=growing(30),
    params:
        settings=lambda wildcards: PLAN.settings_json(
            wildcards.dataset, wildcards.cell, wildcards.model
        ),
        fold=lambda wildcards: run_of(wildcards).fold,
        seed=lambda wildcards: run_of(wildcards).seed,
        code=lambda wildcards: code_digest(
            "released.adopt", module_of(PLAN.models[wildcards.model]["architecture"])
        ),
    script:
        "../workflow/scripts/adopt_checkpoint.py"
