# Windows around the TSS, splits, and one store per cell at the dataset's longest window.
rule define_windows:
    input:
        genes=INPUTS.gene_table,
        sizes="results/{dataset}/genome/chrom.sizes",
        fasta=INPUTS.genome,
        index="results/{dataset}/genome/index",
        blacklist=INPUTS.blacklist,
    output:
        genes="results/{dataset}/genes.tsv",
        windows="results/{dataset}/windows.bed.gz",
        dropped="results/{dataset}/dropped.tsv",
        splits="results/{dataset}/splits.tsv",
        shared="results/{dataset}/shared_sequence.tsv",
    log:
        "logs/{dataset}/define_windows.log",
    benchmark:
        "benchmarks/{dataset}/define_windows.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        settings=PARAMETERS.windows,
        code=code_digest(
            "data.windows", "data.splits", "data.genes", "data.shared_sequence"
        ),
    script:
        "../workflow/scripts/define_windows.py"


rule build_store:
    input:
        genes="results/{dataset}/genes.tsv",
        fasta=INPUTS.genome,
        index="results/{dataset}/genome/index",
        blacklist=INPUTS.blacklist_of_elements,
        splits="results/{dataset}/splits.tsv",
        tracks=INPUTS.tracks,
        summaries=INPUTS.summaries,
    output:
        store=directory("results/{dataset}/{cell}/store"),
        report="results/{dataset}/{cell}/inputs.json",
    log:
        "logs/{dataset}/{cell}/build_store.log",
    benchmark:
        "benchmarks/{dataset}/{cell}/build_store.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=growing(4000),
        runtime=growing(120),
    params:
        settings=PARAMETERS.store,
        tracks=PARAMETERS.tracks,
        code=DIGESTS.store,
    script:
        "../workflow/scripts/build_store.py"
