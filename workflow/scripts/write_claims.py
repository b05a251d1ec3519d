"""Print the paper's claims with their verdicts."""

from prismflow.figures.write_claims import write_claims
from prismflow.jobs.script import job

with job(snakemake):
    write_claims(
        snakemake.params.claims,
        snakemake.params.context,
        snakemake.input.claims,
        snakemake.input.errors,
        dict(snakemake.output.items()),
    )
