"""From pydantic's errors to one sentence: what was expected, what was found, what to do."""

from __future__ import annotations

import difflib
import re
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo

Location = tuple[str | int, ...]
ErrorDetails = dict[str, Any]

_EXPECTED = {
    "int_type": "integer",
    "int_from_float": "integer",
    "float_type": "number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "string_type": "text",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "keys and values",
    "model_type": "keys and values",
    "dataclass_type": "keys and values",
    "too_short": "at least {min_length} entries",
    "too_long": "at most {max_length} entries",
    "string_too_short": "text of at least {min_length} letters",
    "greater_than_equal": "a number of at least {ge}",
    "greater_than": "a number above {gt}",
    "less_than_equal": "a number of at most {le}",
    "less_than": "a number below {lt}",
    "multiple_of": "a multiple of {multiple_of}",
}
_LONGEST = 300
_WORDS = {int: "integer", float: "number", bool: "true or false", str: "text", Any: "any"}


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        location: keys down to the value.
        sentence: without the place: ``expected ..., found ...; what to do.``
    """

    location: Location
    sentence: str


def fields_of(definition: Any) -> Mapping[str, FieldInfo] | None:
    """Keys of a class of settings; None for any other type."""
    return getattr(definition, "__pydantic_fields__", None)


def inner(annotation: Any) -> Any:
    """A type without None, marks and the container of its entries' count: ``X | None`` -> X."""
    while True:
        origin = typing.get_origin(annotation)
        if origin is typing.Annotated:
            annotation = typing.get_args(annotation)[0]
            continue
        options = [option for option in typing.get_args(annotation) if option is not type(None)]
        if origin in (typing.Union, types.UnionType) and len(options) == 1:
            annotation = options[0]
            continue
        return annotation


def entry_of(annotation: Any) -> Any:
    """Type of the entries of a list or of the values of a mapping; None for other types."""
    origin, parts = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is dict:
        return inner(parts[1])
    return inner(parts[0]) if origin in (list, tuple) else None


def extra_of(field: FieldInfo) -> dict[str, Any]:
    """What :func:`prismflow.settings.keys.key` wrote down beside pydantic's own."""
    return field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}


def problem_of(error: ValidationError, definition: Any, value: Any) -> Problem:
    """The outermost, first thing that is wrong with ``value``."""
    found = [_Place(item, definition, value) for item in error.errors(include_url=False)]
    first = min(found, key=lambda place: len(place.location))
    return Problem(*first.problem([p for p in found if p.location == first.location]))


class _Place:
    """An error followed down the value and its definition."""

    def __init__(self, error: Any, definition: Any, value: Any) -> None:
        self.error: ErrorDetails = error
        self.value = value
        self.definition = inner(definition)
        self.expected: str | None = None
        location: list[str | int] = []
        for part in error["loc"]:
            if not self._holds(part):
                # The name of a branch of a union, or a key that is missing.
                continue
            fields = fields_of(self.definition)
            if fields is not None and part not in fields:
                break
            self.value = self.value[part]
            location.append(part)
            if fields is None:
                self.definition = entry_of(self.definition)
                continue
            self.definition = inner(fields[part].annotation)
            self.expected = extra_of(fields[part]).get("expected")
            if self.expected:
                break
        self.location: Location = tuple(location)

    def _holds(self, part: Any) -> bool:
        if isinstance(self.value, Mapping):
            return part in self.value
        return (
            isinstance(part, int)
            and isinstance(self.value, list | tuple)
            and part < len(self.value)
        )

    def problem(self, beside: list[_Place]) -> tuple[Location, str]:
        kind = self.error["type"]
        if kind in ("extra_forbidden", "unexpected_keyword_argument"):
            return self._unknown()
        if kind == "missing":
            names = [str(p.error["loc"][-1]) for p in beside if p.error["type"] == "missing"]
            sentence = (
                f"expected the key {', '.join(map(repr, names))}, found only {sorted(self.value)}; "
                "add it."
            )
            return self.location, sentence
        context = self.error.get("ctx", {})
        if self.error["loc"][-1:] == ("[key]",):
            name = self.error["input"]
            return self.location, f"expected text as a name, found {name!r}; put it in quotes."
        if kind == "together":
            sentence = f"{self.error['msg']}; correct one of them."
            return (*self.location, *context["keys"]), sentence
        found = found_words(self.value, kind in ("int_type", "float_type"))
        return self.location, f"expected {self._expectation(kind, context)}, {found}"

    def _unknown(self) -> tuple[Location, str]:
        known = sorted(fields_of(self.definition) or ())
        unknown = sorted(str(name) for name in self.value if name not in known)
        hint = difflib.get_close_matches(unknown[0], known, n=1)
        advice = f"did you mean {hint[0]!r}?" if hint else "remove it or correct its name."
        sentence = (
            f"unknown key {', '.join(map(repr, unknown))}: expected only {', '.join(known)}; "
            f"{advice}"
        )
        return (*self.location, unknown[0]), sentence

    def _expectation(self, kind: str, context: Mapping[str, Any]) -> str:
        if self.expected:
            return self.expected
        if kind == "literal_error":
            names = re.findall(r"'([^']*)'|\b(True|False)\b", context["expected"])
            return "one of " + ", ".join(name or flag.lower() for name, flag in names)
        pattern = _EXPECTED.get(kind)
        limits = {name: _short(limit) for name, limit in context.items()}
        return pattern.format(**limits) if pattern else str(self.error["msg"])


def found_words(value: Any, numeric: bool) -> str:
    """``found ...; what to do.`` of a wrong value, where a number may have been meant."""
    number = _as_number(value) if numeric else None
    if number is not None:
        return (
            f"found the text {value!r}; write the number as {number!r} (YAML reads {value!r} as "
            "text)."
        )
    shown = repr(value)
    if len(shown) > _LONGEST:
        shown = f"{shown[:_LONGEST]}..."
    return f"found {shown}; correct the value."


def type_words(annotation: Any) -> str:
    """A type as a reader knows it: `integer or null`, `list of text`."""
    if type(None) in typing.get_args(annotation):
        return f"{type_words(inner(annotation))} or null"
    annotation = inner(annotation)
    origin, parts = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation in _WORDS:
        return _WORDS[annotation]
    if origin is typing.Literal:
        shown = (str(c).lower() if isinstance(c, bool) else c for c in parts)
        return " or ".join(f"`{choice}`" for choice in shown)
    if origin is dict:
        return f"name -> {type_words(parts[1])}"
    if origin in (list, tuple):
        return f"list of {type_words(parts[0])}"
    if fields_of(annotation) is not None:
        return "keys"
    return " or ".join(map(type_words, parts))


def _short(limit: Any) -> Any:
    return int(limit) if isinstance(limit, float) and limit.is_integer() else limit


def _as_number(value: Any) -> int | float | None:
    if not isinstance(value, str):
        return None
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    return None
