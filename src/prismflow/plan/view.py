"""What a rule's wildcards name in the plan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from prismflow.plan.run import Run
from prismflow.plan.runs import Experiment, Plan
from prismflow.settings.kinds import KINDS
from prismflow.settings.tracks import Track

ACTIVITY = ("h3k27ac", "dnase")
"""Signals of an element's activity where the dataset's `elements` name none."""

Wildcards = Any
"""Snakemake's wildcards: ``dataset``, ``cell``, ... as attributes, those that the rule has."""


@dataclass(frozen=True)
class View:
    """The plan as rules ask it; what rules of one theme ask stands in a class below this one."""

    plan: Plan

    def dataset(self, wildcards: Wildcards) -> dict[str, Any]:
        """Settings of the dataset."""
        return self.plan.config.datasets[wildcards.dataset]

    def experiment(self, wildcards: Wildcards) -> Experiment:
        """The experiment."""
        return self.plan.experiments[wildcards.dataset, wildcards.experiment]

    def run(self, wildcards: Wildcards) -> Run:
        """The run."""
        return self.plan.run(wildcards.dataset, wildcards.cell, wildcards.model, wildcards.run)

    def track(self, wildcards: Wildcards) -> Track:
        """The row of the tracks sheet."""
        return self.plan.config.tracks[wildcards.cell, wildcards.modality]

    def s3norm_reference_of(self, wildcards: Wildcards) -> Track | None:
        """The track that S3norm makes a track like; None where it isn't asked for."""
        config = self.plan.config
        chosen = config.values["modalities"][wildcards.modality].get("s3norm")
        return config.tracks[chosen["reference"], wildcards.modality] if chosen else None

    def tracks_of(self, cell: str) -> list[Track]:
        """A cell's rows of the tracks sheet, in channel order."""
        config = self.plan.config
        return [config.tracks[cell, modality] for modality in config.modalities_of(cell)]

    def contacts_of(self, cell: str) -> Track | None:
        """The first of a cell's tracks that holds contacts."""
        kinds = self.plan.config.values["modalities"]
        tracks = self.tracks_of(cell)
        return next((t for t in tracks if KINDS[kinds[t.modality]["kind"]].needs_resolution), None)

    def activity_of(self, dataset: str, cell: str) -> list[Track]:
        """Tracks whose geometric mean is an element's activity; none unless the cell has all."""
        elements = self.plan.config.datasets[dataset]["elements"]
        names = elements["activity"] if elements else ACTIVITY
        tracks = self.plan.config.tracks
        found = [tracks[cell, name] for name in names if (cell, name) in tracks]
        return found if len(found) == len(names) else []

    def reports_of(self, dataset: str) -> dict[str, str]:
        """Cell -> file that says what was read and skipped for its store."""
        cells = self.plan.config.datasets[dataset]["cells"]
        return {cell: f"results/{dataset}/{cell}/inputs.json" for cell in cells}

    def summaries_of(self, dataset: str, cell: str) -> dict[str, str]:
        """Modality -> file that says what was found in a cell's track of it."""
        folder = f"results/{dataset}/tracks/{cell}"
        return {track.modality: f"{folder}/{track.modality}.json" for track in self.tracks_of(cell)}
