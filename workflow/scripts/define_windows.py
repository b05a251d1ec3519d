"""Place windows around the TSS and assign splits."""

import json

from prismflow.jobs import job
from prismflow.stages import define_windows

with job(snakemake):
    define_windows(
        json.loads(snakemake.params.settings),
        genes=snakemake.input.genes,
        fasta=snakemake.input.fasta,
        sizes=snakemake.input.sizes,
        index=snakemake.input.index,
        outputs=dict(snakemake.output.items()),
    )
