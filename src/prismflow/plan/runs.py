"""From the configuration to runs: which model is trained on what, and tested how.

A run is (dataset, cell, model, fold, seed). Experiments ask for runs and scenarios; two experiments
that ask for the same run share it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from prismflow.errors import InputError
from prismflow.plan.compared import compares, references
from prismflow.plan.lengths import note_on, too_long, why_none_is_left
from prismflow.plan.model_settings import gene_features, training_settings
from prismflow.plan.needs import needs_runs
from prismflow.plan.run import Run
from prismflow.plan.variants import lacks, own_scenarios, points, variants
from prismflow.settings import architectures, yaml_files
from prismflow.settings.architectures import ARCHITECTURES
from prismflow.settings.config import Config
from prismflow.settings.kinds import KINDS
from prismflow.settings.pretraining import check_start
from prismflow.settings.regional import regional_name


@dataclass(frozen=True)
class Experiment:
    """An experiment of one dataset with its runs.

    ``points`` holds what an axis needs where a number is varied: base, model, scenario and x.
    """

    id: str
    entry: dict[str, Any]
    models: tuple[str, ...]
    runs: tuple[Run, ...]
    scenarios: tuple[str, ...]
    points: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class Plan:
    """All that the rules ask: experiments, runs, scenarios and resolved settings."""

    config: Config
    models: dict[str, dict[str, Any]]
    experiments: dict[tuple[str, str], Experiment]
    scenarios: dict[Run, tuple[str, ...]]
    definitions: dict[str, dict[str, Any]]
    skipped: tuple[str, ...]

    def runs(self, dataset: str) -> list[Run]:
        """Runs of a dataset, sorted."""
        return sorted(run for run in self.scenarios if run.dataset == dataset)

    def notes(self, dataset: str) -> list[str]:
        """What is left out of a dataset, and why."""
        start = f"{dataset}: "
        return [note.removeprefix(start) for note in self.skipped if note.startswith(start)]

    def run(self, dataset: str, cell: str, model: str, name: str) -> Run:
        """The run with these wildcards."""
        fold, _, seed = name.rpartition("_seed")
        return Run(dataset, cell, model, fold, int(seed))

    def checkpoint(self, run: Run) -> str:
        """The released checkpoint that a run evaluates."""
        return self.models[run.model]["checkpoint"].format(cell=run.cell, seed=run.seed)

    def tested(self, run: Run) -> dict[str, dict[str, Any]]:
        """Definitions of the scenarios in which a run is tested, by name."""
        return {name: self.definitions[name] for name in self.scenarios.get(run, ("full",))}

    def other_cells(self, run: Run) -> list[str]:
        """Cells on which a run is tested beside its own."""
        named = (self.definitions[name].get("cell") for name in self.scenarios.get(run, ()))
        return sorted({cell for cell in named if cell and cell != run.cell})

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
        regional = _regional(entry)
        return {
            "model": model,
            "architecture": entry["architecture"],
            "class": architectures.class_of(entry["architecture"]),
            "hyperparameters": entry.get("hyperparameters", {}),
            "loss": entry.get("loss", {}),
            "modalities": modalities,
            "window_bp": entry["window_bp"],
            "transforms": transforms,
            "gene_features": [
                *(n for n in gene_features(values["datasets"][dataset]) if n not in excluded),
                *([] if regional is None else [regional_name(regional)]),
            ],
            # Absent where it isn't set, so that no other model is trained again for it.
            **({"initial_weights": start} if (start := entry.get("initial_weights")) else {}),
            "training": (
                {}
                if ARCHITECTURES[entry["architecture"]].tabular
                else training_settings(values, entry)
            ),
        }

    def settings_anywhere(self, dataset: str, model: str) -> dict[str, Any]:
        """Resolved settings of a model in the first cell that has its signals.

        Raises:
            InputError: no cell of the dataset has them.
        """
        for cell in self.config.datasets[dataset]["cells"]:
            if self.modalities(cell, model) is not None:
                return self.settings(dataset, cell, model)
        raise InputError(f"no cell of {dataset} has the signals of {model}; leave the model out.")

    def experiments_of(self, dataset: str) -> list[Experiment]:
        """Experiments of a dataset in the order in which they are asked for."""
        return [e for (name, _), e in self.experiments.items() if name == dataset]

    @property
    def tabular(self) -> set[str]:
        """Models on a table of features; they never use a GPU and so have rules of their own."""
        return {
            name
            for name, entry in self.models.items()
            if ARCHITECTURES[entry["architecture"]].tabular
        }

    @property
    def adopted(self) -> set[str]:
        """Models whose weights are taken from a released checkpoint instead of trained."""
        return {name for name, entry in self.models.items() if "checkpoint" in entry}

    def references(self, experiment: Experiment) -> dict[str, str]:
        """Model -> the model of the experiment that it is compared with."""
        return references(experiment.entry, experiment.models, experiment.points)

    def compares(self, experiment: Experiment) -> bool:
        """Whether an experiment has a table of comparisons."""
        compared = self.references(experiment)
        return bool(experiment.runs) and compares(experiment.entry, compared, experiment.scenarios)


def _modalities(config: Config, cell: str, entry: dict[str, Any]) -> list[str] | None:
    known = config.values["modalities"]
    there = [name for name in config.modalities_of(cell) if KINDS[known[name]["kind"]].model_input]
    if ARCHITECTURES[entry["architecture"]].needs_peaks and len(there) == len(
        config.modalities_of(cell)
    ):
        return None
    wanted = entry["modalities"]
    if wanted == "none":
        return []
    if wanted == "available":
        return [name for name in there if not known[name]["extra"]] or None
    return [m for m in there if m in wanted] if set(wanted) <= set(there) else None


def _regional(entry: dict[str, Any]) -> str | None:
    """The signal whose regional level a model reads, if it reads one."""
    if not ARCHITECTURES[entry["architecture"]].reads_regional:
        return None
    return str(entry.get("hyperparameters", {}).get("background", "dnase"))


def make_plan(config: Config) -> Plan:
    """Expand experiments into runs.

    Raises:
        InputError: a model that is asked for needs longer windows than a dataset has, or an
            experiment is empty.
    """
    _check_models_are_named(config)
    models = dict(config.models)
    definitions = dict(config.scenarios)
    experiments: dict[tuple[str, str], Experiment] = {}
    scenarios: dict[Run, dict[str, None]] = {}
    skipped: dict[str, None] = {}
    for dataset, settings in config.datasets.items():
        long: dict[str, int] = {}
        for identifier in settings["experiments"] or config.values["run"]["experiments"]:
            entry = config.experiments[identifier]
            varied = list(variants(config, entry))
            models.update({variant.name: variant.entry for variant in varied})
            definitions.update(own_scenarios(entry, settings))
            lacking = lacks(config, entry, varied, settings)
            if lacking:
                skipped[f"{dataset}: experiment {identifier} is left out, {lacking}"] = None
                continue
            names = tuple(dict.fromkeys([*entry["models"], *(v.name for v in varied)]))
            _check_regional(config, entry["options"], {n: models[n] for n in names})
            beyond = too_long(config, dataset, identifier, {n: models[n] for n in names})
            long.update(beyond)
            lacking = why_none_is_left(entry, names, beyond)
            if lacking:
                skipped[f"{dataset}: experiment {identifier} is left out, {lacking}"] = None
                continue
            names = tuple(name for name in names if name not in beyond)
            varied = [variant for variant in varied if variant.name in names]
            runs = []
            if needs_runs(entry):
                runs = _runs(config, dataset, identifier, {n: models[n] for n in names}, skipped)
            else:
                names = _described(config, dataset, {n: models[n] for n in names}, skipped)
            tested = (*entry["scenarios"], *own_scenarios(entry, settings))
            for run in runs:
                own = [name for name in tested if definitions[name].get("cell") != run.cell]
                scenarios.setdefault(run, {"full": None}).update(dict.fromkeys(own))
            experiments[dataset, identifier] = Experiment(
                identifier, entry, names, tuple(runs), tested,
                tuple(points(varied, tested, definitions, models, names)),
            )  # fmt: skip
        if long:
            skipped[note_on(dataset, settings["window_bp"], long)] = None
    ordered = {run: tuple(sorted(names)) for run, names in scenarios.items()}
    plan = Plan(config, models, experiments, ordered, definitions, tuple(skipped))
    _check_checkpoints(plan)
    _check_starts(plan)
    return plan


def _check_models_are_named(config: Config) -> None:
    files = [*config.files, config.values["sheets"]["experiments"]]
    for name, entry in config.experiments.items():
        if not entry["models"] and not entry.get("vary") and needs_runs(entry):
            where = yaml_files.where(files, ("experiments", name))
            raise InputError(f"{where}: expected `models` or `vary`, found neither; add one.")


def _runs(
    config: Config,
    dataset: str,
    identifier: str,
    models: Mapping[str, dict[str, Any]],
    skipped: dict[str, None],
) -> list[Run]:
    """Runs of an experiment in a dataset; notes on models that a cell can't have go to skipped."""
    entry, settings = config.experiments[identifier], config.datasets[dataset]
    folds = _folds(config, dataset, identifier)
    runs = []
    for cell in settings["cells"]:
        if cell not in entry.get("cells", settings["cells"]):
            continue
        for name, model in models.items():
            if _modalities(config, cell, model) is None:
                skipped[_left_out(config, dataset, cell, name, model)] = None
                continue
            for fold in folds:
                for seed in entry.get("seeds", config.values["seeds"]):
                    runs.append(Run(dataset, cell, name, fold, int(seed)))
    if not runs:
        raise InputError(
            f"experiment {identifier!r} has no run in dataset {dataset!r}: no cell has the "
            "modalities that its models need; remove it from `run.experiments`."
        )
    return runs


