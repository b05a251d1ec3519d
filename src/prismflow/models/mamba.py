r"""One-directional Mamba over bases, the paper's sequence-only baseline.

.. math:: y = \mathrm{head}([\mathrm{pool}\, M(\mathrm{embed}(X)); f])

with M the backbone of ``bimamba`` scanning from the window's start only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import nn

from prismflow.models.bimamba import BiMambaBackbone
from prismflow.models.common import (
    CENTER_BP,
    BaseEmbedding,
    BatchLike,
    ExpressionHead,
    ExpressionModel,
    InputSpec,
    ModelOutput,
    NoLossWeights,
    center_mean,
    require_positive,
)


@dataclass(frozen=True)
class MambaSettings:
    """Hyper-parameters; the defaults are those of the released baseline.

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


class Mamba(ExpressionModel):
    """Sequence only: (B, L, 4) -> (B,)."""

    architecture = "mamba"
    uses_signals = False
    Settings = MambaSettings
    TINY: ClassVar[dict[str, Any]] = {
        "d_model": 16,
        "n_layers": 2,
        "d_state": 4,
        "center_bp": 100,
    }

    def __init__(
        self, settings: MambaSettings, loss_weights: NoLossWeights, inputs: InputSpec
    ) -> None:
        super().__init__(settings, loss_weights, inputs)
        d_model = settings.d_model
        self.embedding = BaseEmbedding(d_model)
        nn.init.normal_(self.embedding.weight, std=0.02)
        self.backbone = BiMambaBackbone(
            d_model,
            settings.n_layers,
            d_state=settings.d_state,
            d_conv=settings.d_conv,
            expand=settings.expand,
            bidirectional=False,
        )
        # Unlike the bidirectional models, this one keeps torch's initial biases in its head.
        self.head = ExpressionHead(d_model, inputs.n_gene_features, settings.d_hidden or d_model)

    def forward(self, batch: BatchLike) -> ModelOutput:
        """Predictions (B,)."""
        hidden = self.backbone(self.embedding(batch.sequence))
        pooled = center_mean(hidden, self.settings.center_bp)
        return ModelOutput(self.head(pooled, batch.gene_features))
