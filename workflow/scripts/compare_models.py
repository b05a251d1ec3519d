"""Compare the models of one experiment over seeds and genes."""

from prismflow.figures.write_comparisons import compare_models
from prismflow.jobs.script import job

with job(snakemake):
    compare_models(
        snakemake.params.experiment,
        snakemake.input.predictions,
        snakemake.input.published,
        dict(snakemake.output.items()),
    )
