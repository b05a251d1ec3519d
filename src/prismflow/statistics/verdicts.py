"""Verdicts from intervals: of one test, of a claim with several, and of one tested in part.

A test says on which side of a bound its effect must lie. A claim holds if all of its tests hold, or
if in every cell any of them does. Every reading that may decide a claim by itself is read at a
level corrected for how many had that chance; readings that must all agree need no correction
(docs/statistics.md, "Claims").
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from prismflow.statistics.paired import Effect

SUPPORTED, CONTRADICTED, UNDECIDED = "supported", "contradicted", "undecided"
NOT_TESTED = "not tested here"
FEWEST_SEEDS = 3
"""With fewer the interval covers too little where seeds vary as much as genes."""
_TOO_FEW = "not decided: "


@dataclass(frozen=True)
class Reading:
    """One effect that a claim places on a side of a bound.

    Attributes:
        effect: with its interval at any level.
        side: ``above`` or ``below``.
        bound: in the effect's own unit.
    """

    effect: Effect
    side: str
    bound: float

    def verdict(self, level: float) -> str:
        """Read off the interval with this coverage; too few seeds give none."""
        if self.effect.n_seeds < FEWEST_SEEDS:
            return too_few(self.effect.n_seeds)
        return verdict_of(*self.effect.interval(level), self.side, self.bound)


def too_few(n_seeds: int) -> str:
    """What stands in the place of a verdict where there are too few seeds."""
    seeds = "1 seed" if n_seeds == 1 else f"{n_seeds} seeds"
    return f"{_TOO_FEW}{seeds}; three are needed"


def verdict_of(low: float, high: float, side: str, bound: float) -> str:
    """Verdict of an interval where the claim is that the effect lies on ``side`` of ``bound``."""
    if math.isnan(low) or math.isnan(high):
        return UNDECIDED
    above, below = low > bound, high < bound
    if side == "below":
        above, below = below, above
    return SUPPORTED if above else CONTRADICTED if below else UNDECIDED


def corrected(level: float, chances: int) -> float:
    """Coverage at which each of ``chances`` readings errs so that any does with 1 - level."""
    return 1 - (1 - level) / max(1, chances)


def combine(cells: Sequence[Sequence[Reading]], require: str, level: float) -> str:
    """Verdict of a claim from the readings of its tests, cell by cell.

    Args:
        cells: the readings of every cell in which something was tested.
        require: ``all`` (every reading holds) or ``any`` (one holds in every cell).
        level: coverage of a single interval.

    Returns:
        ``all``: supported if every reading is at ``level`` (an intersection-union test, whose error
        is at most that of one); contradicted if one of k is at 1 - (1 - level) / k. ``any``:
        supported if in each cell one of its k readings is at 1 - (1 - level) / k; contradicted if
        in one of c cells all readings are at 1 - (1 - level) / c. Else undecided, or what
        :func:`too_few` says where no reading has enough seeds.
    """
    readings = [reading for cell in cells for reading in cell]
    if not readings:
        return NOT_TESTED
    fewest = min(reading.effect.n_seeds for reading in readings)
    if all(reading.effect.n_seeds < FEWEST_SEEDS for reading in readings):
        return too_few(fewest)
    if require == "all":
        supported = _all(readings, SUPPORTED, level)
        contradicted = _any(readings, CONTRADICTED, corrected(level, len(readings)))
    else:
        filled = [cell for cell in cells if cell]
        supported = all(_any(cell, SUPPORTED, corrected(level, len(cell))) for cell in filled)
        strict = corrected(level, len(filled))
        contradicted = any(_all(cell, CONTRADICTED, strict) for cell in filled)
    return SUPPORTED if supported else CONTRADICTED if contradicted else UNDECIDED


def _all(readings: Iterable[Reading], verdict: str, level: float) -> bool:
    return all(reading.verdict(level) == verdict for reading in readings)


def _any(readings: Iterable[Reading], verdict: str, level: float) -> bool:
    return any(reading.verdict(level) == verdict for reading in readings)


def in_part(
    verdict: str, require: str, wanted: Sequence[str], untested: Sequence[str], unit: str
) -> str:
    """A verdict that names what was not tested.

    Args:
        verdict: of the parts that were tested.
        require: ``all`` or ``any``.
        wanted: names of all parts, each once.
        untested: those of them that some cell lacks.
        unit: what a part is, in the plural.

    Returns:
        The verdict as it is if all parts were tested, or none. A verdict that a missing part could
        overturn is one "in part".
    """
    if not untested or verdict == NOT_TESTED:
        return verdict
    overturned = SUPPORTED if require == "all" else CONTRADICTED
    name = f"{verdict} in part" if verdict == overturned else verdict
    share = f"{len(wanted) - len(untested)} of {len(wanted)} {unit}"
    return f"{name} ({share}; not tested: {', '.join(untested)})"
