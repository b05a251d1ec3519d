"""Count and measure what one model costs."""

import json

from prismflow.evaluation.costs import measure_cost
from prismflow.jobs.script import job

with job(snakemake):
    measure_cost(
        json.loads(snakemake.params.settings),
        json.loads(snakemake.params.shapes),
        snakemake.output.cost,
        device=snakemake.params.device,
        threads=snakemake.threads,
    )
