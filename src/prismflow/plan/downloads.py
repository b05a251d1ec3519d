"""External files that the datasets to run read: where each comes from and what is made of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prismflow.plan.plain import plain
from prismflow.plan.rules import escaped
from prismflow.plan.runs import Plan
from prismflow.plan.view import Wildcards
from prismflow.settings import shared_files
from prismflow.settings.cell_labels import label_tracks, samples_of
from prismflow.settings.shared_files import Reference

TRACK_KEYS = (
    "cell", "modality", "portal", "accession", "url", "md5", "size_bytes", "assembly",
)  # fmt: skip
"""Columns of the tracks sheet on which a download depends."""


class Downloads:
    """Rows of the sheets as the rules of downloads ask them.

    Attributes:
        tracks: path -> the first row of the tracks sheet that brings it.
        references: path -> row of the references sheet.
        contacts, elements: cell -> files of the authors that hold them.
        gene_table: settings of the gene table that is joined here, or None.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        rows = reversed(plan.config.tracks.values())
        self.tracks = {track.path: track for track in rows if track.downloaded}
        self.tracks |= label_tracks(plan.config.cells)
        self.references = {entry.path: entry for entry in plan.config.references.values()}
        self.gene_table: dict[str, Any] | None = plan.config.values["gene_table"]
        self.contacts = shared_files.released_contacts(plan.config.references)
        self.elements = shared_files.released_elements(plan.config.references)

    def wanted(self) -> list[str]:
        """Everything external that the datasets to run read."""
        config = self.plan.config
        paths: dict[str, None] = {}
        for dataset in config.datasets.values():
            paths |= dict.fromkeys(
                (dataset["genome"], dataset["genes"]["path"], dataset["blacklist"])
            )
            for cell in dataset["cells"]:
                names = config.modalities_of(cell)
                paths |= dict.fromkeys(config.tracks[cell, name].path for name in names)
                paths |= dict.fromkeys(entry.path for entry in config.perturbations_of(cell))
                samples = samples_of(config.cells[cell])
                paths |= dict.fromkeys(file for files in samples for file in files)
        made = self._made()
        return [path for path in paths if path in made]

    def _made(self) -> set[str]:
        table = [] if self.gene_table is None else [self.gene_table["path"]]
        contacts = map(shared_files.released_contacts_path, self.contacts)
        elements = map(shared_files.released_elements_path, self.elements)
        return {*self.tracks, *self.references, *table, *contacts, *elements}

    def track_names(self) -> str:
        """Pattern of the names of downloaded tracks."""
        return escaped(Path(path).name for path in self.tracks)

    def reference_names(self, archived: bool) -> str:
        """Pattern of the names of references that stand in an archive, or that don't."""
        return escaped(
            Path(path).name
            for path, entry in self.references.items()
            if bool(entry.archive) == archived
        )

    def track(self, wildcards: Wildcards) -> dict[str, Any]:
        """What the job must know of a track; where its row stands is looked up when it fails."""
        path = f"resources/{wildcards.portal}/{wildcards.name}"
        track = self.tracks[path]
        return plain(
            {
                **{key: getattr(track, key) for key in TRACK_KEYS},
                "format": "gzip" if path.endswith(".gz") else track.format,
                "extension": path.partition(".")[2],
                "biosample": self.plan.config.cells[track.cell]["biosample"],
                "sheet": self.plan.config.values["sheets"][
                    "cells" if track.modality == "label" else "tracks"
                ],
            }
        )

    def row(self, wildcards: Wildcards) -> Reference:
        """Row of the references sheet."""
        return self.references[f"{shared_files.FOLDER}/{wildcards.name}"]

    def reference(self, wildcards: Wildcards) -> dict[str, Any]:
        """What the job must know of a reference."""
        return plain(self.row(wildcards).as_dict())

    def local(self, wildcards: Wildcards) -> str | list[str]:
        """The user's own copy of a reference."""
        return self.row(wildcards).local or []

    def archive(self, wildcards: Wildcards) -> str:
        """The archive that holds a reference."""
        return self.plan.config.references[self.row(wildcards).archive].path

    def contacts_of(self, wildcards: Wildcards) -> list[str]:
        """Files of the authors that hold a cell's contacts."""
        return self.contacts[wildcards.cell]

    def elements_of(self, wildcards: Wildcards) -> str:
        """File of the authors that holds a cell's candidate elements."""
        return self.elements[wildcards.cell]

    def gene_table_inputs(self) -> dict[str, str]:
        """Use -> path of the published tables that the gene table is joined from."""
        if self.gene_table is None:
            return {}
        cells = shared_files.gene_table_cells(self.plan.config.values)
        rows = shared_files.gene_table_rows(self.gene_table, cells)
        return {use: self.plan.config.references[name].path for use, name in rows.items()}

    def gene_table_settings(self) -> dict[str, Any]:
        """What the gene table depends on beside the published tables; none where none is made."""
        if self.gene_table is None:
            return {}
        cells = shared_files.gene_table_cells(self.plan.config.values)
        return plain(
            {
                "cells": {cell: self.gene_table["cells"][cell] for cell in cells},
                "expected_genes": self.gene_table["expected_genes"],
            }
        )
