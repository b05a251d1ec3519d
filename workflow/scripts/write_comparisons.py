"""Print the comparisons of one experiment."""

from prismflow.figures.write_comparisons import write_comparisons
from prismflow.jobs.script import job

with job(snakemake):
    write_comparisons(
        snakemake.params.experiment,
        snakemake.input[0],
        dict(snakemake.output.items()),
    )
