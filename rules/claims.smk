# Models compared over seeds and genes, and the paper's claims judged by it (docs/statistics.md).
from prismflow.plan.plain import plain
from prismflow.plan.rules import or_refuse
from prismflow.settings.claims import counted_models, read_claims

CLAIMS = or_refuse(read_claims, PLAN.config.values["sheets"]["claims"])


rule gather_predictions:
    input:
        predictions=INPUTS.predictions,
        blocks="results/{dataset}/blocks.tsv",
    output:
        "results/{dataset}/predictions.safetensors",
    log:
        "logs/{dataset}/gather_predictions.log",
    benchmark:
        "benchmarks/{dataset}/gather_predictions.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=growing(4000),
        runtime=growing(60),
    params:
        runs=PARAMETERS.runs,
        code=code_digest("evaluation.predictions_file"),
    script:
        "../workflow/scripts/gather_predictions.py"


rule compare_models:
    input:
        predictions="results/{dataset}/predictions.safetensors",
        published=PLAN.config.values["sheets"]["published"],
    output:
        "results/{dataset}/tables/{experiment}_comparisons.tsv",
    log:
        "logs/{dataset}/compare_models/{experiment}.log",
    benchmark:
        "benchmarks/{dataset}/compare_models/{experiment}.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=growing(4000),
        runtime=growing(60),
    params:
        request=REQUESTS.comparisons,
        code=code_digest("evaluation.comparisons"),
    script:
        "../workflow/scripts/compare_models.py"


# Apart from it, because words may change without anything being computed again.
rule write_comparisons:
    input:
        "results/{dataset}/tables/{experiment}_comparisons.tsv",
    output:
        md="results/{dataset}/tables/{experiment}_comparisons.md",
        tex="results/{dataset}/tables/{experiment}_comparisons.tex",
        html=report(
            "results/{dataset}/tables/{experiment}_comparisons.html",
            caption="../workflow/report/comparisons.rst",
            category=REQUESTS.category,
            subcategory=REQUESTS.place,
            labels={"experiment": "{experiment}", "kind": "comparisons"},
        ),
    log:
        "logs/{dataset}/write_comparisons/{experiment}.log",
    benchmark:
        "benchmarks/{dataset}/write_comparisons/{experiment}.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        experiment=REQUESTS.of_experiment,
        title=REQUESTS.title,
        code=code_digest("figures.write_comparisons"),
    script:
        "../workflow/scripts/write_comparisons.py"


rule judge_claims:
    input:
        predictions=INPUTS.gathered,
        worlds=INPUTS.measures_of_worlds,
    output:
        "results/{dataset}/tables/claims.tsv",
    log:
        "logs/{dataset}/judge_claims.log",
    benchmark:
        "benchmarks/{dataset}/judge_claims.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=growing(4000),
        runtime=growing(60),
    params:
        claims=plain(CLAIMS),
        request=lambda wildcards: REQUESTS.claims(wildcards, CLAIMS),
        code=code_digest("evaluation.claims", *map(module_of, counted_models(CLAIMS))),
    script:
        "../workflow/scripts/judge_claims.py"


rule write_claims:
    input:
        claims="results/{dataset}/tables/claims.tsv",
        errors=PLAN.config.values["sheets"]["verdict_errors"],
    output:
        md="results/{dataset}/tables/claims.md",
        tex="results/{dataset}/tables/claims.tex",
        html=report(
            "results/{dataset}/tables/claims.html",
            caption="../workflow/report/claims.rst",
            category="1 Claims",
            labels={"experiment": "claims", "kind": "table"},
        ),
    log:
        "logs/{dataset}/write_claims.log",
    benchmark:
        "benchmarks/{dataset}/write_claims.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        claims=plain(CLAIMS),
        context=REQUESTS.whole_context,
        code=code_digest("figures.write_claims"),
    script:
        "../workflow/scripts/write_claims.py"
