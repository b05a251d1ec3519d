"""The gene table of an annotation, as rules ask for it."""

from __future__ import annotations

import os
from typing import Any

from prismflow.errors import InputError
from prismflow.plan.plain import plain
from prismflow.plan.runs import Plan
from prismflow.settings import yaml_files
from prismflow.settings.cell_labels import label_tracks, samples_of

_OPTIONS = {
    "tss": "tss_rule", "tss_bed": "tss_bed", "types": "kinds", "split": "split",
    "z_scores": "z_scores", "half_window_bp": "half_window_bp", "aliases": "aliases",
    "unit": "unit",
}  # fmt: skip


def inputs_beside(genes: str) -> str:
    """Where it stands what every file behind a gene table gave, of which kept and skipped."""
    return f"{os.path.splitext(genes)[0]}.inputs.tsv"


def made_for(plan: Plan, dataset: str) -> bool:
    """Whether the workflow makes a dataset's gene table of an annotation."""
    own = plan.config.values["own_genes"]
    return own is not None and own["path"] == plan.config.datasets[dataset]["genes"]["path"]


class OwnGenes:
    """What the one rule of this theme reads and depends on.

    Attributes:
        settings: the part ``own_genes`` of the configuration, or None.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.settings: dict[str, Any] | None = plan.config.values["own_genes"]

    def labels(self) -> dict[str, list[str]]:
        """Cell -> files of its labels, of the cells that datasets with this gene table have.

        Raises:
            InputError: a cell without a label.
        """
        if self.settings is None:
            return {}
        config = self.plan.config
        read = [
            cell
            for dataset in config.datasets.values()
            if dataset["genes"]["path"] == self.settings["path"]
            for cell in dataset["cells"]
        ]
        found = {}
        for cell in dict.fromkeys(read):
            row = config.cells[cell]
            files = [",".join(files) for files in samples_of(row)]
            if not files:
                raise InputError(
                    f"{row.where}: expected a quantification or bigWig in column 'labels' for "
                    f"{cell}, whose label `own_genes` makes, found none; fill it in (replicates "
                    "parted by |)."
                )
            found[cell] = files
        return found

    def files(self) -> list[str]:
        """All that the table is made of, beside annotation and genome.

        Raises:
            InputError: a cell without a label, or a file that is not there.
        """
        if self.settings is None:
            return []
        rows = self.plan.config.cells
        labels = {
            part: rows[cell].where
            for cell, files in self.labels().items()
            for file in files
            for part in file.split(",")
        }
        bed = [self.settings["tss_bed"]] if self.settings["tss_bed"] else []
        own = {
            path: yaml_files.where(self.plan.config.files, ("own_genes", key))
            for key in ("gtf", "genome", "tss_bed")
            if (path := self.settings[key])
        }
        downloaded = label_tracks(rows)
        for path, where in (own | labels).items():
            if path not in downloaded and not os.path.exists(path):
                raise InputError(
                    f"{where}: expected a file at {path}, found none (looked in {os.getcwd()}); "
                    "correct the path or put the file there."
                )
        return [*labels, *bed]

    def options(self) -> dict[str, Any]:
        """Labels and the options of :func:`prismflow.data.own_genes.make_gene_table`."""
        if self.settings is None:
            return {}
        named = {ours: self.settings[key] for key, ours in _OPTIONS.items()}
        return plain({"labels": self.labels(), **named})
