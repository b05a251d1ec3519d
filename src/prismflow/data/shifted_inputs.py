"""Inputs in a window that is moved against the TSS, and as the other strand shows them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from prismflow.data.inputs import GeneInputs
from prismflow.data.strands import OtherStrand

_UNKNOWN = 4


@dataclass(frozen=True, eq=False)
class ShiftedInputs(GeneInputs):
    """The window moved by ``offset_bp`` downstream of the forward strand.

    Bases that the store doesn't hold are unknown and have no signal. Gene features and candidate
    elements stay.
    """

    offset_bp: int = 0

    def codes(self, rows: np.ndarray) -> np.ndarray:
        """(n, w) uint8, moved."""
        return self._cut(self._wide().codes(rows), _UNKNOWN)

    def signal(self, name: str, rows: np.ndarray) -> np.ndarray:
        """(n, w) float32, moved."""
        return self._cut(self._wide().signal(name, rows), 0)

    def extra(self, name: str, rows: np.ndarray) -> np.ndarray:
        """As where the window isn't moved, but for the peak mask."""
        wide = self._wide()
        return (
            self._cut(wide.extra(name, rows), 0) if name == "peak_mask" else wide.extra(name, rows)
        )

    def _wide(self) -> GeneInputs:
        known = {f.name: getattr(self, f.name) for f in dataclasses.fields(GeneInputs)}
        width = min(self.window_bp + 2 * abs(self.offset_bp), self.store.window_bp)
        return GeneInputs(**{**known, "window_bp": width})

    def _cut(self, values: np.ndarray, nothing: int) -> np.ndarray:
        first = (values.shape[1] - self.window_bp) // 2 + self.offset_bp
        there = slice(max(first, 0), min(first + self.window_bp, values.shape[1]))
        found = np.full((len(values), self.window_bp), nothing, values.dtype)
        found[:, there.start - first : there.stop - first] = values[:, there]
        return found


@dataclass(frozen=True, eq=False)
class _ShiftedOtherStrand(OtherStrand, ShiftedInputs):
    """The moved window from the other strand."""


def shifted(inputs: GeneInputs, offset_bp: int, other_strand: bool = False) -> ShiftedInputs:
    """Inputs in a window moved by ``offset_bp``."""
    known = {f.name: getattr(inputs, f.name) for f in dataclasses.fields(GeneInputs)}
    view = _ShiftedOtherStrand if other_strand else ShiftedInputs
    return view(**known, offset_bp=offset_bp)
