"""Parameters of rules, by their wildcards: plain values on which a job's results depend."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prismflow.plan.plain import plain
from prismflow.plan.view import View, Wildcards
from prismflow.settings.label_transform import label_transform
from prismflow.settings.tracks import Track

CONTACT_RANGE_BP = 200_000
"""Range in which contact partners are counted where the experiment names none."""


def store_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a dataset's settings that its stores depend on."""
    elements = settings.get("elements")
    return {
        "elements": elements and {**elements, "blacklist": settings["blacklist"]},
        "window_bp": settings["window_bp"],
        "features": settings["genes"]["features"],
        "promoter_activity": settings["genes"]["promoter_activity"],
        "label_column": settings["label"]["column"],
        "label_transform": label_transform(settings["label"]),
        "signal_dtype": settings["signal_dtype"],
        "chrom_aliases": settings["chrom_aliases"],
        "simulated": settings["simulate"] is not None,
    }


def window_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """A dataset's settings without those that only choose runs."""
    splits = {key: value for key, value in settings["splits"].items() if key != "use"}
    kept = {key: value for key, value in settings.items() if key != "experiments"}
    return {**kept, "splits": splits}


def simulation_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What a simulated genome depends on."""
    return plain({"cells": settings["cells"], **settings["simulate"]})


def track_settings(track: Track, modality: Mapping[str, Any]) -> dict[str, Any]:
    """What reading a track depends on: its row of the sheet and its modality's settings."""
    # Absent where it isn't set, so that no store is built again for the key's sake.
    sparse = ("double_padding", "regional_bp", "s3norm")
    return {
        **{name: modality[name] for name in sparse if modality.get(name) is not None},
        "modality": track.modality,
        "kind": track.kind,
        "path": track.path,
        "resolution_bp": track.resolution_bp,
        "normalisation": track.normalisation,
        "absent_chromosomes": track.absent_chromosomes,
        "missing": modality["missing"],
        "pseudocount": modality["pseudocount"],
        "where": track.where,
    }


class Parameters(View):
    """Each method gives one parameter of a rule."""

    def aliases(self, wildcards: Wildcards) -> dict[str, str]:
        """Chromosome name in a file -> name in the gene table."""
        return plain(self.dataset(wildcards)["chrom_aliases"])

    def inspected_track(self, wildcards: Wildcards) -> dict[str, Any]:
        """A track and the digest that its file should have."""
        track = self.track(wildcards)
        given = track.format if track.format_given else ""
        found = {**self._settings_of(track), "md5": track.md5, "format": given}
        reference = self.s3norm_reference_of(wildcards)
        if reference is not None:
            folds = sorted({run.fold for run in self.plan.runs(wildcards.dataset)})
            found["s3norm"] = {"reference": reference.path, "folds": folds}
        return plain(found)

    def tracks(self, wildcards: Wildcards) -> list[dict[str, Any]]:
        """All tracks of a cell, in channel order."""
        return plain([self._settings_of(track) for track in self.tracks_of(wildcards.cell)])

    def checks(self, wildcards: Wildcards) -> dict[str, Any]:
        """Tracks and summaries of all cells."""
        settings = self.dataset(wildcards)
        return plain(
            {
                "cells": {
                    cell: [self._settings_of(track) for track in self.tracks_of(cell)]
                    for cell in settings["cells"]
                },
                "summaries": {
                    cell: self.summaries_of(wildcards.dataset, cell) for cell in settings["cells"]
                },
                "stores": self.reports_of(wildcards.dataset),
                "label_columns": {
                    cell: settings["label"]["column"].replace("{cell}", cell)
                    for cell in settings["cells"]
                },
                "aliases": settings["chrom_aliases"],
                "label_transform": label_transform(settings["label"]),
            }
        )

    def windows(self, wildcards: Wildcards) -> dict[str, Any]:
        """What windows and splits depend on."""
        return plain(window_settings(self.dataset(wildcards)))

    def store(self, wildcards: Wildcards) -> dict[str, Any]:
        """What a store depends on beside its tracks."""
        return plain(store_settings(self.dataset(wildcards)))

    def model(self, wildcards: Wildcards) -> dict[str, Any]:
        """Resolved settings of a model in a cell."""
        return plain(self.plan.settings(wildcards.dataset, wildcards.cell, wildcards.model))

    def model_anywhere(self, wildcards: Wildcards) -> dict[str, Any]:
        """Resolved settings of a model in the first cell that has its signals."""
        return plain(self.plan.settings_anywhere(wildcards.dataset, wildcards.model))

    def fold(self, wildcards: Wildcards) -> str:
        """Fold of the run."""
        return self.run(wildcards).fold

    def seed(self, wildcards: Wildcards) -> int:
        """Seed of the run."""
        return self.run(wildcards).seed

    def scenarios(self, wildcards: Wildcards) -> dict[str, dict[str, Any]]:
        """Scenarios in which the run is tested."""
        return plain(self.plan.tested(self.run(wildcards)))

    def runs(self, wildcards: Wildcards) -> list[list[Any]]:
        """Cell, model, fold and seed of every run of the dataset."""
        return plain([run.key for run in self.plan.runs(wildcards.dataset)])

    def element_shapes(self, wildcards: Wildcards) -> dict[str, int]:
        """Number and length of the candidate enhancers that a model reads beside its window."""
        elements = self.dataset(wildcards)["elements"]
        return {
            "element_bp": elements["sequence_bp"] if elements else 0,
            "n_elements": elements["n_nearest"] if elements else 0,
        }

    def contact_range(self, wildcards: Wildcards) -> dict[str, Any]:
        """The cell's contacts, if it has any, and the range in which partners are counted."""
        entry = self.plan.config.experiments.get("hic_range", {"options": {}})
        track = self.contacts_of(wildcards.cell)
        return plain(
            {
                "track": None if track is None else self._settings_of(track),
                "aliases": self.dataset(wildcards)["chrom_aliases"],
                "range_bp": entry["options"].get("range_bp", CONTACT_RANGE_BP),
            }
        )

    def crispri(self, wildcards: Wildcards) -> dict[str, Any]:
        """The cell's tested pairs, its tracks of activity, and the folds whose genes are tested."""
        settings = self.dataset(wildcards)
        splits = settings["splits"]
        activity = self.activity_of(wildcards.dataset, wildcards.cell)
        found = self.plan.config.perturbations_of(wildcards.cell)
        return plain(
            {
                "benchmarks": [entry.as_dict() for entry in found],
                "tracks": [self._settings_of(track) for track in activity],
                "folds": splits["use"] or splits["folds"],
                "aliases": settings["chrom_aliases"],
            }
        )

    def pairs(self, wildcards: Wildcards) -> dict[str, Any]:
        """Tested pairs of the cell, and the tracks of activity and contact."""
        settings = self.dataset(wildcards)
        contacts = self.contacts_of(wildcards.cell)
        activity = self.activity_of(wildcards.dataset, wildcards.cell)
        found = self.plan.config.perturbations_of(wildcards.cell)
        return plain(
            {
                "benchmarks": [entry.as_dict() for entry in found],
                "tracks": [self._settings_of(track) for track in activity],
                "contacts": None if contacts is None else self._settings_of(contacts),
                "aliases": settings["chrom_aliases"],
            }
        )

    def _settings_of(self, track: Track) -> dict[str, Any]:
        return track_settings(track, self.plan.config.values["modalities"][track.modality])
