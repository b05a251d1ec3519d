"""Datasets of the configuration: what one takes over from another, its files, folds and cells."""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from prismflow.errors import InputError
from prismflow.settings import yaml_files
from prismflow.settings.elements import check_elements
from prismflow.settings.shared_files import Reference, external_files
from prismflow.settings.sheets import Row, check_name
from prismflow.settings.simulation import simulated_files
from prismflow.settings.tracks import Track


class Configured(Protocol):
    """What the checks of datasets read of a configuration."""

    @property
    def values(self) -> dict[str, Any]: ...
    @property
    def files(self) -> tuple[str, ...]: ...
    @property
    def datasets(self) -> dict[str, dict[str, Any]]: ...
    @property
    def cells(self) -> dict[str, Row]: ...
    @property
    def tracks(self) -> dict[tuple[str, str], Track]: ...
    @property
    def references(self) -> dict[str, Reference]: ...
    @property
    def experiments(self) -> dict[str, dict[str, Any]]: ...
    def modalities_of(self, cell: str) -> list[str]: ...


def merge(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """``base`` with the keys of ``change``, mappings key by key, everything else replaced."""
    merged = dict(base)
    for key, value in change.items():
        old = merged.get(key)
        merged[key] = (
            merge(old, value) if isinstance(old, dict) and isinstance(value, Mapping) else value
        )
    return merged


def with_bases(datasets: Any, files: Sequence[str]) -> Any:
    """Datasets with what they take over from their ``base`` written out.

    A dataset with a simulated base reads the base's files: they are simulated once.

    Raises:
        InputError: a base that doesn't exist or has a base itself.
    """
    if not isinstance(datasets, Mapping):
        return datasets
    resolved = {}
    for name, entry in datasets.items():
        base = entry.get("base") if isinstance(entry, Mapping) else None
        if base is None:
            resolved[name] = entry
            continue
        parent = datasets.get(base)
        if not isinstance(parent, Mapping) or parent.get("base") is not None:
            plain = [n for n, e in datasets.items() if isinstance(e, Mapping) and "base" not in e]
            raise InputError(
                f"{yaml_files.where(files, ('datasets', name, 'base'))}: expected a dataset "
                f"without a base of its own, found {base!r}; known are {', '.join(plain)}."
            )
        own = {key: value for key, value in entry.items() if key != "base"}
        inherited = {key: v for key, v in parent.items() if key not in ("experiments", "title")}
        if isinstance(parent.get("simulate"), Mapping):
            inherited["simulate"] = {"cells": parent["cells"], **parent["simulate"]}
        resolved[name] = {**merge(copy.deepcopy(inherited), own), "base": base}
    return resolved


def source_of(name: str, dataset: Mapping[str, Any]) -> str:
    """The dataset whose simulated files a dataset reads: its base, or itself."""
    return dataset["base"] or name


def check_datasets(config: Configured) -> None:
    """Check cells, files, folds and names of the datasets to run.

    Raises:
        InputError: one sentence on the first thing that is wrong.
    """
    for name, dataset in config.datasets.items():
        location = ("datasets", name)
        check_name(name, "dataset", yaml_files.where(config.files, location))
        made = external_files(config.values, config.references)
        made |= set(simulated_paths(name, dataset))
        for cell in dataset["cells"]:
            where = yaml_files.where(config.files, (*location, "cells"))
            if cell not in config.cells:
                raise InputError(
                    f"{where}: unknown cell {cell!r}; known are {', '.join(config.cells)} (from "
                    f"{config.values['sheets']['cells']})."
                )
            for modality in config.modalities_of(cell):
                track = config.tracks[cell, modality]
                if not track.downloaded:
                    _check_exists(track.path, made, track.where)
        _check_columns_of_cells(config, name, dataset)
        _check_pseudocount(config, name, dataset["label"])
        check_elements(config.values, config.tracks, name, config.files)
        if dataset["splits"]["by"] == "chromosome":
            for fold in dataset["splits"]["folds"]:
                if not re.fullmatch(r"fold([1-9]|1[0-2])", fold):
                    raise InputError(
                        f"{yaml_files.where(config.files, (*location, 'splits', 'folds'))}: "
                        f"expected one of the paper's folds fold1 ... fold12, found {fold!r}."
                    )
        _check_folds(name, dataset, config)
        for fold in dataset["splits"]["folds"]:
            check_name(fold, "fold", yaml_files.where(config.files, (*location, "splits", "folds")))
        for key in (("genome",), ("genes", "path"), ("blacklist",)):
            value: Any = dataset
            for part in key:
                value = value[part]
            if value:
                _check_exists(value, made, yaml_files.where(config.files, (*location, *key)))


def simulated_paths(name: str, dataset: Mapping[str, Any]) -> list[str]:
    """Files that the simulator makes for a dataset; empty for a dataset of real files."""
    if dataset["simulate"] is None:
        return []
    settings = {k: v for k, v in dataset["simulate"].items() if k != "seed"}
    return [
        f"resources/{source_of(name, dataset)}/{file}"
        for file in simulated_files({"cells": list(dataset["cells"]), **settings})
    ]


def _check_exists(path: str, made: set[str], where: str) -> None:
    if path not in made and not os.path.exists(path):
        raise InputError(
            f"{where}: expected a file at {path}, found none (looked in {os.getcwd()}); correct "
            "the path or put the file there."
        )


def _check_columns_of_cells(config: Configured, name: str, dataset: Mapping[str, Any]) -> None:
    """Refuse one column for the labels, or the promoter activity, of several cells."""
    cells = dataset["cells"]
    for keys in (("label", "column"), ("genes", "promoter_activity")):
        column = dataset[keys[0]][keys[1]]
        if len(cells) > 1 and "{cell}" not in column and column not in ("none", "computed"):
            where = yaml_files.where(config.files, ("datasets", name, *keys))
            raise InputError(
                f"{where}: expected a column with {{cell}} in its name, since the cells "
                f"{', '.join(cells)} need one each, found {column!r}, which would give all the "
                "same values; write for example '{cell}_" + column.split("_", 1)[-1] + "'."
            )


def _check_pseudocount(config: Configured, name: str, label: Mapping[str, Any]) -> None:
    """Refuse a pseudocount that nothing reads, and log10 without one: log10(0) is no label."""
    given = label.get("pseudocount") is not None
    if given == (label["transform"] == "log10"):
        return
    where = yaml_files.where(config.files, ("datasets", name, "label", "transform"))
    wanted = "no pseudocount" if given else "a pseudocount above 0"
    raise InputError(
        f"{where}: expected {wanted} beside label.transform: {label['transform']}, found "
        f"{label.get('pseudocount', 'none')}; write transform: log10 and pseudocount: 0.1, or "
        "one of log10p1 and raw without a pseudocount."
    )


def _check_folds(name: str, dataset: Mapping[str, Any], config: Configured) -> None:
    splits = dataset["splits"]
    for fold in splits["use"] or ():
        if fold not in splits["folds"]:
            where = yaml_files.where(config.files, ("datasets", name, "splits", "use"))
            raise InputError(
                f"{where}: expected some of the folds {', '.join(splits['folds'])}, found "
                f"{fold!r}; add it to `folds` or correct it."
            )
    for position, experiment in enumerate(dataset["experiments"] or ()):
        if experiment not in config.experiments:
            where = yaml_files.where(config.files, ("datasets", name, "experiments", position))
            raise InputError(
                f"{where}: unknown experiment {experiment!r}; known are "
                f"{', '.join(config.experiments)}."
            )
