"""Simulate a world of known confounding, train every model in it and test it."""

import json

from prismflow.jobs import job
from prismflow.worlds import run_world

with job(snakemake):
    run_world(
        json.loads(snakemake.params.settings),
        dict(snakemake.output.items()),
        device=snakemake.params.device,
        threads=snakemake.threads,
    )
