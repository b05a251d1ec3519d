"""Models by the name of their architecture, as planning resolves it for jobs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prismflow import models
from prismflow.models.common import InputSpec
from prismflow.settings.architectures import ARCHITECTURES, class_of

__all__ = ["TABULAR", "build", "class_of", "model_class"]

TABULAR = frozenset(name for name, row in ARCHITECTURES.items() if row.tabular)


def model_class(architecture: str) -> Any:
    """The class of an architecture."""
    return models.model_class(class_of(architecture))


def build(
    architecture: str,
    hyperparameters: Mapping[str, Any],
    loss: Mapping[str, Any],
    inputs: InputSpec,
) -> Any:
    """A model of an architecture."""
    return models.build(class_of(architecture), hyperparameters, loss, inputs)
