"""Take the candidate elements of one cell out of the released enhancer links."""

from prismflow.jobs.script import job
from prismflow.released.elements import convert_elements

with job(snakemake):
    convert_elements(snakemake.input.links, snakemake.output.elements)
