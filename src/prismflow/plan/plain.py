"""Values as rules pass them to jobs: nothing but dictionaries, lists, texts and numbers.

Snakemake records ``repr`` of a parameter and runs a job again where it differs, so equal settings
must have equal representations, in whatever order a file names them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def plain(value: Any) -> Any:
    """A copy with sorted keys, and with lists in the place of tuples.

    Args:
        value: mappings, lists, tuples (named ones too), texts, numbers, booleans and None,
            in each other.

    Raises:
        TypeError: something else, whose representation could differ from one start to the next.
    """
    if isinstance(value, Mapping):
        return {str(key): plain(value[key]) for key in sorted(value, key=str)}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if value is None or type(value) in (bool, int, float, str):
        return value
    raise TypeError(f"expected a plain value for a job, found a {type(value).__name__}: {value!r}")
