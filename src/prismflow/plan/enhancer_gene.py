"""Which runs score the element-gene pairs of a cell, and the files that this ends in."""

from __future__ import annotations

from typing import Any

from prismflow.errors import InputError
from prismflow.plan.plain import plain
from prismflow.plan.run import Run
from prismflow.plan.runs import Plan
from prismflow.plan.view import View, Wildcards
from prismflow.settings import yaml_files
from prismflow.settings.architectures import ARCHITECTURES

TABLE, BROWSER = "enhancer_gene.tsv.gz", "enhancer_gene.bedpe"


def scoring_runs(plan: Plan, dataset: str) -> list[Run]:
    """Runs of the models that `enhancer_gene` asks for.

    Raises:
        InputError: a named model that nothing trains, or whose window holds no distant element.
    """
    section = plan.config.values["enhancer_gene"]
    runs = plan.runs(dataset)
    trained = {run.model for name in plan.config.datasets for run in plan.runs(name)}
    for position, name in enumerate(section["models"]):
        where = yaml_files.where(plan.config.files, ("enhancer_gene", "models", position))
        if name not in trained:
            raise InputError(
                f"{where}: expected a model that the experiments train "
                f"({', '.join(sorted(trained))}), found {name!r}; name one of them, or run an "
                "experiment with it."
            )
        if not any(_far(plan, dataset, name) for dataset in plan.config.datasets):
            raise InputError(
                f"{where}: expected models whose windows are longer than "
                f"{section['longer_than_bp']} bp, found {name!r} without elements in its "
                f"{plan.models[name]['window_bp']} bp; leave it out or lower "
                "`enhancer_gene.longer_than_bp`."
            )
    wanted = section["models"] or [name for name in trained if _far(plan, dataset, name)]
    return [run for run in runs if run.model in wanted and _has_pairs(plan, run)]


def _far(plan: Plan, dataset: str, model: str) -> bool:
    """Whether a model reads distant elements: in a long window, or as a list of candidates."""
    entry = plan.models[model]
    listed = bool(plan.config.datasets[dataset]["elements"])
    if listed and ARCHITECTURES[entry["architecture"]].reads_elements:
        return True
    return entry["window_bp"] > plan.config.values["enhancer_gene"]["longer_than_bp"]


def _has_pairs(plan: Plan, run: Run) -> bool:
    elements = plan.config.datasets[run.dataset]["elements"]
    return bool(elements or plan.config.perturbations_of(run.cell))


def enhancer_gene_files(plan: Plan) -> list[str]:
    """What the target `enhancer_gene` makes: a table and a file for browsers per cell.

    Raises:
        InputError: no dataset has elements or tested pairs; see :func:`scoring_runs`.
    """
    found = []
    for dataset, settings in plan.config.datasets.items():
        scored = {run.cell for run in scoring_runs(plan, dataset)}
        for cell in settings["cells"]:
            if settings["elements"] or cell in scored:
                found += [f"results/{dataset}/{cell}/{file}" for file in (TABLE, BROWSER)]
    if not found:
        raise InputError(
            f"{yaml_files.where(plan.config.files, ('datasets',))}: expected a dataset with "
            "`elements`, or tested pairs of its cells, found none; declare `elements` or add a row "
            "to the sheet of perturbations."
        )
    return found


class EnhancerGenes(View):
    """Inputs and parameters of the rules that score element-gene pairs."""

    def runs(self, wildcards: Wildcards) -> list[Run]:
        """Runs that score the pairs of a cell."""
        return [r for r in scoring_runs(self.plan, wildcards.dataset) if r.cell == wildcards.cell]

    def scores(self, wildcards: Wildcards) -> list[str]:
        """Their tables."""
        return [f"results/{run.folder}/enhancer_gene.tsv.gz" for run in self.runs(wildcards)]

    def by_model(self, wildcards: Wildcards) -> dict[str, list[str]]:
        """Model -> tables of its runs."""
        found: dict[str, list[str]] = {}
        for run in self.runs(wildcards):
            found.setdefault(run.model, []).append(f"results/{run.folder}/enhancer_gene.tsv.gz")
        return found

    def of_cell(self, wildcards: Wildcards) -> str | list[str]:
        """The table of a cell where a model scores its pairs."""
        cell = f"results/{wildcards.dataset}/{wildcards.cell}"
        return f"{cell}/{TABLE}" if self.runs(wildcards) else []

    def contacts(self, wildcards: Wildcards) -> str | list[str]:
        """The cell's map of contacts."""
        track = self.contacts_of(wildcards.cell)
        return [] if track is None else track.path

    def split(self, wildcards: Wildcards) -> dict[str, Any]:
        """What a run's scores depend on."""
        return plain({"split": self.plan.config.values["enhancer_gene"]["split"]})
