"""Print and write the table of all inputs; those that were refused end a run before this."""

from prismflow.evaluation.input_table import write_tables
from prismflow.jobs.script import job

with job(snakemake):
    write_tables(snakemake.params.request)
