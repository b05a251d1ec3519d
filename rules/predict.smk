# All seeds of a model as a bundle that travels alone, and predictions of genes without labels.
from prismflow.plan.predictions import (
    Predictions,
    all_bundles,
    all_predictions,
    check_trained,
)

or_refuse(check_trained, PLAN)
PREDICTIONS = Predictions(PLAN)


localrules:
    predict,
    bundles,


wildcard_constraints:
    prediction=one_of(PLAN.config.values["predictions"]),


rule export_bundle:
    input:
        runs=PREDICTIONS.run_files,
        store="results/{dataset}/{cell}/store",
        splits="results/{dataset}/splits.tsv",
        summaries=PREDICTIONS.summaries,
        scale=PREDICTIONS.scale,
    output:
        bundle="results/{dataset}/{cell}/{model}/bundle.zip",
    log:
        "logs/{dataset}/{cell}/{model}/export_bundle.log",
    benchmark:
        "benchmarks/{dataset}/{cell}/{model}/export_bundle.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=growing(4000),
        runtime=growing(30),
    params:
        folders=PREDICTIONS.folders,
        sources=PREDICTIONS.sources,
        code=code_digest("predict.export"),
    script:
        "../workflow/scripts/export_bundle.py"


rule predict_genes:
    input:
        bundle=PREDICTIONS.bundle,
        genes=PREDICTIONS.genes,
        fasta=PREDICTIONS.genome,
        tracks=PREDICTIONS.track_files,
    output:
        table=report(
            "results/{dataset}/predictions/{prediction}.tsv",
            category="Predictions",
            labels={"experiment": "{prediction}", "kind": "table"},
        ),
    log:
        "logs/{dataset}/predictions/{prediction}.log",
    benchmark:
        "benchmarks/{dataset}/predictions/{prediction}.tsv"
    conda:
        ENVIRONMENT
    threads: PLAN.config.values["run"]["train_threads"]
    resources:
        mem_mb=growing(8000),
        runtime=growing(120),
    params:
        tracks=PREDICTIONS.tracks,
        options=PREDICTIONS.options,
        device=PLAN.config.values["run"]["device"],
        code=code_digest("predict.predictions"),
    script:
        "../workflow/scripts/predict_genes.py"


rule predict:
    input:
        all_predictions(PLAN),


rule bundles:
    input:
        all_bundles(PLAN),
