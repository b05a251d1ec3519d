"""Take released weights as those that models start from."""

from prismflow.jobs.script import job
from prismflow.released.pretrained import adopt_pretrained

with job(snakemake):
    adopt_pretrained(snakemake.input[0], snakemake.params.settings, snakemake.output[0])
