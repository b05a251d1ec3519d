"""Gather figures and tables of a dataset into one HTML file."""

from prismflow.figures.report import write_report
from prismflow.jobs.script import job

with job(snakemake):
    write_report(
        list(snakemake.input),
        snakemake.output[0],
        snakemake.params.snakefile,
        snakemake.params.configfiles,
        snakemake.params.request,
    )
