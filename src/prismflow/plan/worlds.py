"""Worlds of known confounding: which there are, and all that each depends on."""

from __future__ import annotations

from typing import Any

from prismflow.plan.parameters import track_settings, window_settings
from prismflow.plan.plain import plain
from prismflow.plan.runs import Plan
from prismflow.plan.view import View, Wildcards

EXPERIMENT = "confounding"
FOLD = "fold11"
"""Simulated genomes have the split of this one fold."""
READS_AS = "prism_n0"
"""A world holds the tracks that this model reads."""


def worlds_of(plan: Plan, dataset: str) -> dict[str, dict[str, Any]]:
    """Name of a world -> kappa of its training genes, replicate and models."""
    if (dataset, EXPERIMENT) not in plan.experiments:
        return {}
    experiment = plan.experiments[dataset, EXPERIMENT]
    worlds = {}
    for block in experiment.entry["options"]["grid"]:
        kappa = f"{block['training']:g}".replace("-", "m").replace(".", "p")
        for replicate in block["replicates"]:
            worlds[f"train{kappa}_replicate{replicate}"] = {
                "training": block["training"],
                "replicate": replicate,
                "models": block.get("models", experiment.models),
            }
    return worlds


class Worlds(View):
    """Parameters of the rules round worlds."""

    def all(self, wildcards: Wildcards) -> dict[str, dict[str, Any]]:
        """Worlds of a dataset by name."""
        return plain(worlds_of(self.plan, wildcards.dataset))

    def settings(self, wildcards: Wildcards) -> dict[str, Any]:
        """All that a world depends on; the gene feature made from the signals is left out of it."""
        dataset = wildcards.dataset
        settings = window_settings(self.dataset(wildcards))
        world = worlds_of(self.plan, dataset)[wildcards.world]
        options = self.plan.experiments[dataset, EXPERIMENT].entry["options"]
        cell = settings["cells"][0]
        return plain(
            {
                "dataset": {
                    **settings,
                    "cells": [cell],
                    "genes": {**settings["genes"], "promoter_activity": "none"},
                    "elements": None,
                },
                "tracks": self._tracks(cell, options.get("regional_bp") or {}),
                "simulate": options["simulate"],
                "training": world["training"],
                "test": options["test"],
                "seed": world["replicate"],
                "fold": FOLD,
                "models": [self._model(dataset, cell, model) for model in world["models"]],
            }
        )

    def _tracks(self, cell: str, regional_bp: dict[str, Any]) -> list[dict[str, Any]]:
        config = self.plan.config
        modalities = config.values["modalities"]
        # The worlds' own regional level leaves the stores of the other experiments as they are.
        levels = {name: {"regional_bp": level} for name, level in regional_bp.items()}
        return [
            {
                **track_settings(
                    config.tracks[cell, name], {**modalities[name], **levels.get(name, {})}
                ),
                "path": "",
                "where": "",
            }
            for name in self.plan.modalities(cell, READS_AS) or []
        ]

    def _model(self, dataset: str, cell: str, model: str) -> dict[str, Any]:
        settings = self.plan.settings(dataset, cell, model)
        names = [name for name in settings["gene_features"] if name != "promoter_activity"]
        return {**settings, "gene_features": names}
