"""Write the simulated genome, tracks, genes and truth."""

from pathlib import Path

from prismflow.jobs.script import job
from prismflow.simulate import simulate

with job(snakemake):
    settings = snakemake.params.settings
    simulate(Path(snakemake.output[0]).parent, settings, seed=settings.pop("seed", 1))
