"""Build the store of one cell."""

import json

from prismflow.jobs import job
from prismflow.store_builder import build_store

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
