"""Write one experiment's table."""

from prismflow.figures.write_table import write_table
from prismflow.jobs.script import folder_of, job

with job(snakemake):
    write_table(
        snakemake.params.experiment,
        snakemake.input.published,
        dict(snakemake.output.items()),
        root=folder_of(snakemake, "results"),
    )
