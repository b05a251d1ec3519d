"""Kinds of modalities: a file each, found by its name; inspects, writes and says what it stores.

Another kind is a file here that ends in ``KIND = Itself()``, and a row in
:mod:`prismflow.settings.kinds`, which planning reads.
"""

from __future__ import annotations

import abc
import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prismflow.data.chromosomes import Genes
from prismflow.data.transforms import check_kind

#: A row of the tracks sheet with its modality's settings: ``path``, and as far as they are given
#: ``modality``, ``resolution_bp``, ``normalisation``, ``absent_chromosomes``, ``missing``,
#: ``pseudocount``, ``double_padding``, ``format`` (as the row gives it).
TrackSettings = Mapping[str, Any]


class Kind(abc.ABC):
    """One kind of modality: how its files are checked and what a store keeps of them."""

    @abc.abstractmethod
    def inspect(self, track: TrackSettings, genes: Genes, window_bp: int) -> dict[str, Any]:
        """Check a file against the genes; what it holds, as values that JSON knows.

        Raises:
            InputError: the file can't be used with these genes.
        """

    @abc.abstractmethod
    def write(
        self, file: Path, track: TrackSettings, genes: Genes, window_bp: int, dtype: str
    ) -> dict[str, Any]:
        """Write the array of a store, a row per gene; returns its entry of ``store.json``.

        An entry with ``n_bins`` has a column per bin of ``resolution_bp``, one without a column per
        base. Peaks are uint8, which no model reads as a channel.

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
