"""Say how well the models of one experiment tell cells apart."""

from prismflow.evaluation.cross_cell import measure_cross_cell
from prismflow.jobs.script import job

with job(snakemake):
    measure_cross_cell(
        snakemake.params.request,
        snakemake.input.predictions,
        snakemake.output[0],
    )
