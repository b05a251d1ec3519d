"""Make a gene table of an annotation, a genome and labels."""

from prismflow.data.own_genes import make_gene_table
from prismflow.jobs.script import job

with job(snakemake):
    made = make_gene_table(snakemake.input.gtf, snakemake.input.fasta, **snakemake.params.options)
    made.write(snakemake.output.genes)
