"""Modalities by name: kinds and transforms.

A modality is always addressed by the name it has in the sheet of tracks, never by a channel
number. Transforms are applied when a batch is made; stores keep raw values.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from prismflow.errors import InputError

#: Names that would collide with other files of a store or with words of the configuration.
RESERVED_NAMES: frozenset[str] = frozenset(
    {"sequence", "labels", "gene_features", "genes", "store", "promoter_activity", "all", "none"}
)


def _raw(values: np.ndarray) -> np.ndarray:
    return values


def _log1p(values: np.ndarray) -> np.ndarray:
    return np.log1p(values)


def _log10p1(values: np.ndarray) -> np.ndarray:
    return np.log10(values + values.dtype.type(1))


#: Transforms without a parameter; ``clip:<max>`` is parsed by :func:`transform_function`.
TRANSFORMS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "raw": _raw,
    "log1p": _log1p,
    "log10p1": _log10p1,
}


def known_kinds() -> list[str]:
    """Kinds of modalities, a file each in :mod:`prismflow.data.kinds`; none is imported."""
    files = Path(__file__).with_name("kinds").glob("[a-z]*.py")
    return sorted(path.stem for path in files)


def transform_function(name: str) -> Callable[[np.ndarray], np.ndarray]:
    """Function of a transform name.

    Args:
        name: ``raw``, ``log1p`` (natural), ``log10p1`` (log10(x + 1)) or ``clip:<max>``
            (values above the positive number ``<max>`` become ``<max>``).

    Raises:
        InputError: no such transform, or the parameter of ``clip`` is not a positive number.
    """
    if name in TRANSFORMS:
        return TRANSFORMS[name]
    stem, colon, parameter = name.partition(":")
    if stem == "clip" and colon:
        try:
            limit = float(parameter)
        except ValueError:
            limit = float("nan")
        if not (np.isfinite(limit) and limit > 0):
            raise InputError(
                f"transform {name!r}: expected a positive number after 'clip:', for example "
                f"'clip:50', found {parameter!r}."
            )
        return lambda values: np.minimum(values, values.dtype.type(limit))
    known = ", ".join([*TRANSFORMS, "clip:<max>"])
    raise InputError(f"transform {name!r} is not known; known transforms: {known}.")


def apply_transform(name: str, values: np.ndarray) -> np.ndarray:
    """Transform raw values; the result has the dtype and shape of ``values`` (floating point).

    Raises:
        InputError: unknown transform, or a logarithm of negative values was asked for.
    """
    function = transform_function(name)
    if name in ("log1p", "log10p1") and values.size and float(values.min()) < 0:
        raise InputError(
            f"transform {name!r} needs values >= 0, found {float(values.min()):g}; use 'raw' for "
            "this track, or a track of absolute values."
        )
    return function(values)


def check_kind(name: str, kind: str) -> None:
    """Refuse a kind that does not exist or a reserved modality name.

    Raises:
        InputError: unknown kind or reserved name.
    """
    if kind not in known_kinds():
        raise InputError(
            f"modality {name!r}: kind {kind!r} is not known; known kinds: "
            f"{', '.join(known_kinds())}."
        )
    if name in RESERVED_NAMES:
        raise InputError(
            f"modality {name!r}: this name is reserved (reserved names: "
            f"{', '.join(sorted(RESERVED_NAMES))}); choose another name."
        )
