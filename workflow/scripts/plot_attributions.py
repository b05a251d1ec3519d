"""Draw the attributions of a run."""

from prismflow.figures.draw_figure import plot_attributions
from prismflow.jobs.script import job

with job(snakemake):
    plot_attributions(
        snakemake.params.context,
        snakemake.params.shown,
        snakemake.input[0],
        snakemake.output.pdf,
        snakemake.output.png,
    )
