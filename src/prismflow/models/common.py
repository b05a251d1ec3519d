"""What all architectures share: inputs and outputs, settings, pooling, the expression head."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from prismflow.errors import InputError
from prismflow.models.losses import smooth_l1

CENTER_BP = 2000
"""Positions around the TSS whose hidden states are averaged (released code: ``center_len``)."""


@dataclass(frozen=True)
class InputSpec:
    """What a model is fed.

    Attributes:
        modalities: names of the signals, in channel order; empty for sequence-only models.
        n_gene_features: length of the gene feature vector, 0 for none.
        window_bp: length of the windows that it is trained on, in bases.
    """

    modalities: tuple[str, ...]
    n_gene_features: int
    window_bp: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "modalities", tuple(self.modalities))
        if len(set(self.modalities)) != len(self.modalities):
            raise InputError(f"modalities must differ, found {', '.join(self.modalities)}.")
        if self.window_bp < 1 or self.n_gene_features < 0:
            raise InputError(
                "a model needs a window of at least 1 bp and no negative number of gene features, "
                f"found window_bp {self.window_bp} and n_gene_features {self.n_gene_features}."
            )


class BatchLike(Protocol):
    """The attributes of a batch that models read (see ``prismflow.training.batches.Batch``)."""

    @property
    def sequence(self) -> Tensor: ...
    @property
    def signals(self) -> Tensor: ...
    @property
    def gene_features(self) -> Tensor: ...
    @property
    def extras(self) -> dict[str, Tensor]: ...


class InputsLike(Protocol):
    """What models read of all genes of a split (see ``prismflow.data.inputs.GeneInputs``)."""

    @property
    def transforms(self) -> Mapping[str, str]: ...
    def signal(self, name: str, rows: np.ndarray) -> np.ndarray: ...
    def features(self, rows: np.ndarray) -> np.ndarray: ...
    def labels(self, rows: np.ndarray) -> np.ndarray: ...


@dataclass(frozen=True)
class ModelOutput:
    """What a forward pass returns.

    Attributes:
        prediction: (B,) the reported prediction, in the unit of the label.
        extras: further tensors by name, such as ``direct`` (B,), ``backdoor`` (B,),
            ``context_weights`` (B, d_model, n) or ``mask`` (B, L).
    """

    prediction: Tensor
    extras: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class NoLossWeights:
    """The loss of an architecture with a single term has nothing to weigh."""


def center_slice(length: int, center_bp: int) -> slice:
    """The central min(center_bp, length) positions of ``length``.

    The released code slices from ``(length - center_bp) // 2`` even where that is negative and so
    pools only the last few positions of windows between 668 and 1,999 bp; here the whole window
    is pooled instead.
    """
    width = min(center_bp, length)
    start = (length - width) // 2
    return slice(start, start + width)


def center_mean(hidden: Tensor, center_bp: int) -> Tensor:
    """Mean over the central positions: (..., L, d) -> (..., d)."""
    return hidden[..., center_slice(hidden.shape[-2], center_bp), :].mean(dim=-2)


class ExpressionHead(nn.Module):
    """Shared head: [z; f] -> Linear, ReLU, Linear, ReLU, Linear -> one number per gene.

    The gene features f are concatenated for every model, sequence-only ones included, as in the
    released code.

    Args:
        d_input: size of the pooled representation z.
        n_gene_features: size of f, may be 0.
        d_hidden: size of both hidden layers, 128 in the paper.
    """

    def __init__(self, d_input: int, n_gene_features: int, d_hidden: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(d_input + n_gene_features, d_hidden),
            nn.ReLU(),
            nn.Linear(d_hidden, d_hidden),
            nn.ReLU(),
            nn.Linear(d_hidden, 1),
        )

    def forward(self, pooled: Tensor, gene_features: Tensor) -> Tensor:
        """(..., d_input) and (..., F) with equal leading sizes -> (...)."""
        return self.layers(torch.cat([pooled, gene_features.to(pooled.dtype)], dim=-1)).squeeze(-1)


class BaseEmbedding(nn.Embedding):
    """Embedding of bases in the vocabulary of the released token models.

    The table has 12 rows: seven special tokens that never occur here, then A, C, G, T and N.
    Unused rows are kept so that parameter counts and released weights agree.
    """

    N_TOKENS = 12
    FIRST_BASE = 7

    def __init__(self, d_model: int) -> None:
        super().__init__(self.N_TOKENS, d_model)

    def forward(self, sequence: Tensor) -> Tensor:
        """(B, L, 4) one-hot A, C, G, T with zero rows for N -> (B, L, d_model)."""
        base = torch.where(sequence.sum(dim=-1) > 0, sequence.argmax(dim=-1), 4)
        return super().forward(base + self.FIRST_BASE)


def zero_linear_biases(model: nn.Module) -> None:
    """Set every Linear bias to 0 except the time-step projections' (released initialisation)."""
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear) and module.bias is not None and "dt_proj" not in name:
            nn.init.zeros_(module.bias)


