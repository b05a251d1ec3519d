"""From the store to batches: crops, transforms, removals, and which genes are in which step.

Numbers are read and transformed with numpy (:class:`GeneInputs`, also used by the tabular models);
:class:`GeneBatches` turns them into tensors for the networks. torch is imported only when tensors
are made, because jobs that need none should not pay for it.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from prismflow.data.inputs import READ_GENES, GeneInputs

RESIDENT_BYTES = 2 << 30
"""Data of a split up to this size are kept in memory (or on the device); larger ones stream."""

PREFETCHED_BATCHES = 2
"""Batches that a background thread prepares ahead when a split streams."""

INDEXED_BATCHES = 512
"""Batches whose genes are told to a device at once."""


_ONE_HOT = np.concatenate([np.eye(4, dtype=np.float32), np.zeros((1, 4), np.float32)])


@dataclass(frozen=True)
class Batch:
    """Inputs and labels of B genes; windows of L bases, M modalities, F gene features.

    Attributes:
        sequence: (B, L, 4) one-hot A, C, G, T of the forward strand; N and bases outside the
            chromosome are all zero.
        signals: (B, L, M) transformed signals in the order of the model's modalities.
        gene_features: (B, F).
        target: (B,) labels, or None.
        rows: (B,) int64 rows of the store.
        extras: further inputs that an architecture declares: ``peak_mask`` (B, L), ``elements``
            (B, P, element_bp, 4) one-hot, ``element_features`` (B, P, 3).
    """

    sequence: Tensor
    signals: Tensor
    gene_features: Tensor
    target: Tensor | None
    rows: Tensor
    extras: dict[str, Tensor] = field(default_factory=dict)


class GeneBatches:
    """Batches of one split as tensors on a device.

    A split whose codes and signals take at most ``resident_bytes`` is read and transformed once
    and kept on the device; a larger one (long windows) is read from the memory-mapped store for
    each batch, in a background thread that works ahead.

    Args:
        inputs: what to read.
        rows: (n,) store rows of the split, in the order of evaluation.
        device: torch device of the batches.
        resident_bytes: see :data:`RESIDENT_BYTES`.
    """

    def __init__(
        self,
        inputs: GeneInputs,
        rows: np.ndarray,
        device: torch.device | str = "cpu",
        resident_bytes: int = RESIDENT_BYTES,
    ) -> None:
        self.inputs, self.rows = inputs, np.asarray(rows, dtype=np.int64)
        self.device = torch.device(device)
        per_gene = inputs.window_bp * (1 + 4 * len(inputs.modalities))
        per_gene += sum(inputs.extra(name, self.rows[:1]).nbytes for name in inputs.extras)
        self.resident = self.rows.size * per_gene <= resident_bytes
        self._one_hot = torch.from_numpy(_ONE_HOT).to(self.device)
        self._features = torch.from_numpy(inputs.features(self.rows)).to(self.device)
        self._labels = torch.from_numpy(inputs.labels(self.rows)).to(self.device)
        self._store_rows = torch.from_numpy(self.rows).to(self.device)
        self._windows = self._read_all() if self.resident else None

    def __len__(self) -> int:
        return self.rows.size

    def batch(self, indices: Sequence[int] | np.ndarray) -> Batch:
        """The batch of these genes of the split (indices into ``rows``)."""
        return next(self.stream([np.asarray(indices)]))

    def stream(self, chosen: Iterable[np.ndarray]) -> Iterator[Batch]:
        """Batches of the genes chosen, in order; read ahead where the split is not resident."""
        if self._windows is not None:
            codes, signals, extras = self._windows
            for _, there in self._on_device(chosen):
                picked = codes[there], signals[there], [values[there] for values in extras]
                yield self._assemble(there, picked)
            return
        with ThreadPoolExecutor(1, thread_name_prefix="prefetch") as pool:
            ahead: deque = deque()
            for indices, there in self._on_device(chosen):
                ahead.append((there, pool.submit(self._read_ahead, indices)))
                if len(ahead) > PREFETCHED_BATCHES:
                    first, windows = ahead.popleft()
                    yield self._assemble(first, windows.result())
            for first, windows in ahead:
                yield self._assemble(first, windows.result())

    def _on_device(self, chosen: Iterable[np.ndarray]) -> Iterator[tuple[np.ndarray, Tensor]]:
        """Genes with their indices on the device, brought there for many batches at once.

        The copy starts from pinned memory and is not waited for: one copy per batch would hold the
        host up at every step.
        """
        batches = iter(chosen)
        while group := list(itertools.islice(batches, INDEXED_BATCHES)):
            together = torch.from_numpy(np.concatenate(group).astype(np.int64, copy=False))
            if self.device.type == "cuda":
                together = together.pin_memory().to(self.device, non_blocking=True)
            yield from zip(group, together.split([len(indices) for indices in group]), strict=True)

    def in_order(self, batch_size: int) -> Iterator[Batch]:
        """The whole split once, in the order of ``rows``."""
        starts = range(0, len(self), batch_size)
        return self.stream(np.arange(s, min(s + batch_size, len(self))) for s in starts)

    def _read(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
        extras = [self.inputs.extra(name, rows) for name in self.inputs.extras]
        return self.inputs.codes(rows), self.inputs.signals(rows), extras

    def _read_all(self) -> tuple[Tensor, Tensor, list[Tensor]]:
        n, width = self.rows.size, self.inputs.window_bp
        codes = np.empty((n, width), np.uint8)
        signals = np.empty((n, width, len(self.inputs.modalities)), np.float32)
        one = [self.inputs.extra(name, self.rows[:1]) for name in self.inputs.extras]
        extras = [np.empty((n, *array.shape[1:]), array.dtype) for array in one]
        for first in range(0, n, READ_GENES):
            part = slice(first, first + READ_GENES)
            codes[part], signals[part], read = self._read(self.rows[part])
            for whole, values in zip(extras, read, strict=True):
                whole[part] = values
        return (
            torch.from_numpy(codes).to(self.device),
            torch.from_numpy(signals).to(self.device),
            [torch.from_numpy(values).to(self.device) for values in extras],
        )

    def _read_ahead(self, indices: np.ndarray) -> tuple[Tensor, Tensor, list[Tensor]]:
        arrays = self._read(self.rows[indices])
        pin = self.device.type == "cuda"
        tensors = [torch.from_numpy(np.ascontiguousarray(a)) for a in (*arrays[:2], *arrays[2])]
        tensors = [t.pin_memory() if pin and t.numel() else t for t in tensors]
        return tensors[0], tensors[1], tensors[2:]

    def _assemble(self, chosen: Tensor, windows: tuple[Tensor, Tensor, list[Tensor]]) -> Batch:
        codes, signals, extras = windows
        codes = codes.to(self.device, non_blocking=True)
        return Batch(
            sequence=torch.nn.functional.embedding(codes.int(), self._one_hot),
            signals=signals.to(self.device, non_blocking=True),
            gene_features=self._features[chosen],
            target=self._labels[chosen],
            rows=self._store_rows[chosen],
            extras={
                name: self._expanded(values.to(self.device, non_blocking=True))
                for name, values in zip(self.inputs.extras, extras, strict=True)
            },
        )

    def _expanded(self, values: Tensor) -> Tensor:
        """Base codes become one-hot rows; everything else stays as it is."""
        if values.dtype != torch.uint8:
            return values
        return torch.nn.functional.embedding(values.int(), self._one_hot)
