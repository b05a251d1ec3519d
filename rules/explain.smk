# What drives predictions: attributions of trained runs, and variants scored with them.
from prismflow.plan.explanations import (
    Explanations,
    attribution_files,
    variant_files,
)
from prismflow.plan.rules import or_refuse

EXPLANATIONS = Explanations(PLAN)


localrules:
    attributions,
    variants,


rule attributions:
    input:
        lambda wildcards: or_refuse(attribution_files, PLAN),


rule variants:
    input:
        lambda wildcards: or_refuse(variant_files, PLAN),


rule attribute:
    input:
        store="results/{dataset}/{cell}/store",
        splits="results/{dataset}/splits.tsv",
        weights="results/{dataset}/{cell}/{model}/{run}/model.safetensors",
        model="results/{dataset}/{cell}/{model}/{run}/model.json",
        sizes="results/{dataset}/genome/chrom.sizes",
    output:
        directory("results/{dataset}/{cell}/{model}/{run}/attributions"),
    log:
        "logs/{dataset}/{cell}/{model}/{run}/attribute.log",
    benchmark:
        "benchmarks/{dataset}/{cell}/{model}/{run}/attribute.tsv"
    wildcard_constraints:
        model=one_of(set(PLAN.models) - PLAN.tabular),
    conda:
        ENVIRONMENT
    threads: PLAN.config.values["run"]["train_threads"]
    resources:
        mem_mb=growing(8000),
        runtime=growing(240),
    params:
        settings=EXPLANATIONS.attributions,
        device=PLAN.config.values["run"]["device"],
        code=lambda wildcards: code_digest(
            "explain.attributions",
            module_of(PLAN.models[wildcards.model]["architecture"]),
        ),
    script:
        "../workflow/scripts/attribute.py"


rule plot_attributions:
    input:
        "results/{dataset}/{cell}/{model}/{run}/attributions",
    output:
        pdf="results/{dataset}/{cell}/{model}/{run}/attributions.pdf",
        png=report(
            "results/{dataset}/{cell}/{model}/{run}/attributions.png",
            caption="../workflow/report/attributions.rst",
            category="Explanations",
            labels={"cell": "{cell}", "model": "{model}", "run": "{run}"},
        ),
    log:
        "logs/{dataset}/{cell}/{model}/{run}/plot_attributions.log",
    benchmark:
        "benchmarks/{dataset}/{cell}/{model}/{run}/plot_attributions.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        context=REQUESTS.context,
        shown=EXPLANATIONS.shown,
        code=code_digest("figures.draw_figure", "figures.plots.attributions"),
    script:
        "../workflow/scripts/plot_attributions.py"


rule score_variants:
    input:
        vcf=EXPLANATIONS.vcf,
        fasta=INPUTS.genome,
        index="results/{dataset}/genome/index",
        store="results/{dataset}/{cell}/store",
        splits="results/{dataset}/splits.tsv",
        trained=EXPLANATIONS.trained,
    output:
        "results/{dataset}/variants/{cell}/{model}.tsv.gz",
    log:
        "logs/{dataset}/variants/{cell}/{model}.log",
    benchmark:
        "benchmarks/{dataset}/variants/{cell}/{model}.tsv"
    wildcard_constraints:
        model=one_of(set(PLAN.models) - PLAN.tabular),
    conda:
        ENVIRONMENT
    threads: PLAN.config.values["run"]["train_threads"]
    resources:
        mem_mb=growing(8000),
        runtime=growing(240),
    params:
        runs=EXPLANATIONS.folders,
        settings=EXPLANATIONS.variants,
        aliases=PARAMETERS.aliases,
        device=PLAN.config.values["run"]["device"],
        code=lambda wildcards: code_digest(
            "explain.variants",
            module_of(PLAN.models[wildcards.model]["architecture"]),
        ),
    script:
        "../workflow/scripts/score_variants.py"
