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
