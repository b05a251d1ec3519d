"""Write the test predictions of all runs of a dataset into one file."""

import json

from prismflow.evaluation.predictions_file import gather_predictions
from prismflow.jobs.script import job

with job(snakemake):
    gather_predictions(
        snakemake.wildcards.dataset,
        [tuple(run) for run in json.loads(snakemake.params.runs)],
        snakemake.output[0],
    )
