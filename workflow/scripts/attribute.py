"""Explain genes of one trained run."""

from prismflow.explain.attributions import explain_run
from prismflow.jobs.script import job

with job(snakemake):
    explain_run(
        snakemake.input.store,
        snakemake.input.splits,
        snakemake.input.weights,
        snakemake.input.model,
        snakemake.input.sizes,
        snakemake.params.settings,
        snakemake.output[0],
        device=snakemake.params.device,
        threads=snakemake.threads,
    )
