"""Check the FASTA and write chromosome lengths."""

from prismflow.data.genome import index_genome
from prismflow.jobs.script import job

with job(snakemake):
    index_genome(snakemake.input.fasta, snakemake.output.sizes, snakemake.output.index)
