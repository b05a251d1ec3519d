"""Inputs in which stretches of windows are replaced: by nothing, shuffled, or from another gene."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from prismflow.data.inputs import GeneInputs
from prismflow.data.transforms import apply_transform

REPLACEMENTS = ("blank", "shuffle", "exchange")
SHUFFLE_SEED = 20_231_018
_UNKNOWN = 4
_ACTIVITY, _CONTACT = 2, 1


@dataclass(frozen=True, eq=False)
class Edits:
    """k windows, each of a gene, and what is replaced in them.

    Attributes:
        genes: (k,) rows of the store.
        first: (k + 1,) number of the first stretch of each window.
        start, end: (s,) stretches within their windows, 0-based half-open, apart, in order.
        replace: ``blank`` (unknown bases, no signal), ``shuffle`` (the replaced bases of a window
            change places) or ``exchange`` (what the donor has in its stretches, repeated where it
            has less).
        sequence: whether bases are replaced.
        signals: names of the signals that are replaced.
        donors: (k,) number of the window whose stretches are taken; for ``exchange``.
        slots: (k, P) bool, candidate elements that are replaced; None for none.
    """

    genes: np.ndarray
    first: np.ndarray
    start: np.ndarray
    end: np.ndarray
    replace: str = "blank"
    sequence: bool = True
    signals: tuple[str, ...] = ()
    donors: np.ndarray | None = None
    slots: np.ndarray | None = None

    def positions(self, window: int) -> np.ndarray:
        """Replaced positions of a window, in order."""
        spans = range(int(self.first[window]), int(self.first[window + 1]))
        parts = [np.arange(self.start[s], self.end[s]) for s in spans]
        return np.concatenate(parts) if parts else np.zeros(0, np.int64)


def one_stretch_each(
    genes: np.ndarray,
    start: np.ndarray,
    end: np.ndarray,
    signals: tuple[str, ...],
    slots: np.ndarray | None = None,
) -> Edits:
    """Edits that blank one stretch per window (k,); an empty one blanks nothing."""
    return Edits(genes, np.arange(len(genes) + 1), start, end, signals=signals, slots=slots)


@dataclass(frozen=True, eq=False)
class EditedInputs(GeneInputs):
    """As :class:`GeneInputs`, but rows are numbers of the windows of ``edits``."""

    edits: Edits | None = None

    @property
    def _edits(self) -> Edits:
        if self.edits is None:
            raise TypeError("edited inputs need edits")
        return self.edits

    def codes(self, rows: np.ndarray) -> np.ndarray:
        """(n, w) uint8, with replaced bases."""
        read = super().codes
        values = read(self._edits.genes[rows])
        return self._replaced(values, rows, read, _UNKNOWN) if self._edits.sequence else values

    def signal(self, name: str, rows: np.ndarray) -> np.ndarray:
        """(n, w) float32 transformed values, with replaced stretches."""

        def read(genes: np.ndarray) -> np.ndarray:
            return super(EditedInputs, self).signal(name, genes)

        values = read(self._edits.genes[rows])
        if name not in self._edits.signals:
            return values
        fitted = self.store.modality(name).get("s3norm")
        nothing = apply_transform(self.transforms[name], np.zeros((1, 1), np.float32), fitted)
        return self._replaced(values, rows, read, float(nothing[0, 0]))

    def features(self, rows: np.ndarray) -> np.ndarray:
        """(n, F) float32, of the windows' genes."""
        return super().features(self._edits.genes[rows])

    def labels(self, rows: np.ndarray) -> np.ndarray:
        """(n,) float32, of the windows' genes."""
        return super().labels(self._edits.genes[rows])

    def extra(self, name: str, rows: np.ndarray) -> np.ndarray:
        """As of :class:`GeneInputs`; candidate elements are replaced as ``slots`` says.

        The features of a replaced element are those of signals: activity and contact go with them,
        its distance stays.
        """

        def read(genes: np.ndarray) -> np.ndarray:
            return super(EditedInputs, self).extra(name, genes)

        edits = self._edits
        values = read(edits.genes[rows])
        if name == "peak_mask":
            touched = bool(edits.signals)
            return self._replaced(values, rows, read, 0.0) if touched else values
        if edits.slots is None:
            return values
        if name == "elements":
            return self._elements(values, rows, read) if edits.sequence else values
        entry = self.store.manifest["elements"]
        columns = [_CONTACT] if entry["contacts"] in edits.signals else []
        columns += [_ACTIVITY] if set(edits.signals).intersection(entry["activity"]) else []
        return self._element_values(values, rows, read, columns)

    def _replaced(
        self,
        values: np.ndarray,
        rows: np.ndarray,
        read: Callable[[np.ndarray], np.ndarray],
        nothing: float,
    ) -> np.ndarray:
        edits = self._edits
        for number, row in enumerate(rows.tolist()):
            at = edits.positions(row)
            if not at.size:
                continue
            if edits.replace == "blank":
                values[number, at] = nothing
            elif edits.replace == "shuffle":
                values[number, at] = values[number, _shuffled(at, edits.genes[row])]
            else:
                donor = int(self._donor_windows([row])[0])
                other = read(edits.genes[[donor]])[0]
                there = edits.positions(donor)
                values[number, at] = np.resize(other[there if there.size else at], at.size)
        return values

    def _elements(
        self, values: np.ndarray, rows: np.ndarray, read: Callable[[np.ndarray], np.ndarray]
    ) -> np.ndarray:
        """Codes (n, P, element_bp) with elements replaced."""
        for number, slots, donor, theirs in self._slots(rows):
            if self._edits.replace == "blank":
                values[number, slots] = _UNKNOWN
            elif self._edits.replace == "shuffle":
                order = _shuffled(np.arange(values.shape[2]), self._edits.genes[rows[number]])
                values[number, slots] = values[number, slots][:, order]
            else:
                other = read(self._edits.genes[[donor]])[0]
                values[number, slots] = other[np.resize(theirs, slots.size)]
        return values

    def _element_values(
        self,
        values: np.ndarray,
        rows: np.ndarray,
        read: Callable[[np.ndarray], np.ndarray],
        columns: Sequence[int],
    ) -> np.ndarray:
        """Features (n, P, 3) with those of replaced elements replaced."""
        for number, slots, donor, theirs in self._slots(rows):
            for column in columns:
                if self._edits.replace == "blank":
                    values[number, slots, column] = 0
                elif self._edits.replace == "shuffle":
                    moved = _shuffled(slots, self._edits.genes[rows[number]])
                    values[number, slots, column] = values[number, moved, column]
                else:
                    other = read(self._edits.genes[[donor]])[0]
                    values[number, slots, column] = other[np.resize(theirs, slots.size), column]
        return values

    def _slots(self, rows: np.ndarray) -> list[tuple[int, np.ndarray, int, np.ndarray]]:
        """Place in the batch, replaced slots, donor and its replaced slots, of those with any."""
        found = []
        slots = self._edits.slots
        if slots is None:
            return []
        for number, row in enumerate(rows.tolist()):
            own = np.flatnonzero(slots[row])
            if own.size:
                exchanged = self._edits.replace == "exchange"
                donor = int(self._donor_windows([row])[0]) if exchanged else row
                theirs = np.flatnonzero(slots[donor])
                found.append((number, own, donor, theirs if theirs.size else own))
        return found

    def _donor_windows(self, rows: Sequence[int]) -> np.ndarray:
        if self._edits.donors is None:
            raise TypeError("an exchange needs donors")
        return self._edits.donors[list(rows)]


def _shuffled(values: np.ndarray, gene: int) -> np.ndarray:
    """The same order for a gene's sequence and all its signals."""
    return np.random.default_rng([SHUFFLE_SEED, int(gene)]).permutation(values)


def edited(inputs: GeneInputs, edits: Edits) -> EditedInputs:
    """Inputs with these edits."""
    known = {f.name: getattr(inputs, f.name) for f in dataclasses.fields(GeneInputs)}
    return EditedInputs(**known, edits=edits)
