"""Which runs are explained, and with which runs variants are scored."""

from __future__ import annotations

from typing import Any

from prismflow.errors import InputError
from prismflow.plan.plain import plain
from prismflow.plan.run import Run
from prismflow.plan.runs import Plan
from prismflow.plan.view import View, Wildcards
from prismflow.settings import yaml_files

DEFAULT_MODEL = "prism"


def chosen_runs(plan: Plan, section: str) -> list[Run]:
    """Runs of the models that a section (``attributions``, ``variants``) names, of all datasets.

    Raises:
        InputError: a model that no experiment trains.
    """
    names = plan.config.values[section]["models"] or [DEFAULT_MODEL]
    runs = [run for dataset in plan.config.datasets for run in plan.runs(dataset)]
    trained = sorted({run.model for run in runs} - plan.tabular)
    for position, name in enumerate(names):
        if name not in trained:
            where = yaml_files.where(plan.config.files, (section, "models", position))
            raise InputError(
                f"{where}: expected a network that the experiments train "
                f"({', '.join(trained) or 'there is none'}), found {name!r}; name one of them, or "
                "run an experiment with this model."
            )
    return [run for run in runs if run.model in names]


def attribution_files(plan: Plan) -> list[str]:
    """What the target ``attributions`` makes.

    Raises:
        InputError: see :func:`chosen_runs`.
    """
    runs = chosen_runs(plan, "attributions")
    kinds = ("", ".pdf", ".png")
    return [f"results/{run.folder}/attributions{kind}" for run in runs for kind in kinds]


def variant_files(plan: Plan) -> list[str]:
    """What the target ``variants`` makes: a table per cell and model.

    Raises:
        InputError: see :func:`chosen_runs`; no VCF is named.
    """
    if plan.config.values["variants"]["vcf"] is None:
        raise InputError(
            f"{yaml_files.where(plan.config.files, ('variants',))}: expected the path of a VCF in "
            "`variants.vcf`, found none; name it."
        )
    runs = chosen_runs(plan, "variants")
    found = [f"results/{run.dataset}/variants/{run.cell}/{run.model}.tsv.gz" for run in runs]
    return list(dict.fromkeys(found))


def shown_in_report(plan: Plan, dataset: str) -> dict[str, list[str]]:
    """Pictures of attributions and tables of variants that a dataset's report shows.

    Empty unless the configuration asks for them (``attributions.report``, ``variants.vcf``).

    Raises:
        InputError: see :func:`chosen_runs`.
    """
    values, found = plan.config.values, {}
    if values["attributions"]["report"]:
        found["attributions"] = [f for f in attribution_files(plan) if f.endswith(".png")]
    if values["variants"]["vcf"] is not None:
        found["variants"] = variant_files(plan)
    return {
        what: [file for file in files if file.startswith(f"results/{dataset}/")]
        for what, files in found.items()
    }


class Explanations(View):
    """Inputs and parameters of the rules that explain."""

    def shown(self, wildcards: Wildcards) -> dict[str, Any]:
        """What the figure of a run's attributions shows."""
        genes = self.plan.config.values["attributions"]["figure_genes"]
        names = {"model": wildcards.model, "cell": wildcards.cell, "run": wildcards.run}
        return plain({**names, "figure_genes": genes})

    def vcf(self, wildcards: Wildcards) -> str | list[str]:
        """The variants."""
        return self.plan.config.values["variants"]["vcf"] or []

    def trained(self, wildcards: Wildcards) -> list[str]:
        """Weights and records of all runs of a model in a cell."""
        return [
            f"{folder}/{file}"
            for folder in self.folders(wildcards)
            for file in ("model.safetensors", "model.json")
        ]

    def folders(self, wildcards: Wildcards) -> list[str]:
        """Folders of all runs of a model in a cell."""
        return [
            f"results/{run.folder}"
            for run in self.plan.runs(wildcards.dataset)
            if (run.cell, run.model) == (wildcards.cell, wildcards.model)
        ]

    def variants(self, wildcards: Wildcards) -> dict[str, Any]:
        """How variants are scored."""
        section = self.plan.config.values["variants"]
        return plain({name: section[name] for name in ("percentile", "pass_bp")})

    def attributions(self, wildcards: Wildcards) -> dict[str, Any]:
        """Which genes are explained, and how."""
        section = self.plan.config.values["attributions"]
        kept = {name: value for name, value in section.items() if name != "models"}
        for name in ("figure_genes", "report"):
            kept.pop(name)
        return plain(kept)
