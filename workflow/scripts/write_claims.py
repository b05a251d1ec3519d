"""Judge the paper's claims by the runs of one dataset."""

from prismflow.figures.write_claims import write_claims
from prismflow.jobs.script import job

with job(snakemake):
    write_claims(
        snakemake.params.claims,
        snakemake.params.request,
        snakemake.input.predictions,
        dict(snakemake.output.items()),
    )
