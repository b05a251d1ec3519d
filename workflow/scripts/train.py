"""Train one model on one fold with one seed."""

from prismflow.jobs.script import job
from prismflow.training.kept import CHECKPOINT_MINUTES
from prismflow.training.run import train_run

with job(snakemake):
    train_run(
        snakemake.input.store,
        snakemake.input.splits,
        snakemake.params.fold,
        snakemake.params.seed,
        snakemake.params.settings,
        snakemake.output.weights,
        snakemake.output.model,
        snakemake.output.history,
        device=snakemake.params.device,
        threads=snakemake.threads,
        initial_path=snakemake.input.initial or None,
        checkpoint_minutes=snakemake.config["run"].get("checkpoint_minutes", CHECKPOINT_MINUTES),
    )
