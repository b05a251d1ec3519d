"""Named variants of models that an experiment's ``vary`` asks for.

A variant whose settings are those of a named model is that model, so its runs are shared.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prismflow.plan.needs import needs_of_experiment
from prismflow.settings.config import Config
from prismflow.settings.kinds import KINDS
from prismflow.settings.scenarios import scenarios_beyond


@dataclass(frozen=True)
class Variant:
    """One model of a grid.

    Attributes:
        name: of the model that is trained.
        entry: its settings, as in the models file.
        base: the model that was varied.
        x: the varied number; None where signals were varied.
    """

    name: str
    entry: dict[str, Any]
    base: str
    x: float | None = None


def core_modalities(config: Config) -> list[str]:
    """Signals with a track in any cell that ``modalities: available`` means, in channel order."""
    return [name for name in _with_tracks(config) if not config.values["modalities"][name]["extra"]]


def extra_modalities(config: Config) -> list[str]:
    """Signals marked ``extra`` that have a track in any cell, in channel order."""
    return [name for name in _with_tracks(config) if config.values["modalities"][name]["extra"]]


def variants(config: Config, entry: Mapping[str, Any]) -> Iterator[Variant]:
    """All variants of an experiment's ``vary``; base models whose own value is in a grid too."""
    vary = entry.get("vary", {})
    for base in vary.get("models", []):
        for window_bp in vary.get("window_bp", []):
            suffix, text = f"{window_bp}bp", f", {window_bp:,} bp"
            yield _variant(config, base, {"window_bp": window_bp}, suffix, text, window_bp)
        for modalities, suffix, text in _signal_sets(config, base, vary.get("modalities", [])):
            yield _variant(config, base, {"modalities": modalities}, suffix, text, None)
        for section in ("hyperparameters", "loss"):
            for key, values in vary.get(section, {}).items():
                for value in values:
                    shown = f"{value:g}" if isinstance(value, float) else str(value)
                    suffix = f"{key}_{shown.replace('.', '_').replace('-', 'm')}"
                    text = f" ({key.replace('_', ' ')} {shown})"
                    yield _variant(config, base, {section: {key: value}}, suffix, text, value)


def _with_tracks(config: Config) -> list[str]:
    there = {modality for _, modality in config.tracks}
    return [
        name
        for name, settings in config.values["modalities"].items()
        if KINDS[settings["kind"]].model_input and name in there
    ]


def _signal_sets(
    config: Config, base: str, wanted: Any
) -> Iterator[tuple[list[str] | str, str, str]]:
    """(modalities, suffix of the name, end of the label) of every set of signals."""
    core = core_modalities(config)
    known = config.values["modalities"]

    def label(names: list[str]) -> str:
        return " + ".join(known[name].get("label", name) for name in names)

    if wanted == "extras":
        extras = extra_modalities(config)
        added = [[name] for name in extras] + ([extras] if len(extras) > 1 else [])
        for names in added:
            chosen = [name for name in known if name in (*core, *names)]
            yield chosen, "with_" + "_".join(names), f" + {label(names)}"
        return
    if wanted == "subsets":
        sizes = range(1, len(core) + 1)
        wanted = [list(names) for size in sizes for names in itertools.combinations(core, size)]
    for subset in wanted:
        names = [name for name in known if name in subset]
        own = config.models[base]["modalities"]
        whole: list[str] | str = own if own == "available" and names == core else names
        yield whole, "_".join(names), f": {label(names)}"


def _variant(
    config: Config, base: str, change: Mapping[str, Any], suffix: str, text: str, x: float | None
) -> Variant:
    original = config.models[base]
    entry = dict(original)
    for key, value in change.items():
        nested = isinstance(value, Mapping)
        entry[key] = {**original.get(key, {}), **value} if nested else value
    # The base itself first, because two named models may have equal settings.
    for name in (base, *config.models):
        if _settings(config.models[name]) == _settings(entry):
            return Variant(name, config.models[name], base, x)
    return Variant(f"{base}_{suffix}", {**entry, "label": original["label"] + text}, base, x)


def _settings(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key != "label"}


def lacks(
    config: Config,
    entry: Mapping[str, Any],
    varied: Sequence[Variant],
    settings: Mapping[str, Any],
) -> str | None:
    """Why an experiment has no meaning in a dataset, or None."""
    if entry.get("vary", {}).get("modalities") == "extras" and not varied:
        return "because no modality marked `extra` has a track; add one to the tracks sheet"
    cells = [cell for cell in settings["cells"] if cell in entry.get("cells", settings["cells"])]
    if entry["transfer"] and len(cells) < 2:
        return f"because it needs two cells and the dataset has {', '.join(cells) or 'none'}"
    kinds = config.values["modalities"]
    read = {kinds[modality]["kind"] for cell in cells for modality in config.modalities_of(cell)}
    if "contact_range" in needs_of_experiment(entry) and not any(
        KINDS[kind].needs_resolution for kind in read
    ):
        return "because no cell has a track of contacts"
    if "crispri" in needs_of_experiment(entry) and not any(map(config.perturbations_of, cells)):
        return (
            f"because the sheet of perturbations has no file for {', '.join(cells) or 'its cells'}"
        )
    return None


def own_scenarios(
    entry: Mapping[str, Any], settings: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """Scenarios that an experiment asks for by lists of lengths or by ``transfer``."""
    crops = {f"crop_{length}bp": {"crop_bp": length} for length in entry.get("crop_bp", [])}
    crops |= scenarios_beyond(entry.get("beyond_bp", []), bool(settings.get("elements")))
    cells = [cell for cell in settings["cells"] if cell in entry.get("cells", settings["cells"])]
    return crops | ({f"on_{cell}": {"cell": cell} for cell in cells} if entry["transfer"] else {})


def points(
    varied: Sequence[Variant],
    tested: Sequence[str],
    definitions: Mapping[str, Mapping[str, Any]],
    models: Mapping[str, Mapping[str, Any]],
    names: Sequence[str],
) -> Iterator[dict[str, Any]]:
    """Numbers on the axis of a varied length, setting or crop."""
    crops = {
        name: definitions[name]["crop_bp"] for name in tested if "crop_bp" in definitions[name]
    }
    for v in () if crops else varied:
        if v.x is not None:
            yield {"base": v.base, "model": v.name, "scenario": "full", "x": v.x}
    for model in names if crops else ():
        whole = models[model]["window_bp"]
        yield {"base": model, "model": model, "scenario": "full", "x": whole}
        for scenario, length in crops.items():
            if length < whole:
                yield {"base": model, "model": model, "scenario": scenario, "x": length}
