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
    own = [
        f"results/{dataset}/tables/{experiment.id}.{suffix}"
        for (name, _), experiment in PLAN.experiments.items()
        for suffix in suffixes
        if name == dataset and experiment.entry["table"]
    ]
    return claims_files(dataset) + own + comparison_files(dataset, suffixes)


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


def digest_for(package, key, writer):
    """Parameter function: the code that an experiment's figure or table depends on."""

    def digest(wildcards):
        name = experiment_of(wildcards).entry[key]
        loaders = loader_modules(needs_of(package, name))
        return code_digest(writer, f"figures.{package}.{name}", *loaders)

    return digest


def contacts_of(wildcards):
    """Settings of the cell's contact track, or None."""
    kinds = PLAN.config.values["modalities"]
    for modality in PLAN.config.modalities_of(wildcards.cell):
        if kinds[modality]["kind"] == "contacts":
            return track_settings(wildcards.cell, modality)
    return None


def contact_range_settings(wildcards):
    entry = PLAN.config.experiments.get("hic_range", {"options": {}})
    return {
        "track": contacts_of(wildcards),
        "aliases": dataset_of(wildcards)["chrom_aliases"],
        "range_bp": entry["options"].get("range_bp", 200_000),
    }


rule measure_contact_range:
    input:
        track=lambda wildcards: (contacts_of(wildcards) or {"path": []})["path"],
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
        settings=lambda wildcards: as_json(contact_range_settings(wildcards)),
        code=code_digest("evaluation.contact_range"),
    script:
        "../workflow/scripts/measure_contact_range.py"


def settings_of_model(wildcards):
    """Resolved settings of a model in the first cell that has its signals."""
    for cell in dataset_of(wildcards)["cells"]:
        if PLAN.modalities(cell, wildcards.model) is not None:
            return PLAN.settings(wildcards.dataset, cell, wildcards.model)
    raise WorkflowError(
        f"no cell of {wildcards.dataset} has the signals of {wildcards.model}"
    )


def element_shapes(wildcards):
    elements = dataset_of(wildcards)["elements"]
    return {
        "n_elements": elements["n_nearest"] if elements else 0,
        "element_bp": elements["sequence_bp"] if elements else 0,
    }


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
        settings=lambda wildcards: as_json(settings_of_model(wildcards)),
        shapes=lambda wildcards: as_json(element_shapes(wildcards)),
        device=PLAN.config.values["run"]["device"],
        code=lambda wildcards: code_digest(
            "evaluation.costs", module_of(PLAN.models[wildcards.model]["architecture"])
        ),
    script:
        "../workflow/scripts/measure_cost.py"


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
            subcategory=lambda wildcards: experiment_of(wildcards).entry["paper"]
            or "beyond the paper",
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
        experiment=lambda wildcards: experiment_json(wildcards),
        title=lambda wildcards: experiment_of(wildcards).entry["title"],
        caption=lambda wildcards: experiment_of(wildcards).entry["caption"],
        code=digest_for("plots", "renderer", "figures.draw_figure"),
    script:
        "../workflow/scripts/plot_figure.py"


rule write_table:
    input:
        files=files_for("tables", "table"),
        comparisons=comparisons_of,
        published=PLAN.config.values["sheets"]["published"],
    output:
        tsv="results/{dataset}/tables/{experiment}.tsv",
        md="results/{dataset}/tables/{experiment}.md",
        tex="results/{dataset}/tables/{experiment}.tex",
        html=report(
            "results/{dataset}/tables/{experiment}.html",
            caption="../workflow/report/experiment.rst",
            category=lambda wildcards: experiment_of(wildcards).entry["category"],
            subcategory=lambda wildcards: experiment_of(wildcards).entry["paper"]
            or "beyond the paper",
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
        experiment=lambda wildcards: experiment_json(wildcards),
        title=lambda wildcards: experiment_of(wildcards).entry["title"],
        caption=lambda wildcards: experiment_of(wildcards).entry["caption"],
        code=digest_for("tables", "table", "figures.write_table"),
    script:
        "../workflow/scripts/write_table.py"


def report_request(wildcards):
    """What the report's front page says about a dataset beside what its files hold."""
    dataset, settings = wildcards.dataset, dataset_of(wildcards)
    experiments = [
        {
            "id": experiment.id,
            "title": experiment.entry["title"],
            "caption": experiment.entry["caption"],
            "paper": experiment.entry["paper"],
            "figure": experiment.entry["renderer"] is not None,
        }
        for (name, _), experiment in PLAN.experiments.items()
        if name == dataset
    ]
    source = (
        "simulated" if settings["simulate"] is not None else "not recorded (local file)"
    )
    return {
        "dataset": dataset,
        "title": settings["title"],
        "simulated": settings["simulate"] is not None,
        "cells": settings["cells"],
        "device": PLAN.config.values["run"]["device"],
        "experiments": experiments,
        "tracks": [
            {"cell": cell, "modality": modality, "path": path, "source": source}
            for cell in settings["cells"]
            for modality in PLAN.config.modalities_of(cell)
            for path in [PLAN.config.tracks[cell, modality].path]
        ],
    }


rule write_report:
    input:
        lambda wildcards: figure_files(wildcards.dataset)
        + table_files(wildcards.dataset),
    output:
        "results/{dataset}/report.html",
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
        request=lambda wildcards: as_json(report_request(wildcards)),
        code=code_digest("figures.report"),
    script:
        "../workflow/scripts/write_report.py"


rule report:
    input:
        [f"results/{dataset}/report.html" for dataset in PLAN.config.datasets],
