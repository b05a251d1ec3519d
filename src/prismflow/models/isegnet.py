"""iSEGnet: a tower of convolutions over bases, one over signals, joined by convolutions over both.

Gao, Rehman, Dai, Comput Struct Biotechnol J 2022;20:3814 (reference 39 of the paper). Sizes are
theirs; here it reads the modalities of the configuration, and gene features join the flattened
vector as they join the pooled one of every other network.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from prismflow.errors import InputError
from prismflow.models.common import BatchLike, ExpressionModel, InputSpec, ModelOutput
from prismflow.settings.fields import require_positive


@dataclass(frozen=True)
class ISEGNetSettings:
    """Hyper-parameters.

    Attributes:
        first_channels: filters of a tower's first convolution.
        channels: filters of its second convolution, and of the last one over both towers.
        joined_channels: filters of the convolution that joins the towers.
        kernel: width of the towers' convolutions.
        pool: factor of both average poolings.
        d_hidden: widths of the three dense layers.
        dropout: after every block but the last dense layer.
        output_relu: whether predictions are at least 0, as in the source.
    """

    first_channels: int = 32
    channels: int = 64
    joined_channels: int = 126
    kernel: int = 20
    pool: int = 5
    d_hidden: tuple[int, ...] = (256, 64, 16)
    dropout: float = 0.5
    output_relu: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "d_hidden", tuple(self.d_hidden))
        require_positive(self, "first_channels", "channels", "joined_channels", "kernel", "pool")
        if not self.d_hidden or min(self.d_hidden) < 1:
            raise InputError(f"d_hidden must be widths of at least 1, found {self.d_hidden}.")
        if self.kernel % 4:
            raise InputError(f"kernel must be a multiple of 4, found {self.kernel}.")
        if not 0 <= self.dropout < 1:
            raise InputError(f"dropout must be in [0, 1), found {self.dropout}.")


@dataclass(frozen=True)
class ISEGNetLossWeights:
    """Weights of the loss terms.

    Attributes:
        l2: of the sum of squared weights of the towers' convolutions.
    """

    l2: float = 1e-4


class ISEGNet(ExpressionModel):
    """Bases (B, L, 4) and M > 0 signals (B, L, M) -> (B,); L is fixed by the flattening."""

    architecture = "isegnet"
    fixed_length = True
    Settings = ISEGNetSettings
    LossWeights = ISEGNetLossWeights
    TINY: ClassVar[dict[str, Any]] = {
        "first_channels": 4, "channels": 4, "joined_channels": 6, "d_hidden": [8, 4],
        "dropout": 0.0, "output_relu": False,
    }  # fmt: skip

    def __init__(
        self, settings: ISEGNetSettings, loss_weights: ISEGNetLossWeights, inputs: InputSpec
    ) -> None:
        super().__init__(settings, loss_weights, inputs)
        self.require_modalities()
        n_bins = (inputs.window_bp - settings.kernel // 2) // settings.pool // settings.pool
        if n_bins < 1:
            least = settings.pool**2 + settings.kernel // 2
            raise InputError(
                f"architecture isegnet needs windows of at least {least} bp, found window_bp "
                f"{inputs.window_bp}."
            )
        self.sequence_tower = _tower(4, settings)
        self.signal_tower = _tower(len(inputs.modalities), settings)
        self.joined = nn.Sequential(
            nn.ZeroPad2d((0, 0, 1, 0)),
            *_block(nn.Conv2d(settings.channels, settings.joined_channels, 2), settings.dropout),
            *_block(nn.Conv2d(settings.joined_channels, settings.channels, 1), settings.dropout),
            nn.AvgPool2d((settings.pool, 1)),
            nn.Flatten(),
        )
        layers: list[nn.Module] = []
        width = settings.channels * n_bins + inputs.n_gene_features
        for i, hidden in enumerate(settings.d_hidden):
            is_last = i == len(settings.d_hidden) - 1
            layers += [nn.Linear(width, hidden), nn.BatchNorm1d(hidden), nn.ReLU()]
            layers += [] if is_last else [nn.Dropout(settings.dropout)]
            width = hidden
        self.head = nn.Sequential(*layers, nn.Linear(width, 1))

    def forward(self, batch: BatchLike) -> ModelOutput:
        """Predictions (B,)."""
        signals = batch.signals.to(batch.sequence.dtype)
        towers = [
            self.sequence_tower(batch.sequence.transpose(1, 2)),
            self.signal_tower(signals.transpose(1, 2)),
        ]
        flat = self.joined(torch.stack(towers, dim=-1))
        y = self.head(torch.cat([flat, batch.gene_features.to(flat.dtype)], dim=-1)).squeeze(-1)
        return ModelOutput(torch.relu(y) if self.settings.output_relu else y)

    def losses(self, output: ModelOutput, target: Tensor) -> dict[str, Tensor]:
        """Mean squared error, and the L2 penalty of the towers' convolutions."""
        squares = [
            module.weight.float().square().sum()
            for tower in (self.sequence_tower, self.signal_tower)
            for module in tower
            if isinstance(module, nn.Conv1d)
        ]
        return {
            "prediction": functional.mse_loss(output.prediction.float(), target.float()),
            "l2": self.loss_weights.l2 * torch.stack(squares).sum(),
        }


def _block(convolution: nn.Conv1d | nn.Conv2d, dropout: float) -> list[nn.Module]:
    channels = convolution.out_channels
    norm = nn.BatchNorm1d if isinstance(convolution, nn.Conv1d) else nn.BatchNorm2d
    return [convolution, norm(channels), nn.ReLU(), nn.Dropout(dropout)]


def _tower(n_inputs: int, settings: ISEGNetSettings) -> nn.Sequential:
    """(B, n_inputs, L) -> (B, channels, (L - kernel / 2) / pool): 20 wide, padded 10/9 and 5/4."""
    first, channels, kernel = settings.first_channels, settings.channels, settings.kernel
    return nn.Sequential(
        nn.ConstantPad1d((kernel // 2, kernel // 2 - 1), 0.0),
        *_block(nn.Conv1d(n_inputs, first, kernel, bias=False), settings.dropout),
        nn.ConstantPad1d((kernel // 4, kernel // 4 - 1), 0.0),
        *_block(nn.Conv1d(first, channels, kernel, bias=False), settings.dropout),
        nn.AvgPool1d(settings.pool),
    )
