# Models compared over seeds and genes, and the paper's claims judged by it (docs/statistics.md).
from prismflow.settings.claims import counted_models, experiments_of, read_claims


def comparison_files(dataset, suffixes=("tsv", "md", "tex")):
    return [
        f"results/{dataset}/tables/{experiment.id}_comparisons.{suffix}"
        for (name, _), experiment in PLAN.experiments.items()
        for suffix in suffixes
        if name == dataset and PLAN.compares(experiment)
    ]


def claims_files(dataset, suffixes=("tsv", "md", "html")):
    if not PLAN.runs(dataset):
        return []
    return [f"results/{dataset}/tables/claims.{suffix}" for suffix in suffixes]


def comparisons_of(wildcards):
    """The comparisons of an experiment, if it has any: they decide what its table prints bold."""
    experiment = experiment_of(wildcards)
    reads = "comparisons" in needs_of("tables", experiment.entry["table"])
    if reads and PLAN.compares(experiment):
        return f"results/{wildcards.dataset}/tables/{experiment.id}_comparisons.tsv"
    return []


rule gather_predictions:
    input:
        lambda wildcards: [
            f"results/{run.folder}/predictions.tsv.gz"
            for run in PLAN.runs(wildcards.dataset)
        ],
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
        runs=lambda wildcards: as_json(
            [
                [run.cell, run.model, run.fold, run.seed]
                for run in PLAN.runs(wildcards.dataset)
            ]
        ),
        code=code_digest("evaluation.predictions_file"),
    script:
        "../workflow/scripts/gather_predictions.py"


rule compare_models:
    input:
        predictions="results/{dataset}/predictions.safetensors",
        published=PLAN.config.values["sheets"]["published"],
    output:
        tsv="results/{dataset}/tables/{experiment}_comparisons.tsv",
        md="results/{dataset}/tables/{experiment}_comparisons.md",
        tex="results/{dataset}/tables/{experiment}_comparisons.tex",
        html=report(
            "results/{dataset}/tables/{experiment}_comparisons.html",
            caption="../workflow/report/comparisons.rst",
            category=lambda wildcards: experiment_of(wildcards).entry["category"],
            subcategory=lambda wildcards: experiment_of(wildcards).entry["paper"]
            or "beyond the paper",
            labels={"experiment": "{experiment}", "kind": "comparisons"},
        ),
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
        experiment=lambda wildcards: experiment_json(wildcards),
        title=lambda wildcards: experiment_of(wildcards).entry["title"],
        code=code_digest("figures.write_comparisons"),
    script:
        "../workflow/scripts/compare_models.py"


def load_claims():
    try:
        path = PLAN.config.values["sheets"]["claims"]
        return read_claims(path, SCHEMAS)
    except InputError as error:
        raise WorkflowError(str(error)) from None


CLAIMS = load_claims()


def claims_request(wildcards):
    """Runs of the experiments that the claims need, as far as these are run here."""
    found = {
        name: PLAN.experiments[wildcards.dataset, name]
        for name in experiments_of(CLAIMS)
        if (wildcards.dataset, name) in PLAN.experiments
    }
    experiments = {
        name: {
            "runs": [
                [run.cell, run.model, run.fold, run.seed] for run in experiment.runs
            ],
            "points": experiment.points,
        }
        for name, experiment in found.items()
    }
    return as_json(
        {"experiments": experiments, "context": PLAN.context(wildcards.dataset)}
    )


rule write_claims:
    input:
        predictions="results/{dataset}/predictions.safetensors",
    output:
        tsv="results/{dataset}/tables/claims.tsv",
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
        mem_mb=growing(4000),
        runtime=growing(60),
    params:
        claims=lambda wildcards: as_json(CLAIMS),
        request=claims_request,
        code=code_digest("figures.write_claims", *map(module_of, counted_models(CLAIMS))),
    script:
        "../workflow/scripts/write_claims.py"
