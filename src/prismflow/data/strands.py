"""Inputs as the other strand shows them: reverse complement of the sequence, signals reversed."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from prismflow.data.inputs import GeneInputs

COMPLEMENT = np.array([3, 2, 1, 0, 4], dtype=np.uint8)
"""Base code -> code of the base it pairs with (A 0, C 1, G 2, T 3, unknown 4)."""


@dataclass(frozen=True, eq=False)
class OtherStrand(GeneInputs):
    """The same genes read from the other strand.

    A window is symmetric about the TSS, so its reverse complement is a window about the same TSS.
    Gene features have no direction and stay; candidate elements are turned each in its place.
    """

    def codes(self, rows: np.ndarray) -> np.ndarray:
        """(n, w) uint8, complemented and reversed."""
        return np.ascontiguousarray(COMPLEMENT[super().codes(rows)][:, ::-1])

    def signal(self, name: str, rows: np.ndarray) -> np.ndarray:
        """(n, w) float32, reversed."""
        return np.ascontiguousarray(super().signal(name, rows)[:, ::-1])

    def extra(self, name: str, rows: np.ndarray) -> np.ndarray:
        """As of the forward strand, with positions reversed."""
        values = super().extra(name, rows)
        if name == "elements":
            return np.ascontiguousarray(COMPLEMENT[values][..., ::-1])
        return np.ascontiguousarray(values[:, ::-1]) if name == "peak_mask" else values


def other_strand(inputs: GeneInputs) -> OtherStrand:
    """The other strand's view of inputs."""
    fields = {f.name: getattr(inputs, f.name) for f in dataclasses.fields(GeneInputs)}
    return OtherStrand(**fields)
