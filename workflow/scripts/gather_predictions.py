"""Write the test predictions of all runs of a dataset into one file."""

from prismflow.evaluation.predictions_file import gather_predictions
from prismflow.jobs.script import folder_of, job

with job(snakemake):
    gather_predictions(
        snakemake.wildcards.dataset,
        snakemake.params.runs,
        snakemake.input.blocks,
        snakemake.output[0],
        root=folder_of(snakemake, "results"),
    )
