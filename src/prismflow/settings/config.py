"""The whole configuration: YAML files and sheets, validated and cross-checked before planning.

Nothing here opens a large file or the network, and nothing imports torch: it runs at every start of
Snakemake.
"""

from __future__ import annotations

import copy
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prismflow.errors import InputError
from prismflow.plan.needs import needs_runs
from prismflow.settings import architectures, yaml_files
from prismflow.settings.datasets import check_datasets, merge, with_bases
from prismflow.settings.shared_files import Reference, check_gene_table, read_references
from prismflow.settings.sheets import Row, check_name
from prismflow.settings.tracks import Track, read_cells, read_tracks

CONFIGURATION = "config/config.yaml"


@dataclass(frozen=True)
class Config:
    """Validated configuration; see :func:`load`."""

    values: dict[str, Any]
    cells: dict[str, Row]
    tracks: dict[tuple[str, str], Track]
    models: dict[str, dict[str, Any]]
    scenarios: dict[str, dict[str, Any]]
    experiments: dict[str, dict[str, Any]]
    references: dict[str, Reference]
    files: tuple[str, ...] = field(default=())

    @property
    def datasets(self) -> dict[str, dict[str, Any]]:
        """Settings of the datasets to run, by name."""
        return {name: self.values["datasets"][name] for name in self.values["run"]["datasets"]}

    def modalities_of(self, cell: str) -> list[str]:
        """Modalities for which ``cell`` has a track, in the configured channel order."""
        return [name for name in self.values["modalities"] if (cell, name) in self.tracks]


def load(raw: Mapping[str, Any], files: Sequence[str], schemas: str | os.PathLike[str]) -> Config:
    """Validate the merged configuration and read the sheets that it names.

    Args:
        raw: the merged configuration, as Snakemake gives it.
        files: the YAML files it was merged from, in the order of overriding; for messages.
        schemas: folder of ``*.schema.yaml``.

    Raises:
        InputError: one sentence on the first thing that is wrong.
    """
    check_locale(os.getcwd())
    schemas = Path(schemas)
    given = copy.deepcopy(dict(raw))
    given["datasets"] = with_bases(given.get("datasets"), files)
    values = yaml_files.validate(given, schemas / "config.schema.yaml", files)
    values["modalities"] = _in_order_of_files(values["modalities"], files)
    sheets = values["sheets"] = _found_sheets(values["sheets"], schemas.parents[1])
    cells = read_cells(sheets["cells"])
    tracks = read_tracks(sheets["tracks"], cells, values, files)
    experiments = _with_overrides(
        yaml_files.read_yaml(sheets["experiments"]), values["experiment_overrides"],
        "experiments", sheets["experiments"], files,
    )  # fmt: skip
    experiments = yaml_files.validate(
        experiments, schemas / "experiments.schema.yaml", [*files, sheets["experiments"]]
    )
    models = _read_models(values, schemas, files)
    config = Config(
        values, cells, tracks, models, experiments["scenarios"], experiments["experiments"],
        read_references(sheets["references"]), tuple(files),
    )  # fmt: skip
    check_gene_table(values, config.references, files)
    _check_selection(config)
    check_datasets(config)
    _check_scenarios(config)
    return config


def configuration_of(home: str | os.PathLike[str]) -> str:
    """The configuration of the working directory, else that of this repository (``home``).

    The working directory is elsewhere after ``--directory`` and where this is a module of another
    workflow.
    """
    own = Path(CONFIGURATION)
    return CONFIGURATION if own.exists() else str(Path(home) / CONFIGURATION)


def with_shipped(
    raw: Mapping[str, Any], files: Sequence[str], shipped: str
) -> tuple[Mapping[str, Any], list[str]]:
    """Settings over the shipped ones where Snakemake has not merged them, and their files.

    A workflow that imports this one as a module with ``config:`` gives its own settings alone.
    """
    if "modalities" in raw or shipped in files:
        return raw, list(files)
    return merge(yaml_files.read_yaml(shipped), raw), [shipped, *files]


def _found_sheets(sheets: Mapping[str, str], home: Path) -> dict[str, str]:
    """Paths of the sheets, those of this repository where the folder has no configuration."""
    if Path(CONFIGURATION).exists():
        return dict(sheets)
    return {
        key: str(home / path) if not Path(path).exists() and (home / path).exists() else path
        for key, path in sheets.items()
    }


def check_locale(folder: str) -> None:
    """Refuse a path that the locale cannot express: libraries that read tracks crash on it."""
    try:
        folder.encode("utf-8")
    except UnicodeEncodeError:
        raise InputError(
            f"this folder ({folder!a}): expected a path that the locale can express, found letters "
            f"outside {sys.getfilesystemencoding()}; unset PYTHONUTF8, or set LC_ALL=C.UTF-8, or "
            "move the project."
        ) from None


def _in_order_of_files(modalities: dict[str, Any], files: Sequence[str]) -> dict[str, Any]:
    """Modalities as the files name them, first file first; this is the channel order.

    Snakemake's merged configuration has the keys of overriding files first.
    """
    named: list[str] = []
    for file in files:
        content = yaml_files.read_yaml(file)
        named += (content.get("modalities") or {}) if isinstance(content, dict) else ()
    order = dict.fromkeys([*(n for n in named if n in modalities), *sorted(modalities)])
    return {name: modalities[name] for name in order}


