"""Score element-gene pairs with one trained run: knock-outs and attention."""

from pathlib import Path

from prismflow.explain.knockouts import score_pairs
from prismflow.jobs.script import job

with job(snakemake):
    score_pairs(
        snakemake.input.store,
        snakemake.input.splits,
        Path(snakemake.input.weights).parent,
        snakemake.input.pairs,
        snakemake.params.settings,
        snakemake.output[0],
        device=snakemake.params.device,
        threads=snakemake.threads,
    )
