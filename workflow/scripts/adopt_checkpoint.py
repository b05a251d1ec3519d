"""Take a released checkpoint in the place of training."""

from prismflow.jobs.script import job
from prismflow.released.adopt import adopt_run

with job(snakemake):
    adopt_run(
        snakemake.input.checkpoint,
        snakemake.input.store,
        snakemake.input.splits,
        snakemake.params.fold,
        snakemake.params.seed,
        snakemake.params.settings,
        snakemake.output.weights,
        snakemake.output.model,
        snakemake.output.history,
    )
