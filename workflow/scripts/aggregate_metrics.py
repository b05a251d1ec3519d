"""Gather the metrics of all runs into one long table."""

from prismflow.aggregate import aggregate_metrics
from prismflow.jobs import job

with job(snakemake):
    aggregate_metrics(list(snakemake.input), snakemake.output.metrics)
