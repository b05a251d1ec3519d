"""One kind of wrong input."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    """One kind of wrong input; ``run`` works in an empty current folder.

    Attributes:
        group: heading in the document.
        wrong: what is wrong, in words.
        run: makes the input and reads it; must raise InputError.
        sentence: regular expression that the sentence must contain.
    """

    group: str
    wrong: str
    run: Callable[[], object]
    sentence: str
