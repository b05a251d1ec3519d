"""Take one file of the references sheet out of its archive."""

from prismflow.jobs.script import job
from prismflow.portals.reference_files import extract_reference

with job(snakemake):
    extract_reference(snakemake.params.reference, snakemake.input.archive, snakemake.output.file)
