r"""Enformer's trunk, trained from scratch as in the paper's baselines.

A stem and six stages of [convolution, residual convolution, attention pooling by 2] turn 128 bases
into one bin; transformer layers with relative positions relate the bins; the central bins are
averaged and go to the head with the gene features (Avsec et al. 2021; sizes of the released
baseline). With queries q_i, keys k_j, values v_j and features p of the distance j - i:

.. math::
    a_{ij} = \mathrm{softmax}_j\big((q_i / \sqrt{d_k} + u)\cdot k_j
        + (q_i / \sqrt{d_k} + w) \cdot W_p\, p(j - i)\big)

p holds exponential, central-mask and gamma-density functions of \|j - i\| and the same times the
sign of j - i.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from prismflow.errors import InputError
from prismflow.models.common import (
    BatchLike,
    ExpressionHead,
    ExpressionModel,
    InputSpec,
    ModelOutput,
    NoLossWeights,
    center_slice,
)
from prismflow.models.losses import full_precision
from prismflow.settings.fields import require_positive

STEM_KERNEL, STAGE_KERNEL = 15, 5
POOL = 2
BASIS_KINDS = 3
MIN_LOG_HALF_LIFE = 3.0
DENSITY_FLOOR = 1e-8


@dataclass(frozen=True)
class EnformerSettings:
    """Hyper-parameters; the defaults are those of the published architecture.

    Attributes:
        d_model: features per bin, a multiple of ``channel_multiple``.
        n_stages: halving stages after the stem; a bin has 2 ** (n_stages + 1) bases.
        key_dim: size of a head's queries and keys.
        input_bp: most bases that are read around the TSS.
        target_bins: most central bins that are averaged.
        channel_multiple: the widths of the stages are rounded to multiples of it.
    """

    d_model: int = 1536
    n_layers: int = 11
    n_heads: int = 8
    n_stages: int = 6
    key_dim: int = 64
    input_bp: int = 196_608
    target_bins: int = 896
    channel_multiple: int = 128
    dropout: float = 0.4
    attention_dropout: float = 0.05
    position_dropout: float = 0.01
    d_hidden: int = 128

    def __post_init__(self) -> None:
        require_positive(self, "d_model", "n_layers", "n_heads", "n_stages", "key_dim")
        require_positive(self, "input_bp", "target_bins", "channel_multiple", "d_hidden")
        step = 2 * BASIS_KINDS * self.n_heads
        if self.d_model % step or self.d_model % 2:
            raise InputError(
                f"d_model must be a multiple of {2 * BASIS_KINDS} x n_heads = {step}, "
                f"found {self.d_model}."
            )

    @property
    def bin_bp(self) -> int:
        """Bases per bin."""
        return POOL ** (self.n_stages + 1)

    @property
    def widths(self) -> list[int]:
        """Channels after the stem and after each stage: geometric from d_model / 2 to d_model."""
        start, multiple = self.d_model // 2, self.channel_multiple
        base = 2 ** (1 / max(self.n_stages - 1, 1))
        stages = [round(start * base**i / multiple) * multiple for i in range(self.n_stages)]
        return [start, *stages]


def sigmoid_gelu(x: Tensor) -> Tensor:
    """x * sigmoid(1.702 x), the approximation of GELU that Enformer uses."""
    return x * torch.sigmoid(1.702 * x)


class ConvBlock(nn.Module):
    """Batch norm, GELU, convolution: (B, C, L) -> (B, C', L)."""

    def __init__(self, n_in: int, n_out: int, kernel: int = 1) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(n_in)
        self.conv = nn.Conv1d(n_in, n_out, kernel, padding=kernel // 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(sigmoid_gelu(self.norm(x)))


class AttentionPool(nn.Module):
    """Halve the length by a weighted mean of neighbours, weights per channel from a 1x1 map."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.logits = nn.Conv1d(channels, channels, 1, bias=False)
        with torch.no_grad():
            self.logits.weight.copy_(2 * torch.eye(channels).unsqueeze(-1))

    def forward(self, x: Tensor) -> Tensor:
        weights = self.logits(x).unflatten(-1, (-1, POOL)).softmax(dim=-1)
        return (x.unflatten(-1, (-1, POOL)) * weights).sum(dim=-1)


class Stage(nn.Module):
    """Convolution, residual convolution, pooling: (B, C, L) -> (B, C', L / 2)."""

    def __init__(self, conv: nn.Module, channels: int) -> None:
        super().__init__()
        self.conv = conv
        self.residual = ConvBlock(channels, channels)
        self.pool = AttentionPool(channels)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        return self.pool(x + self.residual(x))


def position_features(n_bins: int, n_features: int, like: Tensor) -> Tensor:
    """Features of the distances -(n_bins - 1) ... n_bins - 1: (2 n_bins - 1, n_features).

    Scales and shapes are float32 constants in every precision; only the gamma densities are
    evaluated in the precision of ``like``, as in the released model.
    """
    distance = torch.arange(1 - n_bins, n_bins, device=like.device)
    away = distance.abs().unsqueeze(-1)
    n_basis = n_features // (2 * BASIS_KINDS)
    half_life = 2 ** torch.linspace(
        MIN_LOG_HALF_LIFE, math.log2(n_bins), n_basis, device=like.device
    )
    exponential = torch.exp(-math.log(2.0) / half_life * away)
    central = 2 ** torch.arange(1, n_basis + 1, device=like.device) - 1 > away
    mean = torch.linspace(n_bins / n_basis, n_bins, n_basis, device=like.device)
    deviation = n_bins / (2 * n_basis)
    shape, rate = (mean / deviation) ** 2, mean / deviation**2
    x = full_precision(away.to(like.dtype))
    log_density = torch.xlogy(shape - 1, x) - rate * x
    log_density = log_density - (torch.lgamma(shape) - shape * torch.log(rate))
    density = torch.exp(log_density) + DENSITY_FLOOR
    gamma = density / density.amax(dim=-1, keepdim=True)
    basis = torch.cat([exponential.to(gamma.dtype), central.to(gamma.dtype), gamma], dim=-1)
    return torch.cat([basis, distance.sign().unsqueeze(-1) * basis], dim=-1).to(like.dtype)


class RelativeAttention(nn.Module):
    """Multi-head attention with relative positions: (B, n, d_model) -> the same."""

    def __init__(self, settings: EnformerSettings) -> None:
        super().__init__()
        heads, d_key, d_model = settings.n_heads, settings.key_dim, settings.d_model
        self.n_heads, self.scale, self.n_features = heads, d_key**-0.5, d_model // heads
        self.query = nn.Linear(d_model, heads * d_key, bias=False)
        self.key = nn.Linear(d_model, heads * d_key, bias=False)
        self.value = nn.Linear(d_model, d_model, bias=False)
        self.position_key = nn.Linear(self.n_features, heads * d_key, bias=False)
        self.content_bias = nn.Parameter(torch.randn(heads, 1, d_key))
        self.position_bias = nn.Parameter(torch.randn(heads, 1, d_key))
        self.output = nn.Linear(d_model, d_model)
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)
        self.dropout = nn.Dropout(settings.attention_dropout)
        self.position_dropout = nn.Dropout(settings.position_dropout)

    def forward(self, x: Tensor) -> Tensor:
        n = x.shape[1]
        query, key, value = (
            layer(x).unflatten(-1, (self.n_heads, -1)).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        query = query * self.scale
        positions = self.position_dropout(position_features(n, self.n_features, x))
        position_key = self.position_key(positions).unflatten(-1, (self.n_heads, -1))
        logits = (query + self.content_bias) @ key.transpose(-1, -2)
        relative = (query + self.position_bias) @ position_key.permute(1, 2, 0)
        attention = self.dropout((logits + _by_distance(relative)).softmax(dim=-1))
        return self.output((attention @ value).transpose(1, 2).flatten(2))


def _by_distance(relative: Tensor) -> Tensor:
    """(B, H, n, 2n - 1) over distances -> (B, H, n, n) with [i, j] taken at distance j - i."""
    n = relative.shape[2]
    # One zero per row shifts every following row by one when rows are cut anew.
    shifted = functional.pad(relative, (1, 0)).flatten(2)[..., n:]
    return shifted.unflatten(-1, (n, 2 * n - 1))[..., :n]


class TransformerLayer(nn.Module):
    """Pre-norm attention and MLP with residuals: (B, n, d_model) -> the same."""

    def __init__(self, settings: EnformerSettings) -> None:
        super().__init__()
        d_model = settings.d_model
        self.norm1 = nn.LayerNorm(d_model)
        self.attention = RelativeAttention(settings)
        self.dropout = nn.Dropout(settings.dropout)
        self.norm2 = nn.LayerNorm(d_model)
        self.mlp = nn.Sequential(
            nn.Linear(d_model, 2 * d_model),
            nn.Dropout(settings.dropout),
            nn.ReLU(),
            nn.Linear(2 * d_model, d_model),
            nn.Dropout(settings.dropout),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.dropout(self.attention(self.norm1(x)))
        return x + self.mlp(self.norm2(x))


class Enformer(ExpressionModel):
    """Sequence only: (B, L, 4) -> (B,).

    Of each window the central ``input_bp`` are read, or the largest whole number of bins that
    fits into a shorter one; of its bins the central ``target_bins`` are averaged.
    """

    architecture = "enformer"
    uses_signals = False
    Settings = EnformerSettings
    TINY: ClassVar[dict[str, Any]] = {
        "d_model": 24,
        "n_layers": 1,
        "n_heads": 2,
        "n_stages": 2,
        "key_dim": 4,
        "target_bins": 16,
        "channel_multiple": 4,
        "d_hidden": 16,
    }

    def __init__(
        self, settings: EnformerSettings, loss_weights: NoLossWeights, inputs: InputSpec
    ) -> None:
        super().__init__(settings, loss_weights, inputs)
        widths, d_model = settings.widths, settings.d_model
        stem = nn.Conv1d(4, widths[0], STEM_KERNEL, padding=STEM_KERNEL // 2)
        self.stem = Stage(stem, widths[0])
        self.stages = nn.ModuleList(
            Stage(ConvBlock(n_in, n_out, STAGE_KERNEL), n_out)
            for n_in, n_out in itertools.pairwise(widths)
        )
        self.layers = nn.ModuleList(TransformerLayer(settings) for _ in range(settings.n_layers))
        self.output = ConvBlock(d_model, 2 * d_model)
        self.dropout = nn.Dropout(settings.dropout / 8)
        self.head = ExpressionHead(2 * d_model, inputs.n_gene_features, settings.d_hidden)

    def crop(self, sequence: Tensor) -> Tensor:
        """Central bases that are read: a whole number of bins.

        Raises:
            InputError: the window is shorter than two bins.
        """
        bins = min(sequence.shape[1], self.settings.input_bp) // self.settings.bin_bp
        if bins < 2:
            raise InputError(
                f"Enformer needs windows of at least {2 * self.settings.bin_bp} bp, "
                f"found {sequence.shape[1]}."
            )
        return sequence[:, center_slice(sequence.shape[1], bins * self.settings.bin_bp)]

    def embeddings(self, sequence: Tensor) -> Tensor:
        """(B, L, 4) -> (B, bins, 2 d_model)."""
        x = self.stem(self.crop(sequence).transpose(1, 2))
        for stage in self.stages:
            x = stage(x)
        x = x.transpose(1, 2)
        for layer in self.layers:
            x = layer(x)
        x = x[:, center_slice(x.shape[1], self.settings.target_bins)]
        return sigmoid_gelu(self.dropout(self.output(x.transpose(1, 2)))).transpose(1, 2)

    def forward(self, batch: BatchLike) -> ModelOutput:
        """Predictions (B,)."""
        pooled = self.embeddings(batch.sequence).mean(dim=1)
        return ModelOutput(self.head(pooled, batch.gene_features))
