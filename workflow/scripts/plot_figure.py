"""Draw one experiment's figure."""

from prismflow.figures import plot_figure
from prismflow.jobs import job

with job(snakemake):
    plot_figure(
        snakemake.params.experiment,
        snakemake.input.published,
        snakemake.output.pdf,
        snakemake.output.png,
    )
