# Scores of every pair of an element and a gene: distance, activity, contact, knock-outs, attention.
from prismflow.plan.enhancer_gene import EnhancerGenes, enhancer_gene_files
from prismflow.plan.rules import or_refuse

ENHANCER_GENES = EnhancerGenes(PLAN)


localrules:
    enhancer_gene,


rule enhancer_gene:
    input:
        lambda wildcards: or_refuse(enhancer_gene_files, PLAN),


rule list_pairs:
    input:
        store="results/{dataset}/{cell}/store",
        genes="results/{dataset}/genes.tsv",
        sizes="results/{dataset}/genome/chrom.sizes",
        perturbations=INPUTS.perturbations,
        activity=INPUTS.activity,
        contacts=ENHANCER_GENES.contacts,
    output:
        "results/{dataset}/{cell}/pairs.tsv.gz",
    log:
        "logs/{dataset}/{cell}/list_pairs.log",
    benchmark:
        "benchmarks/{dataset}/{cell}/list_pairs.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=growing(8000),
        runtime=growing(60),
    params:
        settings=PARAMETERS.pairs,
        code=code_digest("data.element_pairs"),
    script:
        "../workflow/scripts/list_pairs.py"


rule score_pairs:
    input:
        store="results/{dataset}/{cell}/store",
        splits="results/{dataset}/splits.tsv",
        weights="results/{dataset}/{cell}/{model}/{run}/model.safetensors",
        model="results/{dataset}/{cell}/{model}/{run}/model.json",
        pairs="results/{dataset}/{cell}/pairs.tsv.gz",
    output:
        "results/{dataset}/{cell}/{model}/{run}/enhancer_gene.tsv.gz",
    log:
        "logs/{dataset}/{cell}/{model}/{run}/score_pairs.log",
    benchmark:
        "benchmarks/{dataset}/{cell}/{model}/{run}/score_pairs.tsv"
    wildcard_constraints:
        model=one_of(set(PLAN.models) - PLAN.tabular),
    conda:
        ENVIRONMENT
    threads: PLAN.config.values["run"]["train_threads"]
    resources:
        mem_mb=growing(8000),
        runtime=growing(240),
    params:
        settings=ENHANCER_GENES.split,
        device=PLAN.config.values["run"]["device"],
        code=lambda wildcards: code_digest(
            "explain.knockouts",
            module_of(PLAN.models[wildcards.model]["architecture"]),
        ),
    script:
        "../workflow/scripts/score_pairs.py"


use rule score_pairs as score_pairs_tabular with:
    wildcard_constraints:
        model=one_of(PLAN.tabular),
    resources:
        mem_mb=growing(8000),
        runtime=growing(60),


rule export_pairs:
    input:
        pairs="results/{dataset}/{cell}/pairs.tsv.gz",
        scores=ENHANCER_GENES.scores,
    output:
        table="results/{dataset}/{cell}/enhancer_gene.tsv.gz",
        browser="results/{dataset}/{cell}/enhancer_gene.bedpe",
    log:
        "logs/{dataset}/{cell}/export_pairs.log",
    benchmark:
        "benchmarks/{dataset}/{cell}/export_pairs.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=growing(4000),
        runtime=growing(30),
    params:
        runs=ENHANCER_GENES.by_model,
        code=code_digest("explain.enhancer_gene"),
    script:
        "../workflow/scripts/export_pairs.py"
