"""One reference network on disk: configuration, weights, inputs, expected values."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from prismflow.released.parity.compare import F32_FORWARD_SCALED, F32_GRADIENT_SCALED, Tolerances

_SCALED = re.compile(r"\*\s*\d")


@dataclass(frozen=True)
class Folder:
    """A network folder, read.

    Attributes:
        variants: changed weights of each ``extra`` variant.
        runs: (variant, precision, mode) -> expected tensors by name.
        rest: expected tensors that belong to no run.
    """

    path: Path
    config: dict[str, Any]
    weights: dict[str, Tensor]
    inputs: dict[str, Tensor]
    variants: dict[str, dict[str, Tensor]]
    runs: dict[tuple[str, str, str], dict[str, Tensor]]
    rest: dict[str, Tensor]

    @property
    def tolerances(self) -> Tolerances:
        """Wider in float32 where the reference's weights were scaled up."""
        notes = [str(entry[-1]) for entry in self.config.get("perturbations", [])]
        if any(_SCALED.match(note) for note in notes):
            return Tolerances(F32_FORWARD_SCALED, F32_GRADIENT_SCALED)
        return Tolerances()
