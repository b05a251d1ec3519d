"""Join the published tables into one gene table."""

from prismflow.data.gene_table import build_gene_table
from prismflow.jobs.script import job

with job(snakemake):
    build_gene_table(
        dict(snakemake.input.items()),
        snakemake.output.genes,
        snakemake.params.settings,
    )
