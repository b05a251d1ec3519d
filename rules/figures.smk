# Figures and tables of the experiments, and the report that gathers them.
def figure_files(dataset, suffixes=("pdf", "png")):
    experiments = [
        experiment.id
        for (name, _), experiment in PLAN.experiments.items()
        if name == dataset and experiment.entry["renderer"]
    ]
    return [
        f"results/{dataset}/figures/{figure}.{suffix}"
        for figure in ("data_checks", *experiments)
        for suffix in suffixes
    ]


def table_files(dataset, suffixes=("tsv", "md", "tex")):
    return [
        f"results/{dataset}/tables/{experiment.id}.{suffix}"
        for (name, _), experiment in PLAN.experiments.items()
        for suffix in suffixes
        if name == dataset and experiment.entry["table"]
    ]


def experiment_of(wildcards):
    return PLAN.experiments[wildcards.dataset, wildcards.experiment]


def files_for(package, key):
    """Input function: the files that an experiment's figure or table reads."""

    def files(wildcards):
        experiment = experiment_of(wildcards)
        cells = dataset_of(wildcards)["cells"]
        runs = [(run.cell, run.model, run.fold, run.seed) for run in experiment.runs]
        needs = needs_of(package, experiment.entry[key])
        return needed_files(needs, wildcards.dataset, cells, experiment.models, runs)

    return files


def digest_for(package, key):
    """Parameter function: the code that an experiment's figure or table depends on."""

    def digest(wildcards):
        name = experiment_of(wildcards).entry[key]
        loaders = loader_modules(needs_of(package, name))
        return code_digest("figures", f"{package}.{name}", *loaders)

    return digest


rule plot_figure:
    input:
        files=files_for("plots", "renderer"),
        published=PLAN.config.values["sheets"]["published"],
    output:
        pdf="results/{dataset}/figures/{experiment}.pdf",
        png=report(
            "results/{dataset}/figures/{experiment}.png",
            caption="../workflow/report/experiment.rst",
            category=lambda wildcards: experiment_of(wildcards).entry["category"],
            subcategory=lambda wildcards: experiment_of(wildcards).entry["paper"] or "beyond the paper",
            labels={"experiment": "{experiment}", "kind": "figure"},
        ),
    log:
        "logs/{dataset}/figures/{experiment}.log",
    benchmark:
        "benchmarks/{dataset}/figures/{experiment}.tsv"
    params:
        experiment=lambda wildcards: experiment_json(wildcards),
        title=lambda wildcards: experiment_of(wildcards).entry["title"],
        caption=lambda wildcards: experiment_of(wildcards).entry["caption"],
        code=digest_for("plots", "renderer"),
    resources:
        mem_mb=2000,
        runtime=30,
    conda:
        ENVIRONMENT
    script:
        "../workflow/scripts/plot_figure.py"


rule write_table:
    input:
        files=files_for("tables", "table"),
        published=PLAN.config.values["sheets"]["published"],
    output:
        tsv="results/{dataset}/tables/{experiment}.tsv",
        md="results/{dataset}/tables/{experiment}.md",
        tex="results/{dataset}/tables/{experiment}.tex",
        html=report(
            "results/{dataset}/tables/{experiment}.html",
            caption="../workflow/report/experiment.rst",
            category=lambda wildcards: experiment_of(wildcards).entry["category"],
            subcategory=lambda wildcards: experiment_of(wildcards).entry["paper"] or "beyond the paper",
            labels={"experiment": "{experiment}", "kind": "table"},
        ),
    log:
        "logs/{dataset}/tables/{experiment}.log",
    benchmark:
        "benchmarks/{dataset}/tables/{experiment}.tsv"
    params:
        experiment=lambda wildcards: experiment_json(wildcards),
        title=lambda wildcards: experiment_of(wildcards).entry["title"],
        caption=lambda wildcards: experiment_of(wildcards).entry["caption"],
        code=digest_for("tables", "table"),
    resources:
        mem_mb=2000,
        runtime=30,
    conda:
        ENVIRONMENT
    script:
        "../workflow/scripts/write_table.py"


rule write_report:
    input:
        lambda wildcards: figure_files(wildcards.dataset) + table_files(wildcards.dataset),
    output:
        "results/{dataset}/report.html",
    log:
        "logs/{dataset}/write_report.log",
    benchmark:
        "benchmarks/{dataset}/write_report.tsv"
    params:
        snakefile=workflow.main_snakefile,
        configfiles=[str(Path(file).resolve()) for file in workflow.overwrite_configfiles]
        if hasattr(workflow, "overwrite_configfiles")
        else [],
    resources:
        mem_mb=2000,
        runtime=30,
    conda:
        ENVIRONMENT
    script:
        "../workflow/scripts/write_report.py"


rule report:
    input:
        [f"results/{dataset}/report.html" for dataset in PLAN.config.datasets],
