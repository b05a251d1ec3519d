"""Settings from mappings: every key known, every value of its type and range."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar, cast

from prismflow.errors import InputError

SettingsT = TypeVar("SettingsT")


def parse_settings(cls: type[SettingsT], values: Mapping[str, Any], where: str) -> SettingsT:
    """Build the dataclass ``cls`` from plain values, refusing unknown keys and wrong types.

    Args:
        cls: a dataclass whose defaults are the paper's values.
        values: the values that differ; whole numbers are accepted where floats are expected.
        where: named in errors, such as ``hyperparameters of prism``.

    Raises:
        InputError: an unknown key, or a value of the wrong type.
    """
    if hasattr(cls, "__pydantic_fields__"):
        # Imported here: the models' own settings need no pydantic.
        from prismflow.settings.definitions import build

        return build(cls, values, where)
    fields = {f.name: f for f in dataclasses.fields(cast(Any, cls))}
    unknown = [str(key) for key in values if key not in fields]
    if unknown:
        known = ", ".join(fields) or "none"
        raise InputError(f"{where}: unknown key {', '.join(unknown)}; known are {known}.")
    hints = typing.get_type_hints(cls)
    checked = {key: _checked(value, hints[key], f"{where}: {key}") for key, value in values.items()}
    return cls(**checked)


def _checked(value: Any, expected: Any, where: str) -> Any:
    options = typing.get_args(expected) if _is_union(expected) else (expected,)
    for option in options:
        if option is type(None) and value is None:
            return None
        if option is float and isinstance(value, int) and not isinstance(value, bool):
            return float(value)
        if typing.get_origin(option) is dict and isinstance(value, Mapping):
            return dict(value)
        if typing.get_origin(option) is tuple and isinstance(value, (list, tuple)):
            return tuple(value)
        if isinstance(option, type) and isinstance(value, option):
            if option is int and isinstance(value, bool):
                continue
            return value
    wanted = " or ".join(getattr(option, "__name__", str(option)) for option in options)
    raise InputError(f"{where} must be {wanted}, found {value!r}.")


def fits(value: Any, expected: Any) -> bool:
    """Whether ``value`` may stand where a dataclass says ``expected``."""
    try:
        _checked(value, expected, "")
    except InputError:
        return False
    return True


def _is_union(expected: Any) -> bool:
    return typing.get_origin(expected) in (typing.Union, types.UnionType)


def require_positive(settings: Any, *names: str) -> None:
    """Check that the named fields are greater than zero.

    Raises:
        InputError: one is not.
    """
    for name in names:
        value = getattr(settings, name)
        if not value > 0:
            raise InputError(f"{name} must be greater than 0, found {value}.")


def require_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Check that ``value`` is one of ``choices``.

    Raises:
        InputError: it is not.
    """
    if value not in choices:
        raise InputError(f"{name} must be one of {', '.join(choices)}, found {value!r}.")
