"""Write the simulated genome, tracks, genes and truth."""

import json

from prismflow.jobs.script import job
from prismflow.simulate import simulate

with job(snakemake):
    settings = json.loads(snakemake.params.settings)
    simulate(snakemake.params.folder, settings, seed=settings.pop("seed", 1))
