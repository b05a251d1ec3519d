r"""One-directional Mamba over bases, the paper's sequence-only baseline.

.. math:: y = \mathrm{head}([\mathrm{pool}\, M(\mathrm{embed}(X)); f])

with M the backbone of ``bimamba`` scanning from the window's start only.
"""

from __future__ import annotations

from torch import nn

from prismflow.models.bimamba import TINY_BACKBONE, BackboneSettings
from prismflow.models.common import (
    BaseEmbedding,
    BatchLike,
    ExpressionHead,
    ExpressionModel,
    InputSpec,
    ModelOutput,
    NoLossWeights,
    center_mean,
)


class Mamba(ExpressionModel):
    """Sequence only: (B, L, 4) -> (B,)."""

    architecture = "mamba"
    uses_signals = False
    Settings = BackboneSettings
    TINY = TINY_BACKBONE

    def __init__(
        self, settings: BackboneSettings, loss_weights: NoLossWeights, inputs: InputSpec
    ) -> None:
        super().__init__(settings, loss_weights, inputs)
        d_model = settings.d_model
        self.embedding = BaseEmbedding(d_model)
        nn.init.normal_(self.embedding.weight, std=0.02)
        self.backbone = settings.backbone(bidirectional=False)
        # Unlike the bidirectional models, this one keeps torch's initial biases in its head.
        self.head = ExpressionHead(d_model, inputs.n_gene_features, settings.d_hidden or d_model)

    def forward(self, batch: BatchLike) -> ModelOutput:
        """Predictions (B,)."""
        hidden = self.backbone(self.embedding(batch.sequence))
        pooled = center_mean(hidden, self.settings.center_bp)
        return ModelOutput(self.head(pooled, batch.gene_features))
