"""Check one track against the genes and summarise it."""

from prismflow.data.steps import inspect_track
from prismflow.jobs.script import job

with job(snakemake):
    inspect_track(
        snakemake.params.track,
        snakemake.params.aliases,
        genes=snakemake.input.genes,
        sizes=snakemake.input.sizes,
        summary=snakemake.output.summary,
        assigned=snakemake.input.get("splits"),
    )
