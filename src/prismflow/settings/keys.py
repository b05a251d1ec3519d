"""How a key is defined: its type, default, meaning and range, all in one line of a class.

The classes that use this are the one place where a setting is defined. Checks while planning and in
jobs, the schemas in ``workflow/schemas`` and ``docs/settings.md`` are made from them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import (
    AllowInfNan,
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    Strict,
)
from pydantic_core import PydanticCustomError, core_schema

#: Types that take no text for a number and no 1 for true.
Whole = Annotated[int, Strict()]
Number = Annotated[float, Strict(), AllowInfNan(False)]
Flag = Annotated[bool, Strict()]

#: For dataclasses that jobs build too: unknown keys are refused.
STRICT = ConfigDict(extra="forbid")


class Keys(BaseModel):
    """Keys of a mapping in a file; unknown ones are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def key(
    meaning: str,
    default: Any = ...,
    *,
    expected: str | None = None,
    sparse: bool = False,
    kind: str | None = None,
    enum: list[str] | None = None,
    **limits: Any,
) -> Any:
    """One key.

    Args:
        meaning: for the reference page.
        default: value if the key isn't given; without it the key must be given.
        expected: what a wrong value is answered with, in place of the broken limit.
        sparse: an absent key stays absent in what planning hands on, and each reader of it says
            what that means.
        kind: type for the reference page where the class has no annotation that says it.
        enum: for the schema, the names that a pattern stands for.
        limits: ``ge``, ``gt``, ``le``, ``lt``, ``multiple_of``, ``min_length``, ``max_length``.
    """
    extra: dict[str, Any] = {
        "expected": expected, "sparse": sparse or None, "kind": kind, "enum": enum,
    }  # fmt: skip
    known = {name: value for name, value in extra.items() if value is not None}
    return Field(default, description=meaning or None, json_schema_extra=known or None, **limits)


def setting(default: Any = ..., **options: Any) -> Any:
    """As :func:`key`, of a class that jobs use: its docstring's list of attributes has the meaning.

    Words in a docstring are not code: after an edit of them no result is made again.
    """
    return key("", default, **options)


def even_length(meaning: str, default: Any = ..., what: str = "length", **options: Any) -> Any:
    """A key that holds an even number of bases, at least 2."""
    expected = f"an even {what} in bp, at least 2"
    return key(meaning, default, expected=expected, ge=2, multiple_of=2, **options)


def one_of(meaning: str, names: Iterable[str], default: Any = ..., **options: Any) -> Any:
    """A key that holds one of some names that stand in a table."""
    known = list(names)
    return key(
        meaning,
        default,
        expected=f"one of {', '.join(known)}",
        kind=" or ".join(f"`{name}`" for name in known),
        enum=known,
        pattern=rf"^({'|'.join(map(re.escape, known))})$",
        **options,
    )


def _unique(items: Any) -> Any:
    if len(set(map(repr, items))) < len(items):
        raise PydanticCustomError("unique", "no entry twice")
    return items


class Unique:
    """Marks a list whose entries must differ."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_after_validator_function(_unique, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {**handler(schema), "uniqueItems": True}


#: Options of a setting that holds an even number of bases.
EVEN: dict[str, Any] = {
    "expected": "an even length in bp, at least 2", "ge": 2, "multiple_of": 2,
}  # fmt: skip
UNIQUE = Unique()
#: Names, each once.
Names = Annotated[list[str], UNIQUE]
#: At least one name, each once.
SomeNames = Annotated[list[str], UNIQUE, Field(min_length=1)]
EvenLengths = list[Annotated[int, Strict(), Field(ge=2, multiple_of=2)]]


def refuse(expected: str, found: str, *location: str) -> PydanticCustomError:
    """The error of a rule over several keys; ``location`` is the key to correct."""
    words = {"expected": expected, "found": found, "keys": list(location)}
    return PydanticCustomError("together", "expected {expected}, found {found}", words)
