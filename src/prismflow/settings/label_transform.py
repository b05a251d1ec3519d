"""The transform of the label by one name: what the configuration says in two keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prismflow.errors import InputError

PREFIX = "log10:"


def label_transform(label: Mapping[str, Any]) -> str:
    """``log10p1``, ``raw``, or ``log10:<pseudocount>`` of a dataset's ``label`` settings."""
    if label["transform"] != "log10":
        return str(label["transform"])
    return f"{PREFIX}{float(label['pseudocount']):g}"


def pseudocount_of(name: str) -> float | None:
    """What is added before log10 by the transform ``name``; None for ``raw``.

    Raises:
        InputError: no such transform, or a pseudocount that is not above 0.
    """
    if name == "raw":
        return None
    if name == "log10p1":
        return 1.0
    try:
        value = float(name.removeprefix(PREFIX)) if name.startswith(PREFIX) else 0.0
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise InputError(
            f"label transform {name!r} is unknown; known are log10p1, raw and log10:<pseudocount> "
            "with a pseudocount above 0."
        )
    return value
