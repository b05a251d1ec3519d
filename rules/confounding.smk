# Worlds with a known confounding: every model of the experiment is trained in each of them and
# tested where the confounding is intact, absent or turned round (docs/confounding.md).
from prismflow.plan.worlds import Worlds

WORLDS = Worlds(PLAN)
CONFOUNDING = "results/{dataset}/confounding"


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
        settings=WORLDS.settings,
        device=PLAN.config.values["run"]["device"],
        code=DIGESTS.world,
    script:
        "../workflow/scripts/train_in_world.py"


rule gather_confounding:
    input:
        INPUTS.worlds,
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
        worlds=WORLDS.all,
        code=code_digest("evaluation.confounding"),
    script:
        "../workflow/scripts/gather_confounding.py"
