"""Place windows around the TSS and assign splits."""

from prismflow.data.steps import define_windows
from prismflow.jobs.script import job

with job(snakemake):
    define_windows(
        snakemake.params.settings,
        genes=snakemake.input.genes,
        fasta=snakemake.input.fasta,
        sizes=snakemake.input.sizes,
        index=snakemake.input.index,
        outputs=dict(snakemake.output.items()),
    )
