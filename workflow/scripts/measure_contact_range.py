"""Count contact partners of every gene of a cell."""

import json

from prismflow.evaluation.contact_range import measure_contact_range
from prismflow.jobs.script import job

with job(snakemake):
    measure_contact_range(
        json.loads(snakemake.params.settings),
        snakemake.input.genes,
        snakemake.input.sizes,
        snakemake.output.table,
    )
