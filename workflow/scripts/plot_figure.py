"""Draw one experiment's figure."""

from prismflow.figures.draw_figure import plot_figure
from prismflow.jobs.script import job

with job(snakemake):
    plot_figure(
        snakemake.params.experiment,
        snakemake.input.published,
        dict(snakemake.output.items()),
    )
