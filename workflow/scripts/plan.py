"""Write what is left to do, by experiment, with hours and storage."""

from prismflow.evaluation.write_plans import write_plans
from prismflow.jobs.script import folder_of, job

with job(snakemake):
    write_plans(
        snakemake.params.request,
        folder_of(snakemake, "results"),
        folder_of(snakemake, "benchmarks"),
    )
