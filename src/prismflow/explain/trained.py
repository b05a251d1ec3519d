"""A trained network that can be asked about changed inputs of single genes."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from prismflow.data.inputs import GeneInputs
from prismflow.data.store import Store
from prismflow.errors import InputError
from prismflow.models import class_of
from prismflow.models.common import BaseEmbedding, ExpressionModel
from prismflow.training.batches import Batch
from prismflow.training.determinism import prepare_device
from prismflow.training.inference import build_model, load_weights
from prismflow.training.record import (
    Split,
    check_agreement,
    extras_of,
    open_inputs,
    read_model_record,
    verify_files,
)

logger = logging.getLogger(__name__)

BASES = "ACGT"


@dataclass(frozen=True, eq=False)
class Gene:
    """Inputs of one gene; windows of L bases, M signals, F gene features, forward strand.

    Attributes:
        row: row of the store.
        codes: (L,) uint8 base codes, 4 for N and outside the chromosome.
        sequence: (L, 4) one-hot A, C, G, T; zero rows for N.
        signals: (L, M) transformed signals.
        features: (F,).
        extras: further inputs that an architecture declares, without a leading gene axis.
    """

    row: int
    codes: np.ndarray
    sequence: Tensor
    signals: Tensor
    features: Tensor
    extras: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Trained:
    """A trained run with the store that it reads.

    Attributes:
        model: in evaluation mode; its weights take no gradients.
        record: content of ``model.json``.
        inputs: how it reads the store.
        split: the fold that it was trained on.
        device: where it computes.
        pass_bp: most bases (windows x length x branches) of one pass.
    """

    model: ExpressionModel
    record: Mapping[str, Any]
    inputs: GeneInputs
    split: Split
    device: torch.device
    pass_bp: int

    @property
    def window_bp(self) -> int:
        """Length L of the model's windows."""
        return self.inputs.window_bp

    @property
    def reads(self) -> tuple[str, ...]:
        """Names of what it reads per base: ``sequence``, then the signals in channel order."""
        return ("sequence", *self.inputs.modalities)

    @property
    def outputs(self) -> tuple[str, ...]:
        """``direct`` and ``backdoor`` for Prism with contexts, else ``prediction``."""
        return ("direct", "backdoor") if self._n_contexts else ("prediction",)

    @property
    def _n_contexts(self) -> int:
        return int(getattr(self.model.settings, "n_contexts", 0))

    @property
    def rows_per_pass(self) -> int:
        """Windows in one pass, at least 1."""
        return max(1, self.pass_bp // (self.window_bp * (1 + self._n_contexts)))

    def gene(self, row: int) -> Gene:
        """Inputs of one row of the store."""
        rows = np.array([row], np.int64)
        codes = self.inputs.codes(rows)[0]
        extras = {}
        for name in self.inputs.extras:
            value = self.inputs.extra(name, rows)[0]
            extras[name] = self.one_hot(value) if value.dtype == np.uint8 else self._tensor(value)
        return Gene(
            row, codes, self.one_hot(codes), self._tensor(self.inputs.signals(rows)[0]),
            self._tensor(self.inputs.features(rows)[0]), extras,
        )  # fmt: skip

    def one_hot(self, codes: np.ndarray) -> Tensor:
        """uint8 (...) base codes -> float32 (..., 4), zero for N."""
        table = torch.eye(5, 4, device=self.device)
        return table[torch.from_numpy(np.ascontiguousarray(codes)).to(self.device).long()]

    def _tensor(self, values: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values)).to(self.device)

    def output(self, name: str, gene: Gene, sequence: Tensor, signals: Tensor) -> Tensor:
        """(k,) one output for k changed inputs (k, L, 4) and (k, L, M) of a gene."""
        batch = self._batch(gene, sequence, signals)
        if name == "backdoor":
            return self.model(batch).extras["backdoor"]
        return self._direct(batch)

    @torch.inference_mode()
    def predict(self, gene: Gene, sequence: Tensor, signals: Tensor) -> np.ndarray:
        """(k, outputs) float64 predictions for k changed inputs of a gene, in one pass."""
        batch = self._batch(gene, sequence, signals)
        if not self._n_contexts:
            return self.model.reported_prediction(batch).double().cpu().numpy()[:, None]
        extras = self.model(batch).extras
        return torch.stack([extras[n] for n in self.outputs], dim=1).double().cpu().numpy()

    def predict_all(
        self, gene: Gene, changed: Iterable[tuple[Tensor, Tensor]]
    ) -> Iterator[np.ndarray]:
        """Predictions (outputs,) of changed inputs (L, 4) and (L, M), many in a pass."""
        waiting: list[tuple[Tensor, Tensor]] = []
        for one in changed:
            waiting.append(one)
            if len(waiting) == self.rows_per_pass:
                yield from self._together(gene, waiting)
                waiting = []
        if waiting:
            yield from self._together(gene, waiting)

    def _together(self, gene: Gene, changed: list[tuple[Tensor, Tensor]]) -> np.ndarray:
        sequences, signals = zip(*changed, strict=True)
        return self.predict(gene, torch.stack(sequences), torch.stack(signals))

    def _direct(self, batch: Batch) -> Tensor:
        if self._n_contexts and self.model.settings.reported != "direct":
            return self.model(batch).extras["direct"]
        return self.model.reported_prediction(batch)

    def _batch(self, gene: Gene, sequence: Tensor, signals: Tensor) -> Batch:
        n = len(sequence)
        return Batch(
            sequence=sequence,
            signals=signals,
            gene_features=gene.features.expand(n, -1),
            target=None,
            rows=torch.full((n,), gene.row, device=self.device),
            extras={name: value.expand(n, *value.shape) for name, value in gene.extras.items()},
        )


def open_trained(
    store_dir: str | Path,
    splits_path: str | Path,
    weights_path: str | Path,
    model_json_path: str | Path,
    pass_bp: int,
    device: str = "auto",
    threads: int | None = None,
) -> Trained:
    """Open a trained run for questions; always in float32.

    Raises:
        InputError: it is no network, or run, store and split do not agree.
    """
    record = read_model_record(model_json_path)
    settings = record["settings"]
    architecture = class_of(settings)
    if architecture.tabular:
        raise InputError(
            f"{model_json_path}: expected a network, which reads every base of the window, found "
            f"{settings['architecture']}, which reads a table of features; name a network instead."
        )
    store = Store.open(store_dir)
    split = Split.read(splits_path, record["fold"], store)
    check_agreement(record, model_json_path, store, split)
    inputs = open_inputs(store, settings, extras_of(architecture, store))
    verify_files(inputs, settings)
    chosen = prepare_device(device, threads)
    model = build_model(settings)
    load_weights(model, weights_path)
    model.to(chosen).eval().requires_grad_(False)
    soften_bases(model)
    return Trained(model, record, inputs, split, chosen, pass_bp)


def soften_bases(model: torch.nn.Module) -> None:
    """Let embeddings of bases take mixtures of bases, so that they have a gradient.

    A table looks up one row per base; its linear extension over A, C, G, T and N (what is left to
    one) gives the same for every real sequence.
    """
    for module in model.modules():
        if isinstance(module, BaseEmbedding):
            module.forward = _mixture(module)  # type: ignore[method-assign]  # this one object


def _mixture(table: BaseEmbedding) -> Any:
    def forward(sequence: Tensor) -> Tensor:
        first = table.FIRST_BASE
        unknown = 1 - sequence.sum(dim=-1, keepdim=True)
        return torch.cat([sequence, unknown], dim=-1) @ table.weight[first : first + 5]

    return forward
