r"""The peak baseline: Seq2Exp's predictor with called DNase peaks as a fixed mask.

.. math:: y = \mathrm{head}([\mathrm{pool}\, B((E + H) \odot m); f]), \quad m \in \{0, 1\}^L

There is no generator and no KL term, and neither the promoter nor blacklisted positions are
treated specially (the rows called MACS3 in the paper's tables; released code).
"""

from __future__ import annotations

from torch import nn

from prismflow.errors import InputError
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

# As in Seq2Exp: the released configuration leaves the number of layers at its default there.
INIT_LAYERS = 64


class PeakMask(ExpressionModel):
    """Bases and signals inside peaks: (B, L, 4), (B, L, M), extras ``peak_mask`` (B, L) -> (B,)."""

    architecture = "peak_mask"
    needs = ("peak_mask",)
    Settings = BackboneSettings
    TINY = TINY_BACKBONE

    def __init__(
        self, settings: BackboneSettings, loss_weights: NoLossWeights, inputs: InputSpec
    ) -> None:
        super().__init__(settings, loss_weights, inputs)
        self.require_modalities()
        d_model = settings.d_model
        self.sequence_embedding = nn.Linear(4, d_model)
        self.signal_embedding = nn.Linear(len(inputs.modalities), d_model)
        self.backbone = settings.backbone(init_layers=INIT_LAYERS)
        self.head = ExpressionHead(d_model, inputs.n_gene_features, settings.d_hidden or d_model)
        zero_linear_biases(self)

    def forward(self, batch: BatchLike) -> ModelOutput:
        """Predictions (B,); extras hold the ``mask``."""
        if "peak_mask" not in batch.extras:
            raise InputError(
                "architecture peak_mask needs the dataset's peaks, found none in the store: "
                "declare a peak track for this cell or choose another architecture."
            )
        embedded = self.sequence_embedding(batch.sequence) + self.signal_embedding(batch.signals)
        mask = batch.extras["peak_mask"].to(embedded.dtype)
        hidden = self.backbone(embedded * mask.unsqueeze(-1))
        pooled = center_mean(hidden, self.settings.center_bp)
        return ModelOutput(self.head(pooled, batch.gene_features), {"mask": mask})
