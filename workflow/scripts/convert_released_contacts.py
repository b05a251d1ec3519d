"""Put the released bundle's contacts of one cell back together."""

from prismflow.jobs.script import job
from prismflow.released.bundle import convert_contacts

with job(snakemake):
    convert_contacts(snakemake.input.features, snakemake.input.lengths, snakemake.output.contacts)
