# Numbers that are made from the predictions of one experiment: across cells, over folds, by class.
rule measure_cross_cell:
    input:
        predictions="results/{dataset}/predictions.safetensors",
    output:
        "results/{dataset}/measures/{experiment}_cross_cell.tsv",
    log:
        "logs/{dataset}/measures/{experiment}_cross_cell.log",
    benchmark:
        "benchmarks/{dataset}/measures/{experiment}_cross_cell.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=growing(4000),
        runtime=growing(60),
    params:
        request=REQUESTS.measures,
        code=code_digest("evaluation.cross_cell"),
    script:
        "../workflow/scripts/measure_cross_cell.py"


rule measure_out_of_fold:
    input:
        predictions="results/{dataset}/predictions.safetensors",
    output:
        "results/{dataset}/measures/{experiment}_out_of_fold.tsv",
    log:
        "logs/{dataset}/measures/{experiment}_out_of_fold.log",
    benchmark:
        "benchmarks/{dataset}/measures/{experiment}_out_of_fold.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=growing(4000),
        runtime=growing(60),
    params:
        request=REQUESTS.measures,
        code=code_digest("evaluation.out_of_fold"),
    script:
        "../workflow/scripts/measure_out_of_fold.py"


rule measure_strata:
    input:
        predictions="results/{dataset}/predictions.safetensors",
        stores=INPUTS.stores_of_experiment,
    output:
        "results/{dataset}/measures/{experiment}_strata.tsv",
    log:
        "logs/{dataset}/measures/{experiment}_strata.log",
    benchmark:
        "benchmarks/{dataset}/measures/{experiment}_strata.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=growing(4000),
        runtime=growing(60),
    params:
        request=REQUESTS.measures,
        code=code_digest("evaluation.strata"),
    script:
        "../workflow/scripts/measure_strata.py"
