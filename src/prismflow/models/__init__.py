"""Models by the name of their class; modules are imported only when a model is asked for.

Laziness is a promise to the workflow: what a model depends on is its own module and what that
imports, so an edit to one architecture retrains that architecture and no other. Which
architectures there are is written in ``prismflow.settings.architectures``, for planning alone.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from prismflow.errors import InputError

if TYPE_CHECKING:
    from prismflow.models.common import InputSpec


def model_class(name: str) -> Any:
    """The class that ``module:Class`` names, such as ``prismflow.models.prism:Prism``.

    Raises:
        InputError: no class of this package has this name.
    """
    module, _, attribute = name.partition(":")
    try:
        if not module.startswith(f"{__name__}."):
            raise ModuleNotFoundError(module, name=module)
        return getattr(importlib.import_module(module), attribute)
    except (ModuleNotFoundError, AttributeError) as error:
        if isinstance(error, ModuleNotFoundError) and error.name != module:
            raise
        raise InputError(
            f"class of a model: expected module:Class of {__name__}, found {name!r}, which is not "
            "there; train the model again with the code that is installed."
        ) from None


def class_of(settings: Mapping[str, Any]) -> Any:
    """The class that resolved model settings name.

    Raises:
        InputError: they name none, as those that were written before they did.
    """
    if not isinstance(settings.get("class"), str):
        raise InputError(
            f"settings of model {settings.get('model')!r}: expected the key class (module:Class), "
            f"found {', '.join(settings)}; they come from an older version, so train the model "
            "again."
        )
    return model_class(settings["class"])


def build(
    name: str,
    hyperparameters: Mapping[str, Any],
    loss: Mapping[str, Any],
    inputs: InputSpec,
) -> Any:
    """A freshly initialised model; weights depend on torch's global generator only.

    Args:
        name: ``module:Class`` of its class.
        hyperparameters: fields of the class's ``Settings`` that differ from the paper's values.
        loss: fields of the class's ``LossWeights`` that differ from the paper's values.
        inputs: what the model will be fed.

    Raises:
        InputError: unknown class or key, a value out of range, or inputs that the architecture
            cannot use.
    """
    from prismflow.settings.fields import parse_settings

    cls = model_class(name)
    where = cls.architecture
    settings = parse_settings(cls.Settings, hyperparameters, f"hyperparameters of {where}")
    weights = parse_settings(cls.LossWeights, loss, f"loss of {where}")
    return cls(settings, weights, inputs)
