"""Predict genes without labels with a bundle."""

from prismflow.jobs.script import job
from prismflow.predict.predictions import write_predictions

with job(snakemake):
    write_predictions(
        snakemake.input.bundle,
        snakemake.input.genes,
        snakemake.input.fasta,
        snakemake.params.tracks,
        snakemake.output.table,
        device=snakemake.params.device,
        threads=snakemake.threads,
        **snakemake.params.options,
    )