class ExpressionModel(nn.Module):
    """Base of the neural architectures.

    Class attributes:
        architecture: its name in the registry.
        uses_signals: whether it reads ``batch.signals``; others refuse modalities, so that a
            table never says that signals were used where they were not.
        needs: further inputs that must be in ``batch.extras``.
        takes: further inputs that it reads where a store has them.
        fixed_length: whether it can be used with windows of its own length only.
        learns_from_the_split: whether it has ``prepare`` (before training), ``conclude`` (after it)
            and ``outputs_of_split``, which see all genes of a split.
        cast_at_once: its parts whose linear maps and convolutions nothing but these operations
            reads, so that all their weights can be cast for low precision together.
        tabular: false; true for models that are fitted to a table of features.
        Settings, LossWeights: dataclasses with the paper's values as defaults.
        TINY: hyper-parameters for tests on a CPU.
    """

    architecture: ClassVar[str]
    uses_signals: ClassVar[bool] = True
    needs: ClassVar[tuple[str, ...]] = ()
    takes: ClassVar[tuple[str, ...]] = ()
    fixed_length: ClassVar[bool] = False
    tabular: ClassVar[bool] = False
    learns_from_the_split: ClassVar[bool] = False
    cast_at_once: ClassVar[tuple[str, ...]] = ()
    Settings: ClassVar[type]
    LossWeights: ClassVar[type] = NoLossWeights
    TINY: ClassVar[dict[str, Any]]

    def __init__(self, settings: Any, loss_weights: Any, inputs: InputSpec) -> None:
        super().__init__()
        if inputs.modalities and not self.uses_signals:
            raise InputError(
                f"architecture {self.architecture} reads the sequence only, but modalities "
                f"{', '.join(inputs.modalities)} are given: set modalities to an empty list."
            )
        self.settings = settings
        self.loss_weights = loss_weights
        self.inputs = inputs

    def require_modalities(self) -> None:
        """Check that there is at least one signal.

        Raises:
            InputError: there is none.
        """
        if not self.inputs.modalities:
            raise InputError(
                f"architecture {self.architecture} needs at least one modality, found none."
            )

    def reported_prediction(self, batch: BatchLike) -> Tensor:
        """``forward(batch).prediction`` (B,), without outputs that it does not depend on."""
        return self(batch).prediction

    def prepare(self, inputs: InputsLike, rows: np.ndarray) -> None:
        """Called before training where ``learns_from_the_split``, with the training genes' rows."""

    def conclude(self, score: np.ndarray, inputs: InputsLike, rows: np.ndarray) -> None:
        """Called after training, with the (n,) predictions and rows of the validation genes."""

    def outputs_of_split(self, extras: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Further outputs of genes that are predicted together, from their collected extras."""
        return {}

    def losses(self, output: ModelOutput, target: Tensor) -> dict[str, Tensor]:
        """Weighted loss terms by name; training minimises their sum.

        Args:
            output: of ``forward`` on the same batch.
            target: (B,) labels.
        """
        return {"prediction": smooth_l1(output.prediction, target)}


def parameter_count(model: nn.Module) -> int:
    """Number of distinct parameters (tied ones count once)."""
    return sum(p.numel() for p in model.parameters())
