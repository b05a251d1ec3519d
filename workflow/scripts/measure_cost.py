"""Count and measure what one model costs."""

from prismflow.evaluation.costs import measure_cost
from prismflow.jobs.script import job

with job(snakemake):
    measure_cost(
        snakemake.params.settings,
        snakemake.params.shapes,
        snakemake.output.cost,
        device=snakemake.params.device,
        threads=snakemake.threads,
    )
