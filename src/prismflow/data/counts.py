"""What a reader was given, what it kept, and what it skipped for which reason."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Count:
    """Things of one kind in one input: every one is kept or skipped for a reason.

    Attributes:
        unit: what is counted: ``lines``, ``genes``, ``bases``, ``records``, ...
        n_read: how many the input has.
        skipped: reason -> how many were left out for it.
    """

    unit: str
    n_read: int = 0
    skipped: dict[str, int] = field(default_factory=dict)

    def skip(self, reason: str, number: int) -> None:
        """Count what is left out for a reason; nothing is noted where nothing is."""
        if number:
            self.skipped[reason] = self.skipped.get(reason, 0) + int(number)

    @property
    def n_kept(self) -> int:
        """What is left.

        Raises:
            RuntimeError: more was skipped than there was, which is a fault of the reader.
        """
        kept = self.n_read - sum(self.skipped.values())
        if kept < 0:
            raise RuntimeError(f"{self.unit}: {self.n_read} read, skipped {self.skipped}")
        return kept

    def plain(self, n_kept: int | None = None) -> dict[str, Any]:
        """As values that JSON knows.

        Args:
            n_kept: what the reader has in its hands in the end, where it knows by itself.

        Raises:
            RuntimeError: kept and skipped are not all that was read.
        """
        if n_kept is not None and n_kept != self.n_kept:
            raise RuntimeError(
                f"{n_kept} {self.unit} kept of {self.n_read}, skipped {self.skipped}"
            )
        return {
            "unit": self.unit, "read": int(self.n_read), "kept": self.n_kept,
            "skipped": dict(self.skipped),
        }  # fmt: skip


def rows_of(counts: Iterable[Mapping[str, Any]], **place: str) -> list[dict[str, str | int]]:
    """Rows of ``input_summary.tsv`` from what :meth:`Count.plain` gives, most skipped first.

    Args:
        counts: one mapping per unit.
        place: columns that say which input is meant.
    """
    rows: list[dict[str, str | int]] = []
    for count in counts:
        unit = {**place, "unit": count["unit"]}
        rows.append({**unit, "outcome": "read", "reason": "", "n": count["read"]})
        rows.append({**unit, "outcome": "kept", "reason": "", "n": count["kept"]})
        for reason, n in sorted(count["skipped"].items(), key=lambda item: (-item[1], item[0])):
            rows.append({**unit, "outcome": "skipped", "reason": reason, "n": n})
    return rows