def _described(
    config: Config, dataset: str, models: Mapping[str, dict[str, Any]], skipped: dict[str, None]
) -> tuple[str, ...]:
    """Models of an experiment that trains none: those that a cell of the dataset can have."""
    kept = []
    for name, model in models.items():
        lacking = [
            cell
            for cell in config.datasets[dataset]["cells"]
            if _modalities(config, cell, model) is None
        ]
        if len(lacking) < len(config.datasets[dataset]["cells"]):
            kept.append(name)
        else:
            skipped.update(
                (_left_out(config, dataset, cell, name, model), None) for cell in lacking
            )
    return tuple(kept)


def _left_out(config: Config, dataset: str, cell: str, name: str, model: dict[str, Any]) -> str:
    wanted: Any = model["modalities"]
    if ARCHITECTURES[model["architecture"]].needs_peaks:
        wanted = "a track of kind peaks"
    elif not isinstance(wanted, str):
        wanted = ", ".join(wanted)
    has = ", ".join(config.modalities_of(cell)) or "no signal"
    return f"{dataset}: {name} is left out in {cell}, which has {has} (the model needs {wanted})"


def _folds(config: Config, dataset: str, identifier: str) -> list[str]:
    splits = config.datasets[dataset]["splits"]
    wanted = config.experiments[identifier].get("folds", splits["use"] or splits["folds"])
    if wanted == "all":
        return list(splits["folds"])
    unknown = [fold for fold in wanted if fold not in splits["folds"]]
    if unknown:
        files = [*config.files, config.values["sheets"]["experiments"]]
        raise InputError(
            f"{yaml_files.where(files, ('experiments', identifier, 'folds'))}: expected folds of "
            f"dataset {dataset} ({', '.join(splits['folds'])}), found {unknown[0]!r}; add it to "
            f"`datasets.{dataset}.splits.folds` or correct it."
        )
    return list(wanted)


