"""Gather the scores of all pairs of a cell in one table, and for a genome browser."""

from prismflow.explain.enhancer_gene import export_pairs
from prismflow.jobs.script import job

with job(snakemake):
    export_pairs(
        snakemake.input.pairs,
        snakemake.params.runs,
        snakemake.output.table,
        snakemake.output.browser,
    )
