"""One shelf for all that reaches into other packages' internals: versions, link and fallback.

Each module here says in ``PATCHES`` what it reaches for. No start and no import fails because such
a place has moved: the fallback stands in.
"""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass


@dataclass(frozen=True)
class Patch:
    """A place inside another package on which something here depends.

    Attributes:
        package: its name as it is installed.
        versions: with which it was read and tested; others are not refused.
        place: ``module:name`` of what may move; a name of several parts has dots.
        link: where it is discussed or stands.
        why: what is gained.
        fallback: what happens where the place is not there.
    """

    package: str
    versions: str
    place: str
    link: str
    why: str
    fallback: str


def shelf() -> dict[str, tuple[Patch, ...]]:
    """Module of this shelf -> its patches; imports them all."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return {name: importlib.import_module(f"{__name__}.{name}").PATCHES for name in names}
