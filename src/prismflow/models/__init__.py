"""Registry of architectures; modules are imported only when an architecture is asked for.

Laziness is a promise to the workflow: what a model depends on is its own module and what that
imports, so an edit to one architecture retrains that architecture and no other.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from prismflow.errors import InputError

if TYPE_CHECKING:
    from prismflow.models.common import InputSpec

ARCHITECTURES: dict[str, tuple[str, str]] = {
    "prism": ("prismflow.models.prism", "Prism"),
    "caduceus": ("prismflow.models.caduceus", "Caduceus"),
    "caduceus_signals": ("prismflow.models.caduceus", "CaduceusSignals"),
    "mamba": ("prismflow.models.mamba", "Mamba"),
    "hyena": ("prismflow.models.hyena", "Hyena"),
    "enformer": ("prismflow.models.enformer", "Enformer"),
    "epinformer": ("prismflow.models.epinformer", "EPInformer"),
    "seq2exp_soft": ("prismflow.models.seq2exp", "Seq2ExpSoft"),
    "seq2exp_hard": ("prismflow.models.seq2exp", "Seq2ExpHard"),
    "peak_mask": ("prismflow.models.peak_mask", "PeakMask"),
    "cnn": ("prismflow.models.cnn", "CNN"),
    "gene_features": ("prismflow.models.tabular", "GeneFeatures"),
    "gbm": ("prismflow.models.tabular", "GradientBoosting"),
}
TABULAR: frozenset[str] = frozenset({"gene_features", "gbm"})


def model_class(architecture: str) -> Any:
    """The class of an architecture, by name.

    Raises:
        InputError: there is no such architecture.
    """
    try:
        module, name = ARCHITECTURES[architecture]
    except KeyError:
        raise InputError(
            f"architecture {architecture!r} is unknown; known are {', '.join(ARCHITECTURES)}."
        ) from None
    return getattr(importlib.import_module(module), name)


def build(
    architecture: str,
    hyperparameters: Mapping[str, Any],
    loss: Mapping[str, Any],
    inputs: InputSpec,
) -> Any:
    """A freshly initialised model; weights depend on torch's global generator only.

    Args:
        architecture: a key of :data:`ARCHITECTURES`.
        hyperparameters: fields of the class's ``Settings`` that differ from the paper's values.
        loss: fields of the class's ``LossWeights`` that differ from the paper's values.
        inputs: what the model will be fed.

    Raises:
        InputError: unknown architecture or key, a value out of range, or inputs that the
            architecture cannot use.
    """
    from prismflow.settings.fields import parse_settings

    cls = model_class(architecture)
    settings = parse_settings(cls.Settings, hyperparameters, f"hyperparameters of {architecture}")
    weights = parse_settings(cls.LossWeights, loss, f"loss of {architecture}")
    return cls(settings, weights, inputs)
