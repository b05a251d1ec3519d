r"""HyenaDNA's architecture, trained from scratch as in the paper's baselines.

Blocks of [LayerNorm, Hyena operator, residual, LayerNorm, MLP, residual] over embedded bases. The
operator of order 2 gates a long convolution whose filter is a small network over positions:

.. math::
    x_0, x_1, v = \mathrm{split}(\mathrm{shortconv}(u W + b)), \quad
    y = x_0 \odot (k * (x_1 \odot v) + D \odot x_1 \odot v), \quad \mathrm{out} = y W_o + b_o \\
    k_t = \mathrm{net}(z_t) \odot e^{-t |\delta|}, \quad
    z_t = [t, \mathrm{Re}\, e^{-i f w_t}, \mathrm{Im}\, e^{-i f w_t}]

with k applied by FFT (Poli et al. 2023; sizes of the released baseline).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from prismflow.errors import InputError
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
)
from prismflow.models.losses import full_precision
from prismflow.settings.fields import require_positive

SHORT_KERNEL = 3
FAST_DECAY, SLOW_DECAY, DECAY_TARGET = 0.3, 1.5, 1e-2
EXTRA_POSITIONS = 2


@dataclass(frozen=True)
class HyenaSettings:
    """Hyper-parameters; the defaults are those of the released baseline.

    Attributes:
        d_mlp: width of the blocks' MLP; None means 4 x d_model.
        filter_width: width of the implicit filter's network.
        position_features: size of its input z, odd and at least 3.
        sine_frequency: initial frequency of its sine activations.
        embedding_dropout: dropout on the embedded sequence, in training.
        center_bp: positions that are pooled around the TSS.
    """

    d_model: int = 128
    n_layers: int = 4
    d_mlp: int | None = None
    filter_width: int = 64
    position_features: int = 5
    sine_frequency: float = 10.0
    embedding_dropout: float = 0.1
    center_bp: int = CENTER_BP
    d_hidden: int | None = None

    def __post_init__(self) -> None:
        require_positive(self, "d_model", "n_layers", "filter_width", "center_bp")
        if self.position_features < 3 or self.position_features % 2 == 0:
            raise InputError(
                f"position_features must be odd and at least 3, found {self.position_features}."
            )


class Sine(nn.Module):
    """sin(frequency * x) with a learned frequency per channel."""

    def __init__(self, width: int, frequency: float) -> None:
        super().__init__()
        self.freq = nn.Parameter(torch.full((1, width), frequency))

    def forward(self, x: Tensor) -> Tensor:
        return torch.sin(self.freq * x)


class ImplicitFilter(nn.Module):
    """Network from positions to the long filter: L -> (L, d_model).

    One set of sine frequencies serves all three activations. Its weights are not decayed.
    """

    positions: Tensor
    features: Tensor
    decay: Tensor

    def __init__(self, settings: HyenaSettings, max_length: int) -> None:
        super().__init__()
        width, d_model = settings.filter_width, settings.d_model
        sine = Sine(width, settings.sine_frequency)
        self.network = nn.Sequential(
            nn.Linear(settings.position_features, width),
            sine,
            nn.Linear(width, width),
            sine,
            nn.Linear(width, width),
            sine,
            nn.Linear(width, d_model, bias=False),
        )
        self.bias = nn.Parameter(torch.randn(d_model))
        positions = torch.linspace(0, 1, max_length)
        angles = 2 * math.pi * torch.linspace(0, max_length - 1, max_length) / max_length
        bands = (settings.position_features - 1) // 2
        phase = angles[:, None] * torch.linspace(1e-4, bands - 1, bands)
        features = torch.cat([positions[:, None], phase.cos(), -phase.sin()], dim=1)
        log_target = math.log(DECAY_TARGET)
        decay = torch.linspace(log_target / SLOW_DECAY, log_target / FAST_DECAY, d_model)
        self.register_buffer("positions", positions)
        self.register_buffer("features", features)
        self.register_buffer("decay", decay)
        for parameter in self.network.parameters():
            # A mark of our own, read where the optimiser's groups are made.
            parameter._optim = {"weight_decay": 0.0}  # type: ignore[attr-defined]  # see above

    def forward(self, length: int) -> Tensor:
        """Filter taps 0 ... length - 1: (length, d_model)."""
        if length > len(self.positions):
            raise InputError(
                f"this Hyena model was built for windows of up to {len(self.positions)} bp, "
                f"found {length}."
            )
        taps = self.network(self.features[:length])
        return taps * torch.exp(-self.positions[:length, None] * self.decay.abs())


class HyenaOperator(nn.Module):
    """Gated long convolution of order 2: (B, L, d_model) -> the same."""

    def __init__(self, settings: HyenaSettings, max_length: int) -> None:
        super().__init__()
        d_model = settings.d_model
        self.in_proj = nn.Linear(d_model, 3 * d_model)
        self.short_filter = nn.Conv1d(
            3 * d_model, 3 * d_model, SHORT_KERNEL, groups=3 * d_model, padding=SHORT_KERNEL - 1
        )
        self.filter = ImplicitFilter(settings, max_length)
        self.out_proj = nn.Linear(d_model, d_model)

    def forward(self, x: Tensor) -> Tensor:
        gate, inner_gate, value = self._short(self.in_proj(x)).chunk(3, dim=-1)
        value = long_convolution(value * inner_gate, self.filter(x.shape[1]), self.filter.bias)
        return self.out_proj(value * gate)

    def _short(self, x: Tensor) -> Tensor:
        # Shifted products: a grouped convolution is many times slower on a CPU.
        weight, length = self.short_filter.weight.squeeze(1), x.shape[1]
        bias = cast(Tensor, self.short_filter.bias)
        padded = functional.pad(x, (0, 0, SHORT_KERNEL - 1, 0))
        total = padded[:, SHORT_KERNEL - 1 :] * weight[:, SHORT_KERNEL - 1] + bias
        for tap in range(SHORT_KERNEL - 1):
            total = total + padded[:, tap : tap + length] * weight[:, tap]
        return total


def long_convolution(x: Tensor, taps: Tensor, skip: Tensor) -> Tensor:
    """Causal convolution over positions by FFT plus a skip: x (B, L, d), taps (L, d), skip (d)."""
    x, taps = full_precision(x), full_precision(taps)
    size = 2 * x.shape[1]
    spectrum = torch.fft.rfft(x, n=size, dim=1) * torch.fft.rfft(taps, n=size, dim=0)
    return torch.fft.irfft(spectrum, n=size, dim=1)[:, : x.shape[1]] + x * skip


class HyenaBlock(nn.Module):
    """Pre-norm block on (hidden, residual), both (B, L, d_model).

    The norms see the unrounded sum; the residual stream is kept in float32 in every precision, as
    in the released configuration.
    """

    def __init__(self, settings: HyenaSettings, max_length: int) -> None:
        super().__init__()
        d_model = settings.d_model
        d_mlp = settings.d_mlp or 4 * d_model
        self.norm1 = nn.LayerNorm(d_model)
        self.mixer = HyenaOperator(settings, max_length)
        self.norm2 = nn.LayerNorm(d_model)
        self.mlp = nn.Sequential(
            nn.Linear(d_model, d_mlp), nn.GELU(approximate="tanh"), nn.Linear(d_mlp, d_model)
        )

    def forward(self, hidden: Tensor, residual: Tensor | None) -> tuple[Tensor, Tensor]:
        total = hidden if residual is None else hidden + residual
        hidden, residual = self.mixer(self.norm1(total)), total.float()
        total = hidden + residual
        return self.mlp(self.norm2(total)), total.float()


class Hyena(ExpressionModel):
    """Sequence only: (B, L, 4) -> (B,), for windows of up to ``inputs.window_bp`` bases."""

    architecture = "hyena"
    uses_signals = False
    Settings = HyenaSettings
    TINY: ClassVar[dict[str, Any]] = {
        "d_model": 16,
        "n_layers": 2,
        "filter_width": 8,
        "center_bp": 100,
    }

    def __init__(
        self, settings: HyenaSettings, loss_weights: NoLossWeights, inputs: InputSpec
    ) -> None:
        super().__init__(settings, loss_weights, inputs)
        d_model, max_length = settings.d_model, inputs.window_bp + EXTRA_POSITIONS
        self.embedding = BaseEmbedding(d_model)
        self.dropout = nn.Dropout(settings.embedding_dropout)
        self.layers = nn.ModuleList(
            HyenaBlock(settings, max_length) for _ in range(settings.n_layers)
        )
        self.norm_f = nn.LayerNorm(d_model)
        self._initialise()
        self.head = ExpressionHead(d_model, inputs.n_gene_features, settings.d_hidden or d_model)

    def _initialise(self) -> None:
        """Normal(0, 0.02) matrices, zero biases, residual outputs / sqrt(2 n_layers)."""
        for module in self.modules():
            if isinstance(module, (nn.Linear, nn.Embedding)):
                nn.init.normal_(module.weight, std=0.02)
            if isinstance(module, nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)
        for layer in self.layers:
            block = cast(HyenaBlock, layer)
            for output in (block.mixer.out_proj, cast(nn.Linear, block.mlp[2])):
                nn.init.normal_(output.weight, std=0.02 / math.sqrt(2 * self.settings.n_layers))

    def encode(self, sequence: Tensor) -> Tensor:
        """(B, L, 4) -> final hidden states (B, L, d_model)."""
        hidden, residual = self.dropout(self.embedding(sequence)), None
        for layer in self.layers:
            hidden, residual = layer(hidden, residual)
        return self.norm_f(hidden + residual)

    def forward(self, batch: BatchLike) -> ModelOutput:
        """Predictions (B,)."""
        pooled = center_mean(self.encode(batch.sequence), self.settings.center_bp)
        return ModelOutput(self.head(pooled, batch.gene_features))
