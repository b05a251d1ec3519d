"""A run: which model is trained in which cell, on which fold, with which seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class RunKey(NamedTuple):
    """What tells the runs of one dataset apart; result files and requests carry these."""

    cell: str
    model: str
    fold: str
    seed: int

    @property
    def name(self) -> str:
        """The ``{run}`` wildcard: fold and seed."""
        return f"{self.fold}_seed{self.seed}"


@dataclass(frozen=True, order=True)
class Run:
    """One training run; ``folder`` is where its files stand below results/."""

    dataset: str
    cell: str
    model: str
    fold: str
    seed: int

    @property
    def key(self) -> RunKey:
        """The run within its dataset."""
        return RunKey(self.cell, self.model, self.fold, self.seed)

    @property
    def name(self) -> str:
        """The ``{run}`` wildcard."""
        return self.key.name

    @property
    def folder(self) -> str:
        """Folder below the results folder."""
        return f"{self.dataset}/{self.cell}/{self.model}/{self.name}"
