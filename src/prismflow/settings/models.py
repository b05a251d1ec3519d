"""Named models: what is overridden, what they inherit, and whether they can be built."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from prismflow.errors import InputError
from prismflow.settings import architectures, yaml_files
from prismflow.settings.datasets import merge
from prismflow.settings.hyperparameters import SECTIONS, check_values
from prismflow.settings.models_file import ModelsFile
from prismflow.settings.sentences import Location
from prismflow.settings.sheets import check_name
from prismflow.settings.training import TrainingSettings

MODELS, EXPERIMENTS = "models", "experiments"


def overridden_by(what: str) -> Callable[[Location], list[Location]]:
    """For a place in the file of models or experiments: where else its value may have been set."""
    depth = 1 if what == EXPERIMENTS else 0
    return lambda location: [(f"{what[:-1]}_overrides", *location[depth:]), location]


def with_overrides(
    content: Any, overrides: Mapping[str, Any], key: str | None, path: str, files: Sequence[str]
) -> Any:
    """The content of a file with the keys that the configuration replaces.

    Args:
        content: of the file; changed in place.
        overrides: name of an entry -> keys to replace.
        key: where the entries stand in the file; None for its top level.
        path: the file, for messages.
        files: YAML files of the configuration, for messages.

    Raises:
        InputError: an override of a name that isn't there.
    """
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


def read_models(values: Mapping[str, Any], files: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Entries of the models file with overrides applied and bases resolved.

    Args:
        values: the validated configuration.
        files: its YAML files, for messages.

    Raises:
        InputError: one sentence on the first thing that is wrong.
    """
    path = values["sheets"]["models"]
    content = with_overrides(
        yaml_files.read_yaml(path), values["model_overrides"], None, path, files
    )  # fmt: skip
    sources = [*files, path]
    entries = yaml_files.validate(content, ModelsFile, sources, overridden_by(MODELS))
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
        _check_modalities(model, values["modalities"], location)
        _check_building(name, model, entries, values, sources)
    return models


def _check_building(
    name: str,
    model: Mapping[str, Any],
    entries: Mapping[str, Any],
    values: Mapping[str, Any],
    sources: Sequence[str],
) -> None:
    """What the model's job would check before it trains, with file and line."""
    family = [name]
    while "base" in entries[family[-1]]:
        family.append(entries[family[-1]]["base"])

    def places(location: Location) -> list[Location]:
        """Where a key of the model may stand: in an override, its own entry, those of its bases."""
        shorter = [location[:end] for end in range(len(location), -1, -1)]
        return [
            place
            for keys in shorter
            for member in family
            for place in (("model_overrides", member, *keys), (member, *keys))
        ]

    for section in SECTIONS:
        if model.get(section):
            check_values(
                model["architecture"], section, model[section],
                lambda *keys: yaml_files.where_first(sources, places(keys)),
            )  # fmt: skip
    if model.get("training"):
        yaml_files.validate(
            {**values["training"], **model["training"]}, TrainingSettings, sources,
            lambda location: places(("training", *location)),
        )  # fmt: skip


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