def _with_overrides(
    content: Any, overrides: Mapping[str, Any], key: str | None, path: str, files: Sequence[str]
) -> Any:
    entries = content.get(key) if key and isinstance(content, dict) else content
    if not isinstance(entries, dict):
        return content
    for name, change in overrides.items():
        if name not in entries:
            location = (f"{(key or 'models')[:-1]}_overrides", name)
            raise InputError(
                f"{yaml_files.where(files, location)}: expected a name that stands in {path}, "
                f"found {name!r}; known are {', '.join(sorted(entries))}."
            )
        entries[name] = merge(entries[name], change)
    return content


def _read_models(
    values: Mapping[str, Any], schemas: Path, files: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Entries of the models file with overrides applied and bases resolved."""
    path = values["sheets"]["models"]
    content = _with_overrides(
        yaml_files.read_yaml(path), values["model_overrides"], None, path, files
    )  # fmt: skip
    sources = [*files, path]
    entries = yaml_files.validate(content, schemas / "models.schema.yaml", sources)
    models: dict[str, dict[str, Any]] = {}
    for name in entries:
        check_name(name, "model", yaml_files.where(sources, (name,)))
        models[name] = _resolve(name, entries, sources, ())
    for name, model in models.items():
        location = yaml_files.where(sources, (name,))
        if "architecture" not in model:
            raise InputError(f"{location}: expected `architecture` (or a `base` that has one).")
        if "window_bp" not in model:
            raise InputError(f"{location}: expected `window_bp`, the input length in bp.")
        model.setdefault("label", name)
        model.setdefault("modalities", architectures.default_modalities(model["architecture"]))
        architectures.check_hyperparameters(
            model["architecture"], model.get("hyperparameters", {}), location
        )
        _check_modalities(model, values["modalities"], location)
        yaml_files.validate(
            model.get("training", {}), schemas / "config.schema.yaml", sources,
            (name, "training"), definition="training",
        )  # fmt: skip
    return models


def _resolve(
    name: str, entries: Mapping[str, Any], sources: Sequence[str], seen: tuple[str, ...]
) -> dict[str, Any]:
    entry = dict(entries[name])
    base = entry.pop("base", None)
    if base is None:
        return entry
    if base not in entries or base in (*seen, name):
        problem = "that inherits from itself" if base in (*seen, name) else "that doesn't exist"
        raise InputError(
            f"{yaml_files.where(sources, (name, 'base'))}: expected the name of another "
            f"model, found {base!r} {problem}; known are {', '.join(entries)}."
        )
    parent = _resolve(base, entries, sources, (*seen, name))
    for own in ("label", "checkpoint"):
        parent.pop(own, None)
    return merge(parent, entry)


def _check_modalities(model: Mapping[str, Any], known: Mapping[str, Any], where: str) -> None:
    named = model["modalities"]
    for modality in named if isinstance(named, list) else ():
        if modality not in known:
            raise InputError(
                f"{where}: unknown modality {modality!r}; known are {', '.join(known)} (from "
                "`modalities` in the configuration); add it there or correct it."
            )
    if named != "none" and architectures.default_modalities(model["architecture"]) == "none":
        raise InputError(
            f"{where}: expected `modalities: none` because {model['architecture']} reads sequence "
            f"only, found {named!r}; choose another architecture or remove the key."
        )


def _check_selection(config: Config) -> None:
    run = config.values["run"]
    for key, known in (
        ("datasets", config.values["datasets"]),
        ("experiments", config.experiments),
    ):
        for position, name in enumerate(run[key]):
            if name not in known:
                raise InputError(
                    f"{yaml_files.where(config.files, ('run', key, position))}: unknown "
                    f"{key[:-1]} {name!r}; known are {', '.join(known)}."
                )
    path = config.values["sheets"]["experiments"]
    for name, experiment in config.experiments.items():
        where = yaml_files.where([*config.files, path], ("experiments", name))
        check_name(name, "experiment", where)
        vary = experiment.get("vary", {})
        for model in [*experiment["models"], *vary.get("models", [])]:
            if model not in config.models:
                raise InputError(
                    f"{where}: unknown model {model!r}; known are {', '.join(config.models)} (from "
                    f"{config.values['sheets']['models']})."
                )
        if not experiment["models"] and not vary and needs_runs(experiment):
            raise InputError(f"{where}: expected `models` or `vary`, found neither; add one.")
        for scenario in experiment["scenarios"]:
            if scenario not in config.scenarios:
                raise InputError(
                    f"{where}: unknown scenario {scenario!r}; known are "
                    f"{', '.join(config.scenarios)}."
                )


def _check_scenarios(config: Config) -> None:
    path = config.values["sheets"]["experiments"]
    removable = [*config.values["modalities"], "promoter_activity"]
    for name, scenario in config.scenarios.items():
        where = yaml_files.where([*config.files, path], ("scenarios", name))
        if name != "full":
            check_name(name, "scenario", where)
        for modality in scenario.get("remove", []):
            if modality not in removable:
                raise InputError(
                    f"{where}: unknown modality {modality!r} in `remove`; known are "
                    f"{', '.join(removable)}."
                )
