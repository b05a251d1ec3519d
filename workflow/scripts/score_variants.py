"""Score the variants of a VCF with all seeds of a model."""

from prismflow.explain.variants import score_variants
from prismflow.jobs.script import job

with job(snakemake):
    score_variants(
        snakemake.input.vcf,
        snakemake.input.fasta,
        snakemake.input.store,
        snakemake.input.splits,
        snakemake.params.runs,
        snakemake.output[0],
        index=snakemake.input.index,
        aliases=snakemake.params.aliases,
        device=snakemake.params.device,
        threads=snakemake.threads,
        **snakemake.params.settings,
    )