def _check_checkpoints(plan: Plan) -> None:
    for run in plan.scenarios:
        if "checkpoint" in plan.models[run.model] and not os.path.exists(plan.checkpoint(run)):
            sources = [*plan.config.files, plan.config.values["sheets"]["models"]]
            raise InputError(
                f"{yaml_files.where(sources, (run.model, 'checkpoint'))}: expected a checkpoint at "
                f"{plan.checkpoint(run)} for cell {run.cell} and seed {run.seed}, found none; "
                "correct the path or put the file there."
            )


def _check_starts(plan: Plan) -> None:
    for name in sorted({run.model for run in plan.scenarios}):
        if "initial_weights" in plan.models[name]:
            check_start(name, plan.models, plan.config.values, plan.config.files)


def _check_regional(
    config: Config, options: Mapping[str, Any], models: dict[str, dict[str, Any]]
) -> None:
    """A model that reads a regional level needs a signal that has one."""
    of_worlds = options.get("regional_bp") or {}
    for model, entry in models.items():
        name = _regional(entry)
        if name is None or name in of_worlds:
            continue
        if not config.values["modalities"].get(name, {}).get("regional_bp"):
            where = yaml_files.where(
                [*config.files, config.values["sheets"]["models"]], (model, "architecture")
            )
            raise InputError(
                f"{where}: model {model} reads the regional level of {name}, but "
                f"`modalities.{name}.regional_bp` is not set; set it, such as [1500, 10000], or "
                "leave the model out."
            )
