r"""Caduceus as the paper's baselines use it: a bidirectional Mamba over embedded bases.

.. math::
    y = \mathrm{head}([\mathrm{pool}\, B(X W + b); f]) \quad\text{or}\quad
    y = \mathrm{head}([\mathrm{pool}\, B([X; S] W + b); f])

There is neither reverse-complement equivariance nor pretraining (released code).
"""

from __future__ import annotations

import torch
from torch import nn

from prismflow.models.bimamba import TINY_BACKBONE, BackboneSettings
from prismflow.models.common import (
    BatchLike,
    ExpressionHead,
    ExpressionModel,
    InputSpec,
    ModelOutput,
    NoLossWeights,
    center_mean,
    zero_linear_biases,
)


class Caduceus(ExpressionModel):
    """Sequence only: (B, L, 4) -> (B,)."""

    architecture = "caduceus"
    uses_signals = False
    Settings = BackboneSettings
    TINY = TINY_BACKBONE

    def __init__(
        self, settings: BackboneSettings, loss_weights: NoLossWeights, inputs: InputSpec
    ) -> None:
        super().__init__(settings, loss_weights, inputs)
        if self.uses_signals:
            self.require_modalities()
        d_model = settings.d_model
        self.embedding = nn.Linear(4 + len(inputs.modalities), d_model)
        self.backbone = settings.backbone()
        self.head = ExpressionHead(d_model, inputs.n_gene_features, settings.d_hidden or d_model)
        zero_linear_biases(self)

    def forward(self, batch: BatchLike) -> ModelOutput:
        """Predictions (B,)."""
        x = batch.sequence
        if self.uses_signals:
            x = torch.cat([x, batch.signals.to(x.dtype)], dim=-1)
        hidden = self.backbone(self.embedding(x))
        pooled = center_mean(hidden, self.settings.center_bp)
        return ModelOutput(self.head(pooled, batch.gene_features))


class CaduceusSignals(Caduceus):
    """Sequence and signals concatenated per base: (B, L, 4 + M) -> (B,)."""

    architecture = "caduceus_signals"
    uses_signals = True
