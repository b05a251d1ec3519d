# Figures and tables of the experiments, and the report that gathers them.
rule measure_contact_range:
    input:
        track=INPUTS.contacts,
        genes="results/{dataset}/genes.tsv",
        sizes="results/{dataset}/genome/chrom.sizes",
    output:
        table="results/{dataset}/{cell}/contact_range.tsv",
    log:
        "logs/{dataset}/{cell}/measure_contact_range.log",
    benchmark:
        "benchmarks/{dataset}/{cell}/measure_contact_range.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=growing(8000),
        runtime=growing(120),
    params:
        settings=PARAMETERS.contact_range,
        code=code_digest("evaluation.contact_range"),
    script:
        "../workflow/scripts/measure_contact_range.py"


rule measure_cost:
    output:
        cost="results/{dataset}/costs/{model}.json",
    log:
        "logs/{dataset}/costs/{model}.log",
    benchmark:
        "benchmarks/{dataset}/costs/{model}.tsv"
    conda:
        ENVIRONMENT
    threads: PLAN.config.values["run"]["train_threads"]
    resources:
        mem_mb=growing(8000),
        runtime=growing(60),
    params:
        settings=PARAMETERS.model_anywhere,
        shapes=PARAMETERS.element_shapes,
        device=PLAN.config.values["run"]["device"],
        code=lambda wildcards: code_digest(
            "evaluation.costs", module_of(PLAN.models[wildcards.model]["architecture"])
        ),
    script:
        "../workflow/scripts/measure_cost.py"


rule plot_figure:
    input:
        files=INPUTS.figure,
        published=PLAN.config.values["sheets"]["published"],
    output:
        pdf="results/{dataset}/figures/{experiment}.pdf",
        png=report(
            "results/{dataset}/figures/{experiment}.png",
            caption="../workflow/report/experiment.rst",
            category=REQUESTS.category,
            subcategory=REQUESTS.place,
            labels={"experiment": "{experiment}", "kind": "figure"},
        ),
        caption="results/{dataset}/figures/{experiment}.txt",
    log:
        "logs/{dataset}/figures/{experiment}.log",
    benchmark:
        "benchmarks/{dataset}/figures/{experiment}.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        experiment=REQUESTS.of_experiment,
        title=REQUESTS.title,
        caption=REQUESTS.caption,
        code=DIGESTS.figure,
    script:
        "../workflow/scripts/plot_figure.py"


rule write_table:
    input:
        files=INPUTS.table,
        comparisons=INPUTS.comparisons,
        published=PLAN.config.values["sheets"]["published"],
    output:
        tsv="results/{dataset}/tables/{experiment}.tsv",
        md="results/{dataset}/tables/{experiment}.md",
        tex="results/{dataset}/tables/{experiment}.tex",
        html=report(
            "results/{dataset}/tables/{experiment}.html",
            caption="../workflow/report/experiment.rst",
            category=REQUESTS.category,
            subcategory=REQUESTS.place,
            labels={"experiment": "{experiment}", "kind": "table"},
        ),
    log:
        "logs/{dataset}/tables/{experiment}.log",
    benchmark:
        "benchmarks/{dataset}/tables/{experiment}.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        experiment=REQUESTS.of_experiment,
        title=REQUESTS.title,
        caption=REQUESTS.caption,
        code=DIGESTS.table,
    script:
        "../workflow/scripts/write_table.py"


rule write_report:
    input:
        INPUTS.report,
    output:
        page="results/{dataset}/report.html",
        snakemake="results/{dataset}/snakemake_report.html",
    log:
        "logs/{dataset}/write_report.log",
    benchmark:
        "benchmarks/{dataset}/write_report.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        snakefile=workflow.main_snakefile,
        configfiles=(
            [str(Path(file).resolve()) for file in workflow.overwrite_configfiles]
            if hasattr(workflow, "overwrite_configfiles")
            else []
        ),
        request=REQUESTS.report,
        code=code_digest("figures.report"),
        page=files_digest("figures/page"),
    script:
        "../workflow/scripts/write_report.py"


rule report:
    input:
        reports(PLAN),
