"""From the configuration to runs: which model is trained on what, and tested how.

A run is (dataset, cell, model, fold, seed). Experiments ask for runs and scenarios; two experiments
that ask for the same run share it.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from prismflow import schema
from prismflow.config import Config
from prismflow.errors import InputError
from prismflow.models import TABULAR


@dataclass(frozen=True, order=True)
class Run:
    """One training run; ``folder`` is where its files stand below results/."""

    dataset: str
    cell: str
    model: str
    fold: str
    seed: int

    @property
    def name(self) -> str:
        """The ``{run}`` wildcard."""
        return f"{self.fold}_seed{self.seed}"

    @property
    def folder(self) -> str:
        """Folder below the results folder."""
        return f"{self.dataset}/{self.cell}/{self.model}/{self.name}"


@dataclass(frozen=True)
class Experiment:
    """An experiment of one dataset with its runs."""

    id: str
    entry: dict[str, Any]
    models: tuple[str, ...]
    runs: tuple[Run, ...]


@dataclass(frozen=True)
class Plan:
    """All that the rules ask: experiments, runs, scenarios and resolved settings."""

    config: Config
    models: dict[str, dict[str, Any]]
    experiments: dict[tuple[str, str], Experiment]
    scenarios: dict[Run, tuple[str, ...]]
    skipped: tuple[str, ...]

    def runs(self, dataset: str) -> list[Run]:
        """Runs of a dataset, sorted."""
        return sorted(run for run in self.scenarios if run.dataset == dataset)

    def run(self, dataset: str, cell: str, model: str, name: str) -> Run:
        """The run with these wildcards."""
        fold, _, seed = name.rpartition("_seed")
        return Run(dataset, cell, model, fold, int(seed))

    def checkpoint(self, run: Run) -> str:
        """The released checkpoint that a run evaluates."""
        return self.models[run.model]["checkpoint"].format(cell=run.cell, seed=run.seed)

    def scenarios_json(self, run: Run) -> str:
        """Scenario definitions of a run as sorted JSON (a stable rule parameter)."""
        names = self.scenarios.get(run, ("full",))
        return json.dumps({name: self.config.scenarios[name] for name in names}, sort_keys=True)

    def modalities(self, cell: str, model: str) -> list[str] | None:
        """Signals that ``model`` reads in ``cell``; None if the cell lacks what it needs."""
        return _modalities(self.config, cell, self.models[model])

    def settings(self, dataset: str, cell: str, model: str) -> dict[str, Any]:
        """Resolved settings of a model in a cell; saved beside the trained weights."""
        entry = self.models[model]
        values = self.config.values
        modalities = self.modalities(cell, model) or []
        transforms = {
            name: entry.get("transforms", {}).get(name, values["modalities"][name]["transform"])
            for name in modalities
        }
        excluded = entry.get("exclude_gene_features", [])
        return {
            "model": model,
            "architecture": entry["architecture"],
            "hyperparameters": entry.get("hyperparameters", {}),
            "loss": entry.get("loss", {}),
            "modalities": modalities,
            "window_bp": entry["window_bp"],
            "transforms": transforms,
            "gene_features": [
                name for name in gene_features(values["datasets"][dataset]) if name not in excluded
            ],
            "training": (
                {}
                if entry["architecture"] in TABULAR
                else {**values["training"], **entry.get("training", {})}
            ),
        }

    def context(self, dataset: str) -> dict[str, Any]:
        """What figures and tables say about a dataset and its models."""
        settings = self.config.values["datasets"][dataset]
        names = sorted(
            {m for (d, _), e in self.experiments.items() if d == dataset for m in e.models}
        )
        modalities = list(self.config.values["modalities"])
        uses = {
            name: [self.modalities(cell, name) or [] for cell in settings["cells"]]
            for name in names
        }
        cells = {name: self.config.cells[name]["published_cell"] for name in settings["cells"]}
        return {
            "dataset": dataset,
            "title": settings["title"],
            "simulated": settings["simulate"] is not None,
            "target_label": settings["label"]["name"],
            "cells": settings["cells"],
            "published_cells": {name: published for name, published in cells.items() if published},
            "model_labels": {name: self.models[name]["label"] for name in names},
            "model_lengths": {name: self.models[name]["window_bp"] for name in names},
            "architectures": {name: self.models[name]["architecture"] for name in names},
            "model_modalities": {
                name: [m for m in modalities if any(m in used for used in uses[name])]
                for name in names
            },
            "modality_labels": {
                name: entry.get("label", name)
                for name, entry in self.config.values["modalities"].items()
            },
        }

    def request_json(self, dataset: str, identifier: str) -> str:
        """All that a figure or table depends on beside its input files, as sorted JSON."""
        experiment = self.experiments[dataset, identifier]
        entry = {key: v for key, v in experiment.entry.items() if key not in ("options", "vary")}
        options = {"id": identifier, **entry, **experiment.entry["options"]}
        options["models"] = experiment.models
        varied = experiment.entry.get("vary", {})
        if varied.get("window_bp"):
            options.setdefault("families", self._families(experiment, varied["models"]))
        runs = [[run.cell, run.model, run.fold, run.seed] for run in experiment.runs]
        request = {
            "experiment": options,
            "runs": runs,
            "context": self.context(dataset),
        }
        return json.dumps(request, sort_keys=True)

    def _families(self, experiment: Experiment, bases: list[str]) -> dict[str, list[str]]:
        """Label of a base model -> its variants by window, shortest first."""
        families = {}
        for base in bases:
            variants = [m for m in experiment.models if re.fullmatch(rf"{base}(_\d+bp)?", m)]
            variants.sort(key=lambda name: self.models[name]["window_bp"])
            families[self.models[base]["label"]] = variants
        return families

    def settings_json(self, dataset: str, cell: str, model: str) -> str:
        """Settings as sorted JSON (a stable rule parameter)."""
        return json.dumps(self.settings(dataset, cell, model), sort_keys=True)


def gene_features(dataset: dict[str, Any]) -> list[str]:
    """Names of the gene features that a dataset's store holds, in their order."""
    names = list(dataset["genes"]["features"])
    if dataset["genes"]["promoter_activity"] != "none":
        names.append("promoter_activity")
    return names


