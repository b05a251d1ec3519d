"""Model inputs as arrays: crops, transforms, removals; no torch, because tabular jobs need none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from prismflow.data.transforms import apply_transform
from prismflow.errors import InputError

if TYPE_CHECKING:
    from prismflow.data.store import Store


READ_GENES = 64
"""Genes that are read from the store at a time when a whole split is loaded."""


@dataclass(frozen=True, eq=False)
class GeneInputs:
    """Reads model inputs of any store rows; all arrays are new and in the order of ``rows``.

    Attributes:
        store: the cell's store.
        modalities: names of the signals, in channel order.
        transforms: transform of each modality.
        gene_features: names of the gene features, in order.
        window_bp: length of the centre crop.
        extras: names of further inputs (``peak_mask``, ``elements``, ``element_features``).
        replaced_signals: (w,) transformed values by modality, used for every gene instead of
            its own.
        replaced_features: value by gene feature, used for every gene instead of its own.
        donors: store row from which a row takes its values, by modality or gene feature.
    """

    store: Store
    modalities: tuple[str, ...]
    transforms: Mapping[str, str]
    gene_features: tuple[str, ...]
    window_bp: int
    extras: tuple[str, ...] = ()
    replaced_signals: Mapping[str, np.ndarray] = field(default_factory=dict)
    replaced_features: Mapping[str, float] = field(default_factory=dict)
    donors: Mapping[str, Mapping[int, int]] = field(default_factory=dict)

    def codes(self, rows: np.ndarray) -> np.ndarray:
        """(n, w) uint8: A 0, C 1, G 2, T 3, N 4."""
        return self.store.sequence(rows, self.window_bp)

    def signal(self, name: str, rows: np.ndarray) -> np.ndarray:
        """(n, w) float32, transformed values of one modality after crop and removal."""
        if name in self.replaced_signals:
            return np.repeat(self.replaced_signals[name][None], len(rows), axis=0)
        values = self.store.signal(name, self._donors(name, rows), self.window_bp)
        fitted = self.store.modality(name).get("s3norm")
        transformed = apply_transform(self.transforms[name], values, fitted)
        return transformed.astype(np.float32, copy=False)

    def signals(self, rows: np.ndarray) -> np.ndarray:
        """(n, w, M) float32, all modalities."""
        values = np.empty((len(rows), self.window_bp, len(self.modalities)), np.float32)
        for channel, name in enumerate(self.modalities):
            values[:, :, channel] = self.signal(name, rows)
        return values

    def features(self, rows: np.ndarray) -> np.ndarray:
        """(n, F) float32 gene features after removal."""
        known = list(self.store.manifest["gene_features"])
        values = np.empty((len(rows), len(self.gene_features)), np.float32)
        for column, name in enumerate(self.gene_features):
            if name in self.replaced_features:
                values[:, column] = self.replaced_features[name]
            else:
                source = self._donors(name, rows)
                values[:, column] = self.store.gene_features[source, known.index(name)]
        return values

    def labels(self, rows: np.ndarray) -> np.ndarray:
        """(n,) float32."""
        return self.store.labels[rows]

    def extra(self, name: str, rows: np.ndarray) -> np.ndarray:
        """A further input: ``peak_mask`` float32 (n, w), ``elements`` uint8 (n, P, element_bp)
        base codes, ``element_features`` float32 (n, P, 3).

        Features of elements that come from a removed modality are 0 for every gene.

        Raises:
            InputError: the store cannot supply it.
        """
        if name == "elements":
            return self.store.element_codes(rows)
        if name == "element_features":
            return self._element_features(rows)
        if name != "peak_mask":
            raise InputError(
                f"the model needs the input {name!r}, which stores do not hold; they can supply "
                "peak_mask, elements and element_features."
            )
        if len(self.store.peaks) != 1:
            raise InputError(
                f"{self.store.path}: the model needs exactly one track of kind 'peaks' as its "
                f"mask, the store of cell {self.store.manifest['cell']!r} has: "
                f"{', '.join(self.store.peaks) or 'none'}; add one to the sheet of tracks."
            )
        return self.store.signal(self.store.peaks[0], rows, self.window_bp)

    def _element_features(self, rows: np.ndarray) -> np.ndarray:
        values = self.store.element_features(rows)
        entry = self.store.manifest["elements"]
        removed = {*self.replaced_signals, *self.donors}
        if entry["contacts"] in removed:
            values[..., 1] = 0
        if removed.intersection(entry["activity"]):
            values[..., 2] = 0
        return values

    def mean_signal(self, name: str, rows: np.ndarray) -> np.ndarray:
        """(w,) float32: position-wise mean of the transformed values over ``rows``."""
        total = np.zeros(self.window_bp)
        for first in range(0, len(rows), READ_GENES):
            chunk = rows[first : first + READ_GENES]
            total += self.signal(name, chunk).sum(axis=0, dtype=np.float64)
        return (total / len(rows)).astype(np.float32)

    def _donors(self, name: str, rows: np.ndarray) -> np.ndarray:
        donors = self.donors.get(name)
        return rows if donors is None else np.array([donors[int(row)] for row in rows], np.int64)
