"""Count contact partners of every gene of a cell."""

from prismflow.evaluation.contact_range import measure_contact_range
from prismflow.jobs.script import job

with job(snakemake):
    measure_contact_range(
        snakemake.params.settings,
        snakemake.input.genes,
        snakemake.input.sizes,
        snakemake.output.table,
    )
