"""Judge scores of element-gene pairs by pairs that were tested in a cell."""

from prismflow.evaluation.crispri import benchmark_crispri
from prismflow.jobs.script import job

with job(snakemake):
    benchmark_crispri(
        snakemake.params.settings,
        snakemake.input.genes,
        snakemake.input.splits,
        snakemake.input.sizes,
        dict(snakemake.output.items()),
        scores=snakemake.input.scores or None,
    )
