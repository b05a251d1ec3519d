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
from prismflow.settings import yaml_files
from prismflow.settings.architectures import ARCHITECTURES
from prismflow.settings.called_peaks import check_called_peaks
from prismflow.settings.config_file import ConfigFile
from prismflow.settings.datasets import check_datasets, merge, simulated_paths, with_bases
from prismflow.settings.experiments_file import ExperimentsFile
from prismflow.settings.hyperparameters import SECTIONS, check_values
from prismflow.settings.models import EXPERIMENTS, overridden_by, read_models, with_overrides
from prismflow.settings.normalisation import check_s3norm
from prismflow.settings.perturbations import Perturbations, read_perturbations
from prismflow.settings.predictions import check_predictions
from prismflow.settings.shared_files import (
    Reference,
    check_gene_table,
    external_files,
    read_references,
)
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
    perturbations: tuple[Perturbations, ...] = field(default=())

    @property
    def datasets(self) -> dict[str, dict[str, Any]]:
        """Settings of the datasets to run, by name."""
        return {name: self.values["datasets"][name] for name in self.values["run"]["datasets"]}

    def modalities_of(self, cell: str) -> list[str]:
        """Modalities for which ``cell`` has a track, in the configured channel order."""
        return [name for name in self.values["modalities"] if (cell, name) in self.tracks]

    def perturbations_of(self, cell: str) -> list[Perturbations]:
        """Files of tested element-gene pairs of a cell, in the order of their sheet."""
        return [entry for entry in self.perturbations if entry.cell == cell]


def load(raw: Mapping[str, Any], files: Sequence[str], home: Path | None = None) -> Config:
    """Validate the merged configuration and read the sheets that it names.

    Args:
        raw: the merged configuration, as Snakemake gives it.
        files: the YAML files it was merged from, in the order of overriding; for messages.
        home: folder of this repository, whose sheets serve where the working directory has no
            configuration of its own.

    Raises:
        InputError: one sentence on the first thing that is wrong.
    """
    check_locale(os.getcwd())
    given = copy.deepcopy(dict(raw))
    given["datasets"] = with_bases(given.get("datasets"), files)
    values = yaml_files.validate(given, ConfigFile, files)
    values["modalities"] = _in_order_of_files(values["modalities"], files)
    sheets = values["sheets"] = _found_sheets(values["sheets"], home)
    cells = read_cells(sheets["cells"])
    for dataset in values["datasets"].values():
        labelled = [name for name, row in cells.items() if row["labels"]]
        dataset["cells"] = dataset["cells"] or labelled or list(cells)
    tracks = read_tracks(sheets["tracks"], cells, values, files)
    experiments = with_overrides(
        yaml_files.read_yaml(sheets["experiments"]), values["experiment_overrides"],
        "experiments", sheets["experiments"], files,
    )  # fmt: skip
    experiments = yaml_files.validate(experiments, ExperimentsFile, [*files, sheets["experiments"]])
    models = read_models(values, files)
    references = read_references(sheets["references"])
    made = external_files(values, references)
    for name, dataset in values["datasets"].items():
        made |= set(simulated_paths(name, dataset))
    config = Config(
        values, cells, tracks, models, experiments["scenarios"], experiments["experiments"],
        references, tuple(files), read_perturbations(sheets["perturbations"], cells, made),
    )  # fmt: skip
    check_gene_table(values, config.references, files)
    check_called_peaks(values, made | {track.path for track in tracks.values()}, files)
    _check_selection(config)
    check_datasets(config)
    check_s3norm(values, tracks, models, files)
    check_predictions(config)
    _check_scenarios(config)
    _check_explained(config)
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


def _found_sheets(sheets: Mapping[str, str], home: Path | None) -> dict[str, str]:
    """Paths of the sheets, those of this repository where the folder has no configuration."""
    if home is None or Path(CONFIGURATION).exists():
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
        _check_varied(config, name, vary)
        for scenario in experiment["scenarios"]:
            if scenario not in config.scenarios:
                raise InputError(
                    f"{where}: unknown scenario {scenario!r}; known are "
                    f"{', '.join(config.scenarios)}."
                )


def _check_varied(config: Config, name: str, vary: Mapping[str, Any]) -> None:
    """Refuse values of a grid that a varied model could not be built with."""
    files = [*config.files, config.values["sheets"]["experiments"]]

    def where(section: str, *keys: str | int) -> str:
        place = ("experiments", name, "vary", section, *keys)
        return yaml_files.where_first(files, overridden_by(EXPERIMENTS)(place))

    for section in SECTIONS:
        for key, values in vary.get(section, {}).items():
            for model in (config.models[varied] for varied in vary["models"]):
                for value in values:
                    given = {**model.get(section, {}), key: value}
                    check_values(model["architecture"], section, given, where)


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


def _check_explained(config: Config) -> None:
    """Refuse to explain what is no network of ours."""
    networks = [
        name
        for name, entry in config.models.items()
        if not ARCHITECTURES[entry["architecture"]].tabular
    ]
    for section in ("attributions", "variants"):
        for position, name in enumerate(config.values[section]["models"]):
            if name not in networks:
                where = yaml_files.where(config.files, (section, "models", position))
                raise InputError(
                    f"{where}: expected networks, which read every base ({', '.join(networks)}), "
                    f"found {name!r}; correct or remove it."
                )
