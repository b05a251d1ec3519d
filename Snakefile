# Prism workflow: what is made, and from which stages. Settings: config/config.yaml.
from prismflow.settings.config import configuration_of
from snakemake.utils import min_version

min_version("9.13")
CONFIGURATION = configuration_of(workflow.current_basedir)


configfile: CONFIGURATION


report: "workflow/report/workflow.rst"


include: "rules/common.smk"
include: "rules/demo.smk"
include: "rules/download.smk"
include: "rules/reference.smk"
include: "rules/tracks.smk"
include: "rules/windows.smk"
include: "rules/train.smk"
include: "rules/evaluate.smk"
include: "rules/claims.smk"
include: "rules/confounding.smk"
include: "rules/figures.smk"
include: "rules/plan.smk"
include: "rules/refusals.smk"


localrules:
    all,
    plan,
    figures,
    tables,
    stores,


rule all:
    default_target: True
    input:
        [f"results/{dataset}/report.html" for dataset in PLAN.config.datasets],


rule figures:
    input:
        [file for dataset in PLAN.config.datasets for file in figure_files(dataset)],


rule tables:
    input:
        [file for dataset in PLAN.config.datasets for file in table_files(dataset)],


rule stores:
    input:
        [
            f"results/{dataset}/{cell}/store"
            for dataset, settings in PLAN.config.datasets.items()
            for cell in settings["cells"]
        ],
