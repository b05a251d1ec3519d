"""What figures, tables, claims and the report are asked for, beside the files that they read."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from prismflow.labels import model_label
from prismflow.plan.explanations import shown_in_report
from prismflow.plan.needs import needs_of_experiment
from prismflow.plan.plain import plain
from prismflow.plan.runs import Experiment, Plan
from prismflow.plan.view import View, Wildcards
from prismflow.settings.architectures import class_of
from prismflow.settings.claims import compared_models, counted_models, experiments_of


def context(plan: Plan, dataset: str, names: Collection[str]) -> dict[str, Any]:
    """What figures and tables say about a dataset and these of its models.

    A model that one experiment adds is no business of the others: their figures stay as they are.
    Nor is a modality for which no cell of the dataset has a track.
    """
    settings = plan.config.datasets[dataset]
    names = sorted(names)
    cells = {name: plan.config.cells[name]["published_cell"] for name in settings["cells"]}
    known = plan.config.values["modalities"]
    there = {name for cell in settings["cells"] for name in plan.config.modalities_of(cell)}
    modalities = {name: entry for name, entry in known.items() if name in there}
    return {
        "dataset": dataset,
        "title": settings["title"],
        "simulated": settings["simulate"] is not None,
        "target_label": settings["label"]["name"],
        "cells": settings["cells"],
        "published_cells": {name: published for name, published in cells.items() if published},
        "published_data": settings["published_data"],
        "model_order": [name for name in plan.models if name in names],
        "model_labels": {name: plan.models[name]["label"] for name in names},
        "model_lengths": {name: plan.models[name]["window_bp"] for name in names},
        "architectures": {name: plan.models[name]["architecture"] for name in names},
        "model_modalities": {name: _read_anywhere(plan, dataset, name) for name in names},
        "excluded_features": {
            name: plan.models[name].get("exclude_gene_features", []) for name in names
        },
        "modality_labels": {name: entry.get("label", name) for name, entry in modalities.items()},
    }


def _read_anywhere(plan: Plan, dataset: str, model: str) -> list[str]:
    """Signals that a model reads in any cell of a dataset, in channel order."""
    cells = plan.config.datasets[dataset]["cells"]
    read = {name for cell in cells for name in plan.modalities(cell, model) or []}
    return [name for name in plan.config.values["modalities"] if name in read]


def models_of(plan: Plan, dataset: str) -> set[str]:
    """Models of all experiments of a dataset."""
    return {model for experiment in plan.experiments_of(dataset) for model in experiment.models}


def _named(value: Any) -> Iterator[str]:
    """All texts in a request, keys too: among them are the names of models."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield str(key)
            yield from _named(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _named(item)
    elif isinstance(value, str):
        yield value


def experiment_request(plan: Plan, dataset: str, experiment: Experiment) -> dict[str, Any]:
    """All that an experiment's figure, table and comparisons depend on beside their input files.

    Returns:
        ``experiment`` (its entry and options), ``runs`` (cell, model, fold, seed), ``context``,
        ``compared`` (whether it has a table of comparisons), and what its figure and table need
        of the plan: ``families``, ``context.model_settings``.
    """
    entry = {key: v for key, v in experiment.entry.items() if key not in ("options", "vary")}
    options = {
        "id": experiment.id,
        **entry,
        **experiment.entry["options"],
        "models": experiment.models,
        "scenarios": experiment.scenarios,
        "scenario_settings": {name: plan.definitions[name] for name in experiment.scenarios},
        "references": plan.references(experiment),
    }
    if experiment.points:
        options["points"] = experiment.points
    named = set(_named([options, experiment.entry.get("vary")]))
    known = context(plan, dataset, named & models_of(plan, dataset))
    needs = needs_of_experiment(experiment.entry)
    if "model_settings" in needs:
        models = experiment.models
        known["model_settings"] = {m: plan.settings_anywhere(dataset, m) for m in models}
    request = {
        "experiment": options,
        "runs": [run.key for run in experiment.runs],
        "context": known,
        "compared": plan.compares(experiment),
    }
    if "families" in needs:
        request["families"] = options.get("families") or families(plan, experiment)
    return plain(request)


def families(plan: Plan, experiment: Experiment) -> dict[str, list[str]]:
    """Label of a varied model -> its variants by the varied number, smallest first."""
    varied = experiment.entry.get("vary", {}).get("models", [])
    found: dict[str, list[str]] = {}
    for point in sorted(experiment.points, key=lambda point: point["x"]):
        if point["base"] in varied:
            found.setdefault(plan.models[point["base"]]["label"], []).append(point["model"])
    return found


class Requests(View):
    """Each method gives what one rule's job is asked for."""

    def context(self, wildcards: Wildcards) -> dict[str, Any]:
        """What a figure of the data alone says: nothing of models."""
        return plain(context(self.plan, wildcards.dataset, ()))

    def of_experiment(self, wildcards: Wildcards) -> dict[str, Any]:
        """See :func:`experiment_request`."""
        return experiment_request(self.plan, wildcards.dataset, self.experiment(wildcards))

    def title(self, wildcards: Wildcards) -> str:
        """Title of the experiment."""
        return self.experiment(wildcards).entry["title"]

    def caption(self, wildcards: Wildcards) -> str:
        """Caption of the experiment."""
        return self.experiment(wildcards).entry["caption"]

    def category(self, wildcards: Wildcards) -> str:
        """Part of the report in which the experiment stands."""
        return self.experiment(wildcards).entry["category"]

    def place(self, wildcards: Wildcards) -> str:
        """Place in the paper of what the experiment repeats."""
        return self.experiment(wildcards).entry["paper"] or "beyond the paper"

    def claims(self, wildcards: Wildcards, content: Mapping[str, Any]) -> dict[str, Any]:
        """Runs of the experiments that the claims need, as far as these are run here.

        Args:
            content: the claims file.
        """
        dataset = wildcards.dataset
        known = {e.id: e for e in self.plan.experiments_of(dataset)}
        needed = {name: known[name] for name in experiments_of(dict(content)) if name in known}
        return plain(
            {
                "experiments": {
                    name: {"runs": [run.key for run in found.runs], "points": found.points}
                    for name, found in needed.items()
                },
                "context": self._of_claims(dataset, compared_models(dict(content))),
                "classes": {name: class_of(name) for name in counted_models(dict(content))},
            }
        )

    def _of_claims(self, dataset: str, named: set[str]) -> dict[str, Any]:
        """What verdicts depend on, and models as their table names them; no other label.

        ``named``: models that a claim names, planned or not, as what was not tested is named too.
        """
        models = models_of(self.plan, dataset)
        known = context(self.plan, dataset, models)
        points = [point for e in self.plan.experiments_of(dataset) for point in e.points or ()]
        models |= {str(point["base"]) for point in points} | named
        kept = ("dataset", "title", "simulated", "model_lengths")
        names = {model: model_label(model, known) for model in sorted(models)}
        return {**{key: known[key] for key in kept}, "names": names}

    def whole_context(self, wildcards: Wildcards) -> dict[str, Any]:
        """What a table of all models of a dataset says beside its numbers."""
        dataset = wildcards.dataset
        return plain(context(self.plan, dataset, models_of(self.plan, dataset)))

    def comparisons(self, wildcards: Wildcards) -> dict[str, Any]:
        """What the comparisons of an experiment depend on: no title and no label."""
        request = self.of_experiment(wildcards)
        wanted = ("id", "models", "scenarios", "references", "published_experiment")
        experiment = request["experiment"]
        return {
            "experiment": {key: experiment[key] for key in wanted if key in experiment},
            "runs": request["runs"],
            "published_cells": request["context"]["published_cells"],
        }

    def measures(self, wildcards: Wildcards) -> dict[str, Any]:
        """What numbers made from an experiment's predictions depend on: no title and no label."""
        experiment = self.experiment(wildcards)
        return plain(
            {
                "experiment": {"id": experiment.id, "models": experiment.models},
                "runs": [run.key for run in experiment.runs],
                "cells": list(dict.fromkeys(run.cell for run in experiment.runs)),
            }
        )

    def report(self, wildcards: Wildcards) -> dict[str, Any]:
        """What the report's front page says about a dataset beside what its files hold."""
        settings = self.dataset(wildcards)
        simulated = settings["simulate"] is not None
        source = "simulated" if simulated else "not recorded (local file)"
        return plain(
            {
                "dataset": wildcards.dataset,
                "title": settings["title"],
                "simulated": simulated,
                "cells": settings["cells"],
                "device": self.plan.config.values["run"]["device"],
                "experiments": [
                    _described(found) for found in self.plan.experiments_of(wildcards.dataset)
                ],
                "left_out": self.plan.notes(wildcards.dataset),
                **shown_in_report(self.plan, wildcards.dataset),
                "tracks": [
                    {"cell": cell, "modality": track.modality, "path": track.path, "source": source}
                    for cell in settings["cells"]
                    for track in self.tracks_of(cell)
                ],
            }
        )


def _described(experiment: Experiment) -> dict[str, Any]:
    words = {key: experiment.entry[key] for key in ("title", "caption", "paper")}
    return {"id": experiment.id, **words, "figure": experiment.entry["renderer"] is not None}
