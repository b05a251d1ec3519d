"""Call peaks of a bigWig."""

from prismflow.data.called_peaks import write_called_peaks
from prismflow.jobs.script import job

with job(snakemake):
    write_called_peaks(
        snakemake.input.track,
        snakemake.output.peaks,
        control=snakemake.input.get("control") or None,
        **snakemake.params.options,
    )
