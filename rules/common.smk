# The validated configuration, the plan, wildcard constraints and what several stages share.
import json
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

from prismflow.settings import config as settings_of
from prismflow.settings.architectures import module_of
from prismflow.settings.datasets import simulated_paths, source_of
from prismflow.errors import InputError
from prismflow.models import TABULAR
from prismflow.plan.needs import loader_modules, needed_files, needs_of
from prismflow.plan.runs import make_plan
from prismflow.plan.price_request import plan_json
from prismflow.jobs.code_digest import code_digest
from prismflow.plan.parameters import store_settings

ENVIRONMENT = "../envs/prismflow.yaml"
# Not workflow.basedir, which is another repository's where this workflow is a module of it.
SCHEMAS = Path(workflow.current_basedir).parent / "workflow" / "schemas"


def load_plan():
    """Read and check everything that the user wrote; end with one sentence if it is wrong."""
    given = [str(file) for file in workflow.overwrite_configfiles]
    files = [
        str(file) for file in workflow.configfiles if str(file) not in given
    ] + given
    try:
        settings, files = settings_of.with_shipped(config, files, CONFIGURATION)
        config.update(settings)  # the scripts of a module read it too
        return make_plan(settings_of.load(config, files, SCHEMAS))
    except InputError as error:
        raise WorkflowError(str(error)) from None


PLAN = load_plan()
if workflow.is_main_process:
    for note in PLAN.skipped:
        print(f"note: {note}", file=sys.stderr)


def one_of(names):
    return "|".join(sorted(names)) or "none"


wildcard_constraints:
    dataset=one_of(PLAN.config.datasets),
    cell=one_of(PLAN.config.cells),
    modality=one_of(PLAN.config.values["modalities"]),
    model=one_of(PLAN.models),
    run=r"[A-Za-z][A-Za-z0-9_]*_seed\d+",
    experiment=one_of(PLAN.config.experiments),


def dataset_of(wildcards):
    return PLAN.config.datasets[wildcards.dataset]


def run_of(wildcards):
    return PLAN.run(wildcards.dataset, wildcards.cell, wildcards.model, wildcards.run)


def as_json(value):
    """Sorted JSON, so that a parameter changes only when its content does."""
    return json.dumps(value, sort_keys=True)


def track_settings(cell, modality):
    """What reading a track depends on: its row of the sheet and its modality's settings."""
    track = PLAN.config.tracks[cell, modality]
    entry = PLAN.config.values["modalities"][modality]
    return {
        "modality": modality,
        "kind": track.kind,
        "path": track.path,
        "resolution_bp": track.resolution_bp,
        "normalisation": track.normalisation,
        "absent_chromosomes": track.absent_chromosomes,
        "missing": entry["missing"],
        "pseudocount": entry["pseudocount"],
        "where": track.where,
    }


def growing(amount):
    """A resource that grows with the attempt, where the profile asks for retries."""
    return lambda wildcards, attempt: amount * attempt


def tabular_models():
    """Models on a table of features; they never use a GPU and so have rules of their own."""
    return {
        name for name, entry in PLAN.models.items() if entry["architecture"] in TABULAR
    }


def experiment_json(wildcards):
    return PLAN.request_json(wildcards.dataset, wildcards.experiment)
