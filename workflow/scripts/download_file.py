"""Bring one portal file and what the portal knows of it."""

from prismflow.jobs.script import job
from prismflow.portals.tracks import download_track

with job(snakemake):
    download_track(
        snakemake.params.track,
        snakemake.output.file,
        snakemake.output.metadata,
        snakemake.config.get("downloads", {}),
    )
