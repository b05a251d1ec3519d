"""Bundles and predictions as rules ask for them."""

from __future__ import annotations

import os
from typing import Any

from prismflow.errors import InputError
from prismflow.plan.plain import plain
from prismflow.plan.run import Run
from prismflow.plan.runs import Plan
from prismflow.plan.view import View, Wildcards
from prismflow.settings import yaml_files


def scale_beside(genes: str) -> str:
    """Where the scale of a gene table's lengths stands."""
    return f"{os.path.splitext(genes)[0]}.scale.tsv"


def summary_beside(genes: str) -> str:
    """Where it stands what was kept of an annotation, and what was not."""
    return f"{os.path.splitext(genes)[0]}.summary.tsv"


def prediction_files(plan: Plan, dataset: str) -> list[str]:
    """Tables of predictions that a dataset's runs make."""
    asked = plan.config.values["predictions"]
    return [
        f"results/{dataset}/predictions/{name}.tsv"
        for name, entry in asked.items()
        if entry["dataset"] == dataset
    ]


def all_predictions(plan: Plan) -> list[str]:
    """Tables of predictions of every dataset to run."""
    return [file for dataset in plan.config.datasets for file in prediction_files(plan, dataset)]


def all_bundles(plan: Plan) -> list[str]:
    """A bundle per dataset, cell and model that is trained."""
    runs = {run for dataset in plan.config.datasets for run in plan.runs(dataset)}
    return sorted({f"results/{run.dataset}/{run.cell}/{run.model}/bundle.zip" for run in runs})


def check_trained(plan: Plan) -> None:
    """Refuse predictions by a model that is not trained in their cell.

    Raises:
        InputError: names the models that are.
    """
    for name, entry in plan.config.values["predictions"].items():
        if entry["dataset"] not in plan.config.datasets:
            continue
        trained = {(run.cell, run.model) for run in plan.runs(entry["dataset"])}
        if (entry["cell"], entry["model"]) not in trained:
            known = sorted(model for cell, model in trained if cell == entry["cell"])
            raise InputError(
                f"{yaml_files.where(plan.config.files, ('predictions', name, 'model'))}: expected "
                f"a model that is trained in {entry['cell']} ({', '.join(known) or 'none'}), found "
                f"{entry['model']!r}; add it to an experiment of `run.experiments`."
            )


class Predictions(View):
    """Each method gives one input or parameter of a rule."""

    def entry(self, wildcards: Wildcards) -> dict[str, Any]:
        """The prediction's entry in the configuration."""
        found: dict[str, Any] = self.plan.config.values["predictions"][wildcards.prediction]
        return found

    def runs(self, wildcards: Wildcards) -> list[Run]:
        """Runs of a model in a cell."""
        return [
            run
            for run in self.plan.runs(wildcards.dataset)
            if (run.cell, run.model) == (wildcards.cell, wildcards.model)
        ]

    def run_files(self, wildcards: Wildcards) -> list[str]:
        """Weights, settings and metrics of all runs of a model in a cell."""
        names = ("model.safetensors", "model.json", "metrics.tsv")
        return [f"results/{run.folder}/{n}" for run in self.runs(wildcards) for n in names]

    def folders(self, wildcards: Wildcards) -> list[str]:
        """Folders of these runs."""
        return [f"results/{run.folder}" for run in self.runs(wildcards)]

    def summaries(self, wildcards: Wildcards) -> list[str]:
        """What was found in the tracks of the training's cell."""
        return list(self.summaries_of(wildcards.dataset, wildcards.cell).values())

    def scale(self, wildcards: Wildcards) -> list[str]:
        """The scale of the lengths, where it stands beside the gene table."""
        genes = self.dataset(wildcards)["genes"]["path"]
        own = self.plan.config.values["own_genes"]
        path = scale_beside(genes)
        made = own is not None and own["path"] == genes
        return [path] if made or os.path.exists(path) else []

    def sources(self, wildcards: Wildcards) -> list[dict[str, Any]]:
        """Where the tracks of the training's cell come from."""
        return plain(
            [
                {"modality": track.modality, "source": track.portal or "local file",
                 "accession": track.accession, "assembly": track.assembly}
                for track in self.tracks_of(wildcards.cell)
            ]
        )  # fmt: skip

    def bundle(self, wildcards: Wildcards) -> str:
        """The bundle that a prediction is made with."""
        entry = self.entry(wildcards)
        return f"results/{wildcards.dataset}/{entry['cell']}/{entry['model']}/bundle.zip"

    def genes(self, wildcards: Wildcards) -> str:
        """Genes to predict."""
        found: str = self.entry(wildcards)["genes"]
        return found

    def genome(self, wildcards: Wildcards) -> str:
        """The FASTA."""
        found: str = self.entry(wildcards)["genome"] or self.dataset(wildcards)["genome"]
        return found

    def track_files(self, wildcards: Wildcards) -> list[str]:
        """Tracks of the cell that is predicted in."""
        return [track.path for track in self.tracks_of(self._cell(wildcards))]

    def tracks(self, wildcards: Wildcards) -> dict[str, dict[str, str]]:
        """Modality -> file and policy for absent chromosomes."""
        return plain(
            {
                track.modality: {
                    "path": track.path, "absent_chromosomes": track.absent_chromosomes
                }
                for track in self.tracks_of(self._cell(wildcards))
            }
        )  # fmt: skip

    def options(self, wildcards: Wildcards) -> dict[str, Any]:
        """Cell, TSS rule, strands and names of chromosomes."""
        entry = self.entry(wildcards)
        return plain(
            {
                "cell": self._cell(wildcards),
                "tss_rule": entry["tss"],
                "both_strands": entry["both_strands"],
                "aliases": self.dataset(wildcards)["chrom_aliases"],
            }
        )

    def _cell(self, wildcards: Wildcards) -> str:
        entry = self.entry(wildcards)
        return str(entry["tracks"] or entry["cell"])
