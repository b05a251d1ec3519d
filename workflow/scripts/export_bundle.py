"""Put all runs of a model into a bundle."""

from prismflow.jobs.script import job
from prismflow.predict.export import export_bundle

with job(snakemake):
    export_bundle(
        snakemake.params.folders,
        snakemake.output.bundle,
        snakemake.input.store,
        snakemake.input.splits,
        next(iter(snakemake.input.scale), None),
        list(snakemake.input.summaries),
        snakemake.params.sources,
    )
