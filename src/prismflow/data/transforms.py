"""Modalities by name: kinds and transforms.

A modality is always addressed by the name it has in the sheet of tracks, never by a channel
number. Transforms are applied when a batch is made; stores keep raw values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
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


#: Largest value that S3norm gives, as in its paper.
S3NORM_LIMIT = 100_000.0

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
    known = ", ".join([*TRANSFORMS, "clip:<max>", "s3norm", "s3norm:<another>"])
    raise InputError(f"transform {name!r} is not known; known transforms: {known}.")


def apply_transform(
    name: str, values: np.ndarray, fitted: Mapping[str, float] | None = None
) -> np.ndarray:
    """Transform raw values; the result has the dtype and shape of ``values`` (floating point).

    Args:
        name: see :func:`transform_function`; ``s3norm`` gives ``a x^b``, and ``s3norm:log1p`` (or
            another name) that transform of it.
        values: raw values.
        fitted: the numbers ``a`` and ``b`` of the track, which only S3norm needs.

    Raises:
        InputError: unknown transform, a logarithm or a power of negative values was asked for, or
            S3norm of a track that it was not fitted to.
    """
    first, _, second = name.partition(":")
    if first == "s3norm":
        scaled = _s3norm(values, fitted)
        return apply_transform(second, scaled) if second else scaled
    function = transform_function(name)
    if name in ("log1p", "log10p1") and values.size and float(values.min()) < 0:
        raise InputError(
            f"transform {name!r} needs values >= 0, found {float(values.min()):g}; use 'raw' for "
            "this track, or a track of absolute values."
        )
    return function(values)


def _s3norm(values: np.ndarray, fitted: Mapping[str, float] | None) -> np.ndarray:
    if fitted is None:
        raise InputError(
            "transform 's3norm' needs a track that it was fitted to, found none in its store; name "
            "a reference in `modalities.NAME.s3norm` and build the store again."
        )
    if values.size and float(values.min()) < 0:
        raise InputError(
            f"transform 's3norm' needs values >= 0, found {float(values.min()):g}; use 'raw' for "
            "this track, or a track of absolute values."
        )
    wide = values.astype(np.float64)
    return np.minimum(fitted["a"] * wide ** fitted["b"], S3NORM_LIMIT).astype(values.dtype)


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
