"""Predict the test split of one run in every scenario, and compute its metrics."""

from prismflow.evaluation.scenarios import evaluate_run
from prismflow.jobs.script import job

with job(snakemake):
    evaluate_run(
        snakemake.input.store,
        snakemake.input.splits,
        snakemake.input.weights,
        snakemake.input.model,
        snakemake.params.scenarios,
        snakemake.output.predictions,
        snakemake.output.metrics,
        snakemake.output.extras,
        device=snakemake.params.device,
        threads=snakemake.threads,
        other_stores=list(snakemake.input.other_stores),
    )
