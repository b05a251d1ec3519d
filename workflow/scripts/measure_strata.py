"""Measure errors by class of gene, calibration and gains of averaging."""

from prismflow.evaluation.strata import measure_strata
from prismflow.jobs.script import job

with job(snakemake):
    measure_strata(
        snakemake.params.request,
        snakemake.input.predictions,
        dict(zip(snakemake.params.request["cells"], snakemake.input.stores, strict=True)),
        snakemake.output[0],
    )
