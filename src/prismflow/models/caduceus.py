r"""Caduceus as the paper's baselines use it: a bidirectional Mamba over embedded bases.

.. math::
    y = \mathrm{head}([\mathrm{pool}\, B(X W + b); f]) \quad\text{or}\quad
    y = \mathrm{head}([\mathrm{pool}\, B([X; S] W + b); f])

There is neither reverse-complement equivariance nor pretraining (released code).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn

from prismflow.models.bimamba import BiMambaBackbone
from prismflow.models.common import (
    CENTER_BP,
    BatchLike,
    ExpressionHead,
    ExpressionModel,
    InputSpec,
    ModelOutput,
    NoLossWeights,
    center_mean,
    require_positive,
    zero_linear_biases,
)


@dataclass(frozen=True)
class CaduceusSettings:
    """Hyper-parameters; the defaults are the paper's.

    Attributes:
        center_bp: positions that are pooled around the TSS.
        d_hidden: width of the head; None means d_model.
    """

    d_model: int = 128
    n_layers: int = 4
    d_state: int = 16
    d_conv: int = 4
    expand: int = 2
    center_bp: int = CENTER_BP
    d_hidden: int | None = None

    def __post_init__(self) -> None:
        require_positive(self, "d_model", "n_layers", "d_state", "d_conv", "expand", "center_bp")


class Caduceus(ExpressionModel):
    """Sequence only: (B, L, 4) -> (B,)."""

    architecture = "caduceus"
    uses_signals = False
    Settings = CaduceusSettings
    TINY: ClassVar[dict[str, Any]] = {
        "d_model": 16,
        "n_layers": 2,
        "d_state": 4,
        "center_bp": 100,
    }

    def __init__(
        self, settings: CaduceusSettings, loss_weights: NoLossWeights, inputs: InputSpec
    ) -> None:
        super().__init__(settings, loss_weights, inputs)
        if self.uses_signals:
            self.require_modalities()
        d_model = settings.d_model
        self.embedding = nn.Linear(4 + len(inputs.modalities), d_model)
        self.backbone = BiMambaBackbone(
            d_model,
            settings.n_layers,
            d_state=settings.d_state,
            d_conv=settings.d_conv,
            expand=settings.expand,
        )
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
