"""Judge the paper's claims by the runs of one dataset."""

from prismflow.evaluation.claims import judge_claims
from prismflow.jobs.script import job

with job(snakemake):
    judge_claims(
        snakemake.params.claims,
        snakemake.params.request,
        snakemake.input.predictions or None,
        snakemake.input.worlds or None,
        snakemake.output[0],
    )
