"""Pretrain a backbone on masked bases of the training chromosomes of one fold."""

from prismflow.jobs.script import job
from prismflow.training.kept import CHECKPOINT_MINUTES
from prismflow.training.pretrain import pretrain_run

with job(snakemake):
    pretrain_run(
        snakemake.input.genes,
        snakemake.input.splits,
        snakemake.input.fasta,
        snakemake.input.index,
        snakemake.wildcards.fold,
        snakemake.params.settings,
        snakemake.output.weights,
        snakemake.output.record,
        snakemake.output.history,
        device=snakemake.params.device,
        threads=snakemake.threads,
        checkpoint_minutes=snakemake.config["run"].get("checkpoint_minutes", CHECKPOINT_MINUTES),
    )
