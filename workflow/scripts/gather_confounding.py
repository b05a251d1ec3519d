"""Measures, summaries and differences of all worlds."""

from pathlib import Path

from prismflow.evaluation.confounding import gather
from prismflow.jobs.script import job

with job(snakemake):
    folder = Path(snakemake.output.measures).parent
    worlds = snakemake.params.worlds
    gather(
        {name: (world, folder / name) for name, world in worlds.items()},
        dict(snakemake.output.items()),
    )
