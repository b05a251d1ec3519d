"""A small convolutional network: the reference that any state space model should beat.

Not a model of the paper. Four times [convolution, batch norm, GELU, max pooling by 4] over bases
and signals, the mean over positions, and the shared head.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn

from prismflow.errors import InputError
from prismflow.models.common import (
    BatchLike,
    ExpressionHead,
    ExpressionModel,
    InputSpec,
    ModelOutput,
    NoLossWeights,
)
from prismflow.settings.fields import require_positive


@dataclass(frozen=True)
class CNNSettings:
    """Hyper-parameters.

    Attributes:
        channels: width of every convolution.
        n_layers: number of blocks; each divides the length by ``pool``.
        kernel: width of the first convolution; the others have 5.
        pool: factor of the max pooling.
        d_hidden: width of the head.
        dropout: applied to the pooled representation.
    """

    channels: int = 128
    n_layers: int = 4
    kernel: int = 15
    pool: int = 4
    d_hidden: int = 128
    dropout: float = 0.1

    def __post_init__(self) -> None:
        require_positive(self, "channels", "n_layers", "kernel", "pool", "d_hidden")
        if self.kernel % 2 == 0:
            raise InputError(f"kernel must be odd, found {self.kernel}.")
        if not 0 <= self.dropout < 1:
            raise InputError(f"dropout must be in [0, 1), found {self.dropout}.")


class CNN(ExpressionModel):
    """Bases and any number of signals (none included): (B, L, 4 + M) -> (B,)."""

    architecture = "cnn"
    Settings = CNNSettings
    TINY: ClassVar[dict[str, Any]] = {"channels": 8, "n_layers": 2, "d_hidden": 16}

    def __init__(
        self, settings: CNNSettings, loss_weights: NoLossWeights, inputs: InputSpec
    ) -> None:
        super().__init__(settings, loss_weights, inputs)
        blocks: list[nn.Module] = []
        width = 4 + len(inputs.modalities)
        for i in range(settings.n_layers):
            kernel = settings.kernel if i == 0 else 5
            blocks += [
                nn.Conv1d(width, settings.channels, kernel, padding=kernel // 2),
                nn.BatchNorm1d(settings.channels),
                nn.GELU(),
                nn.MaxPool1d(settings.pool, ceil_mode=True),
            ]
            width = settings.channels
        self.encoder = nn.Sequential(*blocks)
        self.dropout = nn.Dropout(settings.dropout)
        self.head = ExpressionHead(width, inputs.n_gene_features, settings.d_hidden)

    def forward(self, batch: BatchLike) -> ModelOutput:
        """Predictions (B,)."""
        x = torch.cat([batch.sequence, batch.signals.to(batch.sequence.dtype)], dim=-1)
        pooled = self.dropout(self.encoder(x.transpose(1, 2)).mean(dim=-1))
        return ModelOutput(self.head(pooled, batch.gene_features))
