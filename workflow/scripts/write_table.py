"""Write one experiment's table."""

from prismflow.figures.write_table import write_table
from prismflow.jobs.script import job

with job(snakemake):
    write_table(
        snakemake.params.experiment,
        snakemake.input.published,
        dict(snakemake.output.items()),
    )
