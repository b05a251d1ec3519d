"""List every element-gene pair of a cell with distance, activity and contact."""

from prismflow.data.element_pairs import write_pairs
from prismflow.jobs.script import job

with job(snakemake):
    write_pairs(
        snakemake.params.settings,
        snakemake.input.store,
        snakemake.input.genes,
        snakemake.input.sizes,
        snakemake.output[0],
    )
