"""Gather the metrics of all runs into one long table."""

from prismflow.evaluation.metrics_table import aggregate_metrics
from prismflow.jobs.script import job

with job(snakemake):
    aggregate_metrics(list(snakemake.input), snakemake.output.metrics)