def store_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a dataset's settings that its stores depend on."""
    elements = settings.get("elements")
    return {
        "elements": elements and {**elements, "blacklist": settings["blacklist"]},
        "window_bp": settings["window_bp"],
        "features": settings["genes"]["features"],
        "promoter_activity": settings["genes"]["promoter_activity"],
        "label_column": settings["label"]["column"],
        "label_transform": settings["label"]["transform"],
        "signal_dtype": settings["signal_dtype"],
        "chrom_aliases": settings["chrom_aliases"],
        "simulated": settings["simulate"] is not None,
    }


def _modalities(config: Config, cell: str, entry: dict[str, Any]) -> list[str] | None:
    available = [
        name
        for name in config.modalities_of(cell)
        if config.values["modalities"][name]["kind"] != "peaks"
    ]
    wanted = entry["modalities"]
    if wanted == "none":
        return []
    if wanted == "available":
        return available or None
    return [m for m in available if m in wanted] if set(wanted) <= set(available) else None


def _variants(config: Config, entry: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Named variants that an experiment's ``vary`` asks for."""
    vary = entry.get("vary", {})
    for model in vary.get("models", []):
        base = config.models[model]
        for window_bp in vary.get("window_bp", []):
            if window_bp == base["window_bp"]:
                yield model, base
            else:
                label = f"{base['label']}, {window_bp:,} bp"
                yield f"{model}_{window_bp}bp", {**base, "window_bp": window_bp, "label": label}
        for subset in vary.get("modalities", []):
            names = [name for name in config.values["modalities"] if name in subset]
            labels = [config.values["modalities"][n].get("label", n) for n in names]
            label = f"{base['label']}: {' + '.join(labels)}"
            yield f"{model}_{'_'.join(names)}", {**base, "modalities": names, "label": label}


def make_plan(config: Config) -> Plan:
    """Expand experiments into runs.

    Raises:
        InputError: a model's window is longer than a dataset's store, or an experiment is empty.
    """
    models = dict(config.models)
    experiments: dict[tuple[str, str], Experiment] = {}
    scenarios: dict[Run, dict[str, None]] = {}
    skipped: dict[str, None] = {}
    for identifier in config.values["run"]["experiments"]:
        entry = config.experiments[identifier]
        variants = dict(_variants(config, entry))
        models.update(variants)
        names = tuple(dict.fromkeys([*entry["models"], *variants]))
        for dataset, settings in config.datasets.items():
            _check_windows(config, dataset, settings, {n: models[n] for n in names})
            runs = []
            for cell in settings["cells"]:
                for name in names:
                    if _modalities(config, cell, models[name]) is None:
                        wanted = models[name]["modalities"]
                        skipped[
                            f"{dataset}: {name} is left out in {cell}, which has "
                            f"{', '.join(config.modalities_of(cell)) or 'no signal'} (the model "
                            f"needs {wanted if isinstance(wanted, str) else ', '.join(wanted)})"
                        ] = None
                        continue
                    for fold in settings["splits"]["folds"]:
                        for seed in entry.get("seeds", config.values["seeds"]):
                            runs.append(Run(dataset, cell, name, fold, int(seed)))
            if not runs:
                raise InputError(
                    f"experiment {identifier!r} has no run in dataset {dataset!r}: no cell has the "
                    "modalities that its models need; remove it from `run.experiments`."
                )
            for run in runs:
                scenarios.setdefault(run, {"full": None}).update(dict.fromkeys(entry["scenarios"]))
            experiments[dataset, identifier] = Experiment(identifier, entry, names, tuple(runs))
    ordered = {run: tuple(sorted(names)) for run, names in scenarios.items()}
    plan = Plan(config, models, experiments, ordered, tuple(skipped))
    _check_checkpoints(plan)
    return plan


def _check_checkpoints(plan: Plan) -> None:
    for run in plan.scenarios:
        if "checkpoint" in plan.models[run.model] and not os.path.exists(plan.checkpoint(run)):
            sources = [*plan.config.files, plan.config.values["sheets"]["models"]]
            raise InputError(
                f"{schema.where(sources, (run.model, 'checkpoint'))}: expected a checkpoint at "
                f"{plan.checkpoint(run)} for cell {run.cell} and seed {run.seed}, found none; "
                "correct the path or put the file there."
            )


def _check_windows(
    config: Config, name: str, dataset: dict[str, Any], models: dict[str, dict[str, Any]]
) -> None:
    for model, entry in models.items():
        if entry["window_bp"] > dataset["window_bp"]:
            where = schema.where(
                [*config.files, config.values["sheets"]["models"]], (model, "window_bp")
            )
            raise InputError(
                f"{where}: model {model} asks for windows of {entry['window_bp']:,} bp, but the "
                f"store of dataset {name} holds {dataset['window_bp']:,} bp; raise "
                f"`datasets.{name}.window_bp` or lower the model's `window_bp`."
            )
