"""Check plain values against a class of settings; fill in what wasn't given."""

from __future__ import annotations

import copy
import functools
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticUndefined

from prismflow.errors import InputError
from prismflow.settings.sentences import entry_of, extra_of, fields_of, inner, problem_of

SettingsT = TypeVar("SettingsT")


@functools.cache
def _checker(definition: Any) -> TypeAdapter[Any]:
    return TypeAdapter(definition)


def check(definition: type[SettingsT], value: Any) -> SettingsT:
    """``value`` as ``definition``.

    Raises:
        ValidationError: it is not; see :func:`prismflow.settings.sentences.problem_of`.
    """
    checker: TypeAdapter[SettingsT] = _checker(definition)  # type: ignore[arg-type]  # a class has a hash
    return checker.validate_python(value)


def build(definition: type[SettingsT], value: Mapping[str, Any], where: str) -> SettingsT:
    """``value`` as ``definition``, in a job, where no line of a file is known.

    Raises:
        InputError: one sentence that starts with ``where`` and the key.
    """
    try:
        return check(definition, dict(value))
    except ValidationError as error:
        problem = problem_of(error, definition, value)
    # A sentence about an unknown key names it itself.
    known = [str(name) for name in problem.location]
    names = known[:-1] if problem.sentence.startswith("unknown key") else known
    raise InputError(": ".join([where, *filter(None, [".".join(names)]), problem.sentence]))


def filled(definition: Any, value: Any) -> Any:
    """``value`` as it was given, with the defaults of absent keys; keys marked sparse stay absent.

    The values themselves stay as they were written, 1 for 1.0 too: results record them.
    """
    definition = inner(definition)
    fields = fields_of(definition)
    if not isinstance(value, Mapping):
        return value
    if fields is None:
        entry = entry_of(definition)
        return {name: filled(entry, item) for name, item in value.items()}
    whole = dict(value)
    for name, field in fields.items():
        if name not in whole and not _stays_absent(definition, extra_of(field), field.default):
            whole[name] = _plain(field.default)
        if name in whole:
            whole[name] = filled(field.annotation, whole[name])
    return whole


def _stays_absent(definition: Any, extra: Mapping[str, Any], default: Any) -> bool:
    sparse = getattr(definition, "SPARSE", False) or extra.get("sparse", False)
    return bool(sparse) or default is PydanticUndefined


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else copy.deepcopy(value)
