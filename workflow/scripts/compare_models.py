"""Compare the models of one experiment over seeds and genes."""

from prismflow.evaluation.comparisons import compare_models
from prismflow.jobs.script import job

with job(snakemake):
    compare_models(
        snakemake.params.request,
        snakemake.input.predictions,
        snakemake.input.published,
        snakemake.output[0],
    )
