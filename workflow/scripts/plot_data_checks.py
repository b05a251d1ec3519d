"""Draw the checks of a dataset."""

from prismflow.figures.draw_figure import plot_data_checks
from prismflow.jobs.script import job

with job(snakemake):
    plot_data_checks(
        snakemake.params.context,
        dict(snakemake.input.items()),
        snakemake.output.pdf,
        snakemake.output.png,
    )
