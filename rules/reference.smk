# A gene table of the user's own: TSS and mRNA features of an annotation, labels of the sheet of cells.
from prismflow.plan.own_genes import OwnGenes, inputs_beside
from prismflow.plan.predictions import scale_beside, summary_beside

OWN_GENES = OwnGenes(PLAN)
if OWN_GENES.settings is not None:

    rule make_own_genes:
        input:
            gtf=OWN_GENES.settings["gtf"],
            fasta=OWN_GENES.settings["genome"],
            files=or_refuse(OWN_GENES.files),
        output:
            genes=OWN_GENES.settings["path"],
            summary=summary_beside(OWN_GENES.settings["path"]),
            scale=scale_beside(OWN_GENES.settings["path"]),
            inputs=inputs_beside(OWN_GENES.settings["path"]),
        log:
            "logs/make_own_genes.log",
        benchmark:
            "benchmarks/make_own_genes.tsv"
        conda:
            ENVIRONMENT
        resources:
            mem_mb=growing(4000),
            runtime=growing(60),
        params:
            options=OWN_GENES.options(),
            code=code_digest("data.own_genes"),
        script:
            "../workflow/scripts/make_own_genes.py"


# The genome: chromosome names and lengths, checked against the gene table.
rule index_genome:
    input:
        fasta=INPUTS.genome,
    output:
        sizes="results/{dataset}/genome/chrom.sizes",
        index=directory("results/{dataset}/genome/index"),
    log:
        "logs/{dataset}/index_genome.log",
    benchmark:
        "benchmarks/{dataset}/index_genome.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        code=code_digest("data.genome"),
    script:
        "../workflow/scripts/index_genome.py"
