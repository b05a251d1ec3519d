"""Draw one experiment's figure."""

from prismflow.figures.draw_figure import plot_figure
from prismflow.jobs.script import folder_of, job

with job(snakemake):
    plot_figure(
        snakemake.params.experiment,
        snakemake.input.published,
        dict(snakemake.output.items()),
        root=folder_of(snakemake, "results"),
    )
