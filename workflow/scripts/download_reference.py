"""Bring one file of the references sheet, or link the user's own copy."""

from prismflow.jobs.script import job
from prismflow.portals.reference_files import download_reference

with job(snakemake):
    download_reference(
        snakemake.params.reference,
        snakemake.output.file,
        snakemake.output.metadata,
        snakemake.config.get("downloads", {}),
    )
