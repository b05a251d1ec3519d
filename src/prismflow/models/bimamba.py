r"""The shared backbone: pre-norm residual blocks of Mamba mixers, one or two directions.

Block l of the backbone (paper, section on the model; released code):

.. math::
    r_l = r_{l-1} + x_{l-1}, \quad v = \mathrm{RMSNorm}(r_l), \quad
    x_l = M_f(v) + \mathrm{flip}(M_r(\mathrm{flip}(v)))

and RMSNorm(r + x) after the last one. Both directions share the input and output projections;
convolution, step, B, C, A and D are their own. Because the projections and the gate act on each
position alone, they are applied once here to the sum of the two scans, and the reverse direction
runs from the end instead of flipping its input: equal to the two separate mixers up to rounding.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from prismflow.models.common import CENTER_BP
from prismflow.models.scan import choose_backend, selective_scan_bld
from prismflow.models.scan.conv import causal_conv
from prismflow.models.scan.mixer import FUSED_BACKENDS, mix
from prismflow.models.scan.norm import add_norm
from prismflow.models.stacked import Prepared, prepare_layers
from prismflow.models.together import launches_cost
from prismflow.settings.fields import require_positive

TINY_BACKBONE = {"d_model": 16, "n_layers": 2, "d_state": 4, "center_bp": 100}
"""Hyper-parameters for tests on a CPU."""
DT_MIN, DT_MAX, DT_FLOOR = 1e-3, 1e-1, 1e-4
NORM_EPS = 1e-5
CPU_POSITIONS = 8192
"""Positions that a mixer works on at a time on a CPU: what its steps hand to each other then stays
in the cache, and in memory that is used again instead of being mapped anew."""


class Direction(nn.Module):
    """Parameters of one scanning direction.

    Args:
        d_inner: channels D of the scan.
        d_state: states N per channel.
        d_conv: taps W of the causal convolution.
        dt_rank: rank R of the step projection.
    """

    def __init__(self, d_inner: int, d_state: int, d_conv: int, dt_rank: int) -> None:
        super().__init__()
        self.d_state, self.dt_rank = d_state, dt_rank
        self.conv1d = nn.Conv1d(d_inner, d_inner, d_conv, groups=d_inner)
        self.x_proj = nn.Linear(d_inner, dt_rank + 2 * d_state, bias=False)
        self.dt_proj = nn.Linear(dt_rank, d_inner)
        self.A_log = nn.Parameter(torch.log(torch.arange(1.0, d_state + 1)).repeat(d_inner, 1))
        self.D = nn.Parameter(torch.ones(d_inner))
        for parameter in (self.A_log, self.D):
            # A mark of our own, read where the optimiser's groups are made.
            parameter._no_weight_decay = True  # type: ignore[attr-defined]  # see above
        nn.init.uniform_(self.dt_proj.weight, -(dt_rank**-0.5), dt_rank**-0.5)
        with torch.no_grad():
            low, high = math.log(DT_MIN), math.log(DT_MAX)
            step = torch.exp(torch.rand(d_inner) * (high - low) + low).clamp_min(DT_FLOOR)
            # The inverse of softplus, so that the initial steps lie in [DT_MIN, DT_MAX].
            self.dt_proj.bias.copy_(step + torch.log(-torch.expm1(-step)))

    def scan(self, x: Tensor, reverse: bool) -> Tensor:
        """(B, L, D) -> (B, L, D): convolution, input-dependent parameters, scan; no gate."""
        u = causal_conv(x, self.conv1d.weight[:, 0], self.conv1d.bias, reverse=reverse)
        dt, B, C = self.x_proj(u).split([self.dt_rank, self.d_state, self.d_state], dim=-1)
        delta = F.linear(dt, self.dt_proj.weight)
        A = self.state_matrix()
        bias = self.dt_proj.bias
        y = selective_scan_bld(u, delta, A, B, C, self.D, None, bias, True, reverse)
        return cast(Tensor, y)  # a pair only where the last state is asked for

    def state_matrix(self) -> Tensor:
        """A = -exp(A_log), (D, N), in float32 or float64."""
        return state_matrix(self.A_log)


class TiedDirection(Direction):
    """The forward direction, which also holds the projections shared by both."""

    def __init__(self, d_model: int, d_inner: int, d_state: int, d_conv: int, dt_rank: int) -> None:
        super().__init__(d_inner, d_state, d_conv, dt_rank)
        self.in_proj = nn.Linear(d_model, 2 * d_inner, bias=False)
        self.out_proj = nn.Linear(d_inner, d_model, bias=False)


class Mixer(nn.Module):
    """Mamba mixer in one or two directions with tied projections: (B, L, d_model) -> same."""

    def __init__(
        self,
        d_model: int,
        d_state: int,
        d_conv: int,
        expand: int,
        dt_rank: int,
        bidirectional: bool,
    ) -> None:
        super().__init__()
        d_inner = expand * d_model
        self.mamba_fwd = TiedDirection(d_model, d_inner, d_state, d_conv, dt_rank)
        self.mamba_rev = Direction(d_inner, d_state, d_conv, dt_rank) if bidirectional else None

    @property
    def directions(self) -> list[Direction]:
        """Forward, and reverse where there is one."""
        return [self.mamba_fwd] if self.mamba_rev is None else [self.mamba_fwd, self.mamba_rev]

    def forward(self, hidden: Tensor, prepared: Prepared | None = None) -> Tensor:
        """(B, L, d_model) -> (B, L, d_model); ``prepared`` are this layer's parameters."""
        if prepared is not None:
            xz = F.linear(hidden, prepared.in_proj)
            mixed = mix(xz, *prepared.mixed, prepared.backend, prepared.matrix)
            return F.linear(mixed, prepared.out_proj)
        backend = choose_backend(hidden.device, compute_dtype(hidden.dtype))
        if backend in FUSED_BACKENDS:
            return self._fused(hidden, backend)
        xz = self.mamba_fwd.in_proj(hidden)
        x, z = xz.chunk(2, dim=-1)
        scanned = [d.scan(x, reverse=i == 1) for i, d in enumerate(self.directions)]
        y = scanned[0] if len(scanned) == 1 else scanned[0] + scanned[1]
        return self.mamba_fwd.out_proj(y * F.silu(z))

    def _fused(self, hidden: Tensor, backend: str) -> Tensor:
        parameters = self.stacked()
        pieces: Sequence[Tensor] = [hidden]
        if hidden.device.type == "cpu" and hidden.numel() > 0:
            pieces = hidden.split(max(1, CPU_POSITIONS // hidden.shape[1]))
        outputs = [
            self.mamba_fwd.out_proj(mix(self.mamba_fwd.in_proj(piece), *parameters, backend))
            for piece in pieces
        ]
        return outputs[0] if len(outputs) == 1 else torch.cat(outputs)

    def stacked(self) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Parameters of the directions side by side, as :func:`scan.mixer.mix` takes them."""
        per_direction = (
            (
                d.conv1d.weight[:, 0],
                d.conv1d.bias,
                d.x_proj.weight,
                d.dt_proj.weight,
                d.dt_proj.bias,
                d.D,
            )
            for d in self.directions
        )
        conv, conv_bias, x_proj, dt_proj, dt_bias, D = (
            torch.stack(same) for same in zip(*per_direction, strict=True)
        )
        return conv, conv_bias, x_proj, dt_proj, dt_bias, self._state_matrices(), D

    def _state_matrices(self) -> Tensor:
        """A of the directions, (G, D, N)."""
        if self.mamba_fwd.A_log.device.type == "cpu":
            return torch.stack([d.state_matrix() for d in self.directions])
        # Each kernel counts on a device, where one exponential for all is as quick as one.
        return state_matrix(torch.stack([d.A_log for d in self.directions]))

    def direction_outputs(self, hidden: Tensor) -> list[Tensor]:
        """Outputs (B, L, d_model) of the directions alone, in the order of the input.

        Their sum is :meth:`forward`; each is what the released mixer of that direction gives
        (flipped back for the reverse one). For comparisons, not for training.
        """
        x, z = self.mamba_fwd.in_proj(hidden).chunk(2, dim=-1)
        return [
            self.mamba_fwd.out_proj(d.scan(x, reverse=i == 1) * F.silu(z))
            for i, d in enumerate(self.directions)
        ]


class RMSNorm(nn.Module):
    """x / sqrt(mean(x^2) + eps) * weight over the last axis, computed in float32 or float64."""

    def __init__(self, d_model: int, eps: float = NORM_EPS) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(d_model))

    def forward(self, hidden: Tensor, residual: Tensor | None) -> tuple[Tensor, Tensor]:
        """Norm of hidden + residual, and that sum; both in the dtype of ``hidden``."""
        backend = choose_backend(hidden.device, compute_dtype(hidden.dtype))
        return add_norm(hidden, residual, self.weight, self.eps, backend)


class Block(nn.Module):
    """Add the residual, normalise, mix."""

    def __init__(self, d_model: int, mixer: Mixer) -> None:
        super().__init__()
        self.norm = RMSNorm(d_model)
        self.mixer = mixer

    def forward(
        self, hidden: Tensor, residual: Tensor | None, prepared: Prepared | None = None
    ) -> tuple[Tensor, Tensor]:
        """(B, L, d_model) twice -> the mixer's output and the new residual."""
        normed, residual = self.norm(hidden, residual)
        # A benchmark's stand-in for the mixer takes no prepared parameters.
        given = () if prepared is None else (prepared,)
        return self.mixer(normed, *given), residual


class BiMambaBackbone(nn.Module):
    """Stack of blocks and a final norm over embedded positions.

    Args:
        d_model: features per position.
        n_layers: blocks.
        d_state, d_conv, expand: of the Mamba mixers.
        dt_rank: rank of the step projection; ``auto`` is ceil(d_model / 16).
        bidirectional: two directions with tied projections, or the forward one alone.
        checkpoint_activations: recompute each block in the backward pass instead of keeping its
            activations.
        init_layers: layers that the initial output projections are scaled for, n_layers if None
            (the released Seq2Exp models use 64 whatever their depth).
    """

    def __init__(
        self,
        d_model: int,
        n_layers: int,
        d_state: int = 16,
        d_conv: int = 4,
        expand: int = 2,
        dt_rank: int | Literal["auto"] = "auto",
        bidirectional: bool = True,
        checkpoint_activations: bool = False,
        init_layers: int | None = None,
    ) -> None:
        super().__init__()
        rank = math.ceil(d_model / 16) if dt_rank == "auto" else dt_rank
        self.checkpoint_activations = checkpoint_activations
        self.bidirectional = bidirectional
        self.layers = nn.ModuleList(
            Block(d_model, Mixer(d_model, d_state, d_conv, expand, rank, bidirectional))
            for _ in range(n_layers)
        )
        self.norm_f = RMSNorm(d_model)
        with torch.no_grad():
            for layer in self.layers:
                weight = cast(Block, layer).mixer.mamba_fwd.out_proj.weight
                nn.init.kaiming_uniform_(weight, a=math.sqrt(5))
                weight /= math.sqrt(init_layers or n_layers)

    def forward(
        self, x: Tensor, return_layers: bool = False
    ) -> Tensor | tuple[Tensor, list[tuple[Tensor, Tensor]]]:
        """(B, L, d_model) embeddings -> (B, L, d_model) hidden states after the final norm.

        Args:
            x: embeddings.
            return_layers: also return (hidden, residual) as each block gives them.
        """
        hidden, residual = x, None
        outputs = []
        for layer, ready in zip(self.layers, self._prepared(x), strict=True):
            if self.checkpoint_activations and torch.is_grad_enabled():
                hidden, residual = checkpoint(layer, hidden, residual, ready, use_reentrant=False)
            else:
                hidden, residual = layer(hidden, residual, ready)
            if return_layers:
                outputs.append((hidden, residual))
        hidden, _ = self.norm_f(hidden, residual)
        return (hidden, outputs) if return_layers else hidden

    def _prepared(self, x: Tensor) -> Sequence[Prepared | None]:
        """Parameters of each layer, made ready together where launches are what costs."""
        backend = choose_backend(x.device, compute_dtype(x.dtype))
        mixers = [cast(Block, layer).mixer for layer in self.layers]
        able = backend in FUSED_BACKENDS and all(isinstance(mixer, Mixer) for mixer in mixers)
        if able and mixers and launches_cost(x.device):
            return prepare_layers(mixers, backend)
        return [None] * len(mixers)


@dataclass(frozen=True)
class BackboneSettings:
    """Hyper-parameters of a model around this backbone; the defaults are the paper's.

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

    def backbone(self, **options: Any) -> BiMambaBackbone:
        """The backbone of these sizes; ``options`` are further ones of :class:`BiMambaBackbone`."""
        return BiMambaBackbone(
            self.d_model, self.n_layers, self.d_state, self.d_conv, self.expand, **options
        )


def from_released_key(key: str) -> str:
    """Our parameter name for a key of the released backbone.

    ``layers.0.mixer.mamba_rev.in_proj.weight`` and its forward twin are one tied parameter, and
    the released one-direction model has no ``mamba_fwd`` level.
    """
    key = re.sub(r"mamba_rev\.(in_proj|out_proj)\.", r"mamba_fwd.\1.", key)
    return re.sub(r"\.mixer\.(?!mamba_(fwd|rev)\.)", ".mixer.mamba_fwd.", key)


def released_keys(backbone: BiMambaBackbone) -> dict[str, str]:
    """Released key -> our name, for every tensor of the backbone; tied ones appear twice."""
    mapping = {}
    for name in backbone.state_dict():
        if not backbone.bidirectional:
            mapping[name.replace(".mamba_fwd.", ".")] = name
            continue
        mapping[name] = name
        if re.search(r"mamba_fwd\.(in_proj|out_proj)\.", name):
            mapping[name.replace("mamba_fwd", "mamba_rev")] = name
    return mapping


def state_matrix(A_log: Tensor) -> Tensor:
    """A = -exp(A_log), in float32 or float64."""
    return -torch.exp(A_log.to(compute_dtype(A_log.dtype)))


def compute_dtype(dtype: torch.dtype) -> torch.dtype:
    """float64 for float64, else float32."""
    return torch.float64 if dtype == torch.float64 else torch.float32
