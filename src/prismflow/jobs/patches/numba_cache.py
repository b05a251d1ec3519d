"""numba's folder for machine code, chosen for some functions and not for others' code."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numba

from prismflow.jobs.patches import Patch

PATCHES = (
    Patch(
        package="numba",
        versions="0.68",
        place="numba:config.CACHE_DIR",
        link="https://numba.readthedocs.io/en/stable/reference/envvars.html",
        why="kernels are cached in a folder named by the digest of their files",
        fallback="kernels are compiled anew in every process: an old cache is never read",
    ),
)

_NUMBA: Any = numba.config  # its settings are made when it is imported


def given_folder() -> str | None:
    """The folder that ``NUMBA_CACHE_DIR`` names, if it does."""
    return getattr(_NUMBA, "CACHE_DIR", "") or None


def can_choose() -> bool:
    """Whether this numba takes its folder from there."""
    return hasattr(_NUMBA, "CACHE_DIR")


@contextlib.contextmanager
def numba_caches_in(folder: Path) -> Iterator[None]:
    """numba asks for its folder when a function is decorated; other users' are left as they are."""
    before = _NUMBA.CACHE_DIR
    _NUMBA.CACHE_DIR = str(folder)
    try:
        yield
    finally:
        _NUMBA.CACHE_DIR = before
