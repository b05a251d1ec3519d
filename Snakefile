# Prism workflow: what is made, and from which stages. Settings: config/config.yaml.
from prismflow.settings.config import configuration_of
from snakemake.utils import min_version

from prismflow.plan.results import reports

min_version("9.13")
CONFIGURATION = configuration_of(workflow.current_basedir)


configfile: CONFIGURATION


report: "workflow/report/workflow.rst"


include: "rules/common.smk"
include: "rules/demo.smk"
include: "rules/download.smk"
include: "rules/reference.smk"
include: "rules/called_peaks.smk"
include: "rules/tracks.smk"
include: "rules/windows.smk"
include: "rules/pretrain.smk"
include: "rules/train.smk"
include: "rules/enhancer_gene.smk"
include: "rules/evaluate.smk"
include: "rules/predict.smk"
include: "rules/claims.smk"
include: "rules/measures.smk"
include: "rules/confounding.smk"
include: "rules/explain.smk"
include: "rules/figures.smk"
include: "rules/plan.smk"
include: "rules/targets.smk"
include: "rules/checks.smk"
include: "rules/refusals.smk"


localrules:
    all,


rule all:
    default_target: True
    input:
        reports(PLAN),
