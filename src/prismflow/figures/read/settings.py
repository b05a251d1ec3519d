"""Resolved settings of models, with the defaults of their architectures filled in."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prismflow.models import class_of
from prismflow.settings.fields import parse_settings


def hyperparameters(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Every hyper-parameter of a model, also those left at the architecture's default."""
    architecture = class_of(settings)
    where = f"hyperparameters of {settings['model']}"
    values = parse_settings(architecture.Settings, settings.get("hyperparameters", {}), where)
    return dataclasses.asdict(values)


def load(need: str, request: Mapping[str, Any], root: Path) -> dict[str, dict[str, Any]]:
    """Model -> settings as the plan resolves them, with complete hyper-parameters."""
    return {
        name: {**settings, "hyperparameters": hyperparameters(settings)}
        for name, settings in request["context"]["model_settings"].items()
    }
