"""Build the store of one cell."""

from prismflow.data.store_builder import build_store
from prismflow.jobs.script import job

with job(snakemake):
    build_store(
        snakemake.output.store,
        dataset=snakemake.wildcards.dataset,
        cell=snakemake.wildcards.cell,
        genes_path=snakemake.input.genes,
        fasta=snakemake.input.fasta,
        fasta_index=snakemake.input.index,
        tracks=snakemake.params.tracks,
        splits=snakemake.input.splits,
        summaries=snakemake.input.summaries,
        report=snakemake.output.report,
        **snakemake.params.settings,
    )
