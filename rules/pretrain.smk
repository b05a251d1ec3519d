# Weights that models start from: pretrained on masked bases, or taken from a released file.
from prismflow.plan.pretraining import Pretrainings

PRETRAININGS = Pretrainings(PLAN)


rule pretrain:
    input:
        genes="results/{dataset}/genes.tsv",
        splits="results/{dataset}/splits.tsv",
        fasta=INPUTS.genome,
        index="results/{dataset}/genome/index",
    output:
        weights="results/{dataset}/pretraining/{pretraining}/{fold}/model.safetensors",
        record="results/{dataset}/pretraining/{pretraining}/{fold}/pretraining.json",
        history="results/{dataset}/pretraining/{pretraining}/{fold}/history.tsv",
    log:
        "logs/{dataset}/pretraining/{pretraining}/{fold}.log",
    benchmark:
        "benchmarks/{dataset}/pretraining/{pretraining}/{fold}.tsv"
    wildcard_constraints:
        pretraining=one_of(PRETRAININGS.names(released=False)),
        fold=r"[A-Za-z][A-Za-z0-9_]*",
    conda:
        ENVIRONMENT
    threads: PLAN.config.values["run"]["train_threads"]
    resources:
        mem_mb=growing(8000),
        runtime=growing(1440),
    params:
        settings=PRETRAININGS.settings,
        device=PLAN.config.values["run"]["device"],
        code=PRETRAININGS.digest,
    script:
        "../workflow/scripts/pretrain.py"


rule adopt_pretrained:
    input:
        PRETRAININGS.released,
    output:
        "results/{dataset}/pretraining/{pretraining}/released/model.safetensors",
    log:
        "logs/{dataset}/pretraining/{pretraining}/adopt_pretrained.log",
    benchmark:
        "benchmarks/{dataset}/pretraining/{pretraining}/adopt_pretrained.tsv"
    wildcard_constraints:
        pretraining=one_of(PRETRAININGS.names(released=True)),
    conda:
        ENVIRONMENT
    resources:
        mem_mb=growing(4000),
        runtime=growing(30),
    params:
        settings=PRETRAININGS.backbone,
        code=PRETRAININGS.digest_of_adoption,
    script:
        "../workflow/scripts/adopt_pretrained.py"
