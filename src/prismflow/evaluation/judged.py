"""One line of the table of claims, and how lines become a claim's verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from prismflow.statistics.verdicts import Reading, combine, in_part


@dataclass(frozen=True)
class Judged:
    """One line of the table, and what the claim's verdict is made from.

    Attributes:
        values: of the columns.
        readings: of the line; none where nothing was tested, or where something was counted.
        parts: what the line stands for, by name, and whether it was tested.
        unit: what a part is, in the plural.
    """

    values: dict[str, Any]
    readings: tuple[Reading, ...] = ()
    parts: dict[str, bool] = field(default_factory=dict)
    unit: str = "tests"


def claim_verdict(require: str, lines: Sequence[Judged], level: float) -> str:
    """Verdict of a claim; it names the parts that were tested nowhere, or not in every cell."""
    counted = [line for line in lines if line.values.get("metric") == "parameters"]
    if counted:
        return str(counted[0].values["test_verdict"])
    cells: dict[str, list[Reading]] = {}
    parts: dict[str, list[tuple[str, bool]]] = {}
    for line in lines:
        cell = str(line.values.get("cell") or "")
        cells.setdefault(cell, []).extend(line.readings)
        for part, tested in line.parts.items():
            parts.setdefault(part, []).append((cell, tested))
    untested = []
    for part, places in parts.items():
        absent = [cell for cell, tested in places if not tested]
        if len(absent) == len(places):
            untested.append(part)
        elif absent:
            untested.append(f"{part} in {', '.join(absent)}")
    units = {line.unit for line in lines}
    unit = units.pop() if len(units) == 1 else "tests"
    verdict = combine(list(cells.values()), require, level)
    return in_part(verdict, require, list(parts), untested, unit)
