"""Kinds of modalities: a file each, found by its name; inspects, writes and says what it stores.

Another kind is a file here that ends in ``KIND = Itself()``, and a row in
:mod:`prismflow.settings.kinds`, which planning reads.
"""

from __future__ import annotations

import abc
import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from prismflow.data.chromosomes import Genes
from prismflow.data.transforms import check_kind

#: A row of the tracks sheet with its modality's settings: ``path``, and as far as they are given
#: ``modality``, ``resolution_bp``, ``normalisation``, ``absent_chromosomes``, ``missing``,
#: ``pseudocount``, ``double_padding``, ``format`` (as the row gives it).
TrackSettings = Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class AtTss:
    """What a track says at the TSS of N genes; None where its kind can't say it.

    Attributes:
        values: (N, w) per base of ``[tss - w/2, tss + w/2)`` on the forward strand; the summary
            of :meth:`Kind.inspect` then has the shares of missing bases and quantiles.
        level: (N,), one number per gene, where there is none per base.
        level_words: what that number is, for sentences.
        shares: of genes with a region at TSS +- 500, and of places elsewhere in the genome.
    """

    values: np.ndarray | None = None
    level: np.ndarray | None = None
    level_words: str = ""
    shares: tuple[float, float] | None = None


class Kind(abc.ABC):
    """One kind of modality: how its files are checked and what a store keeps of them."""

    @abc.abstractmethod
    def inspect(self, track: TrackSettings, genes: Genes, window_bp: int) -> dict[str, Any]:
        """Check a file against the genes; what it holds, as values that JSON knows.

        Raises:
            InputError: the file can't be used with these genes.
        """

    def at_tss(self, track: TrackSettings, genes: Genes, window_bp: int) -> AtTss:
        """What a biologist would look at: the track at the TSS; a kind need not have any.

        Args:
            track: its settings.
            genes: N genes.
            window_bp: bases around the TSS of values per base.

        Raises:
            InputError: the file can't be read.
        """
        return AtTss()

    @abc.abstractmethod
    def write(
        self, file: Path, track: TrackSettings, genes: Genes, window_bp: int, dtype: str
    ) -> dict[str, Any]:
        """Write the array of a store, a row per gene; returns its entry of ``store.json``.

        The entry says how the array is laid out and so how it is read and transformed, see
        :func:`prismflow.data.layouts.layout_of`.

        Raises:
            InputError: the file can't be used with these genes.
        """


def absent_policy(track: TrackSettings) -> str:
    """``error`` or ``missing``: what a chromosome that the file lacks means."""
    return str(track.get("absent_chromosomes") or "error")


def kind_of(modality: str, kind: str) -> Kind:
    """The kind of a modality.

    Raises:
        InputError: there is no such kind, or the modality has a reserved name.
    """
    check_kind(modality, kind)
    found: Kind = importlib.import_module(f"{__name__}.{kind}").KIND
    return found
