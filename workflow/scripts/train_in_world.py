"""Simulate a world of known confounding, train every model in it and test it."""

from prismflow.evaluation.worlds import run_world
from prismflow.jobs.script import job

with job(snakemake):
    run_world(
        snakemake.params.settings,
        dict(snakemake.output.items()),
        device=snakemake.params.device,
        threads=snakemake.threads,
    )
