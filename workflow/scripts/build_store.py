"""Build the store of one cell."""

import json

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
        tracks=json.loads(snakemake.params.tracks),
        **json.loads(snakemake.params.settings),
    )
