"""Gather figures and tables of a dataset into one page, with Snakemake's report beside it."""

from prismflow.figures.report import write_report
from prismflow.jobs.script import job

with job(snakemake):
    write_report(
        list(snakemake.input),
        snakemake.output.page,
        snakemake.output.snakemake,
        snakemake.params.snakefile,
        snakemake.params.configfiles,
        snakemake.params.request,
    )
