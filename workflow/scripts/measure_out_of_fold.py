"""Gather the cross-validated metrics of one experiment."""

from prismflow.evaluation.out_of_fold import measure_out_of_fold
from prismflow.jobs.script import job

with job(snakemake):
    measure_out_of_fold(
        snakemake.params.request,
        snakemake.input.predictions,
        snakemake.output[0],
    )
