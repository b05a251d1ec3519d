"""Models whose window is longer than a dataset's: left out with a note, refused where asked for.

The shipped experiments hold models of 200 kb; someone who brings windows of 2 kb has not asked for
them. Who names such a model, or its length, in the configuration itself has, and is told so.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from prismflow.errors import InputError
from prismflow.settings import yaml_files
from prismflow.settings.config import Config


def too_long(
    config: Config, dataset: str, identifier: str, models: Mapping[str, Mapping[str, Any]]
) -> dict[str, int]:
    """Models of an experiment that a dataset has no windows for, with their length in bp.

    Args:
        config: the configuration.
        dataset: name of a dataset to run.
        identifier: the experiment.
        models: its models by name, variants included.

    Raises:
        InputError: the configuration names one of them, or its length.
    """
    there = config.datasets[dataset]["window_bp"]
    found = {n: int(m["window_bp"]) for n, m in models.items() if m["window_bp"] > there}
    for model, wanted in found.items():
        if _asked_for(config, identifier, model, wanted):
            where = yaml_files.where(
                [*config.files, config.values["sheets"]["models"]], (model, "window_bp")
            )
            raise InputError(
                f"{where}: model {model} asks for windows of {wanted:,} bp, but the store of "
                f"dataset {dataset} holds {there:,} bp; raise `datasets.{dataset}.window_bp` or "
                "lower the model's `window_bp`."
            )
    return found


def _asked_for(config: Config, identifier: str, model: str, window_bp: int) -> bool:
    own = config.values["experiment_overrides"].get(identifier) or {}
    vary = own.get("vary") or {}
    named = [*(own.get("models") or ()), *(vary.get("models") or ())]
    lengths = vary.get("window_bp") or ()
    override = config.values["model_overrides"].get(model) or {}
    return model in named or window_bp in lengths or "window_bp" in override


def why_none_is_left(
    entry: Mapping[str, Any], models: Collection[str], long: Collection[str]
) -> str | None:
    """Why an experiment has no meaning without its too long models, or None.

    Args:
        entry: the experiment.
        models: all its models, variants included.
        long: those of them that are left out.
    """
    if long and set(models) <= set(long):
        return "because all its models need longer windows"
    compared = [entry.get("reference"), *entry["options"].get("between", ())]
    absent = [name for name in compared if name in long]
    if absent:
        return f"because it compares with {absent[0]}, which needs longer windows"
    return None


def note_on(dataset: str, window_bp: int, long: Mapping[str, int]) -> str:
    """One sentence on the models that a dataset does without."""
    lengths = {f"{length:,}" for length in long.values()}
    return (
        f"{dataset}: windows of {window_bp:,} bp hold no input for {', '.join(sorted(long))} "
        f"({', '.join(sorted(lengths, key=len))} bp), which {'is' if len(long) == 1 else 'are'} "
        f"left out of all experiments; raise `datasets.{dataset}.window_bp` to have "
        f"{'it' if len(long) == 1 else 'them'}"
    )
