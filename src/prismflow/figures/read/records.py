"""What ``model.json`` of each run says, with the defaults that the run was trained with."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from prismflow.figures.read.runs import RUN_KEYS, run_folder, runs_of
from prismflow.figures.read.settings import hyperparameters
from prismflow.files import read_json
from prismflow.models import class_of
from prismflow.settings.fields import parse_settings

SETTINGS = ("hyperparameters", "loss", "training")


def load(need: str, request: Mapping[str, Any], root: Path) -> pd.DataFrame:
    """One row per run and setting: cell, model, fold, seed, group, setting, value (as text).

    Groups are ``model`` (architecture, window, inputs), ``hyperparameters``, ``loss``,
    ``training`` and ``run`` (parameters, best step, device).
    """
    rows = []
    for run in runs_of(request):
        path = run_folder(root, request["context"]["dataset"], run) / "model.json"
        record = read_json(path)
        for group, values in _groups(record).items():
            for name, value in values.items():
                identity = dict(zip(RUN_KEYS, run, strict=True))
                rows.append({**identity, "group": group, "setting": name, "value": _text(value)})
    return pd.DataFrame(rows)


def _groups(record: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    settings = record["settings"]
    transforms = settings.get("transforms", {})
    groups = {
        "model": {
            "architecture": settings["architecture"],
            "window_bp": settings["window_bp"],
            "signals": [
                name if transforms.get(name, "raw") == "raw" else f"{name} ({transforms[name]})"
                for name in settings["modalities"]
            ],
            "gene_features": settings["gene_features"],
        },
        "hyperparameters": hyperparameters(settings),
        "loss": dict(settings.get("loss", {})),
        "training": dict(settings.get("training", {})),
    }
    if not class_of(settings).tabular:
        # Imported here: the loop needs torch, which a table of tabular models does not.
        from prismflow.settings.training import TrainingSettings

        where = f"settings of {settings['model']}"
        weights = class_of(settings).LossWeights
        groups["loss"] = dataclasses.asdict(parse_settings(weights, groups["loss"], where))
        groups["training"] = dataclasses.asdict(
            parse_settings(TrainingSettings, groups["training"], where)
        )
    groups["run"] = {
        "n_parameters": record["n_parameters"],
        "best_step": record["best"]["step"],
        "device": record["device"],
        **{f"n_{role}": record["split"][f"n_{role}"] for role in ("train", "valid", "test")},
    }
    return groups


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(_text(item) for item in value) or "none"
    if isinstance(value, float):
        return f"{value:g}"
    return "none" if value is None else str(value)
