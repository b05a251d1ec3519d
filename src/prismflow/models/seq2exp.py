r"""Seq2Exp: a generator proposes which positions matter, a predictor sees only those.

With E and H the embedded bases and signals, G and B bidirectional Mamba backbones and signals
s_k of named kinds (Su et al. 2025; released code):

.. math::
    o = G(E) W_o + b_o, \quad \alpha_1 = \mathrm{softplus}(o_1) + b, \quad
        \beta_1 = \mathrm{softplus}(o_0) + b \\
    \alpha = \alpha_1 + \sum_k w_k \kappa (s_k + b), \quad
    \beta = \beta_1 + \sum_k w_k \kappa (c_k + b) \\
    m \sim \mathrm{Beta}(\alpha, \beta), \quad
    y = \mathrm{head}([\mathrm{pool}\, B((E + H) \odot m); f]) \\
    \mathrm{loss} = \mathrm{sl1}(y, t) + 0.01\, \mathrm{KL}(\mathrm{Beta}(\alpha, \beta) \,\|\,
        \mathrm{Beta}(s, s (1 - r) / r))

Blacklisted positions are masked out and the central ones always kept. In evaluation the mask is
the mean of the Beta distribution. The hard variant keeps positions where m >= 0.5, adds a table
of positions, packs the kept positions together and uses one backbone as generator and predictor;
the prediction then gives the mask no gradient, so that the mask learns from the KL term alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from prismflow.errors import InputError
from prismflow.models.bimamba import BackboneSettings
from prismflow.models.common import (
    BatchLike,
    ExpressionHead,
    ExpressionModel,
    InputSpec,
    ModelOutput,
    center_mean,
    center_slice,
    zero_linear_biases,
)
from prismflow.models.losses import beta_kl, full_precision, mask_continuity, sample_beta, smooth_l1
from prismflow.settings.fields import require_choice, require_positive

SIGNAL_CONSTANTS = {"h3k27ac": 1.5, "dnase": 0.2, "hic": 1.0}
SIGNAL_WEIGHTS = {"h3k27ac": 2.0, "dnase": 2.0, "hic": 1.0}
TINY_SHAPE = 1e-8
THRESHOLD = 0.5
# The released models never set n_layer in their configuration, so its default scales out_proj.
INIT_LAYERS = 64


@dataclass(frozen=True)
class Seq2ExpSettings(BackboneSettings):
    """Hyper-parameters; the defaults are those of the soft variant.

    Attributes:
        n_layers: layers of the generator and of the predictor.
        center_bp: positions that are always kept, and pooled.
        kappa: scale of the signals' evidence.
        evidence_floor: b, added to every piece of evidence.
        z_scale: factor on both shapes of the mask's distribution.
        prior_mean: r, the share of positions that the prior keeps.
        prior_scale: s, the prior's first shape.
        signal_constants: c_k by modality; entries here are added to those of h3k27ac, dnase, hic.
        signal_weights: w_k by modality, rescaled to sum to 1 over the modalities in use.
        test_mask: in evaluation: ``soft`` (the mean), ``hard`` (mean >= 0.5), ``top`` (the
            test_fraction largest means, as ones) or ``top_soft`` (the same, with their means).
        test_fraction: share of positions for ``top``; None means prior_mean.
        test_pool_bp: odd width by which a hard mask is widened in evaluation; 0 for none.
        isolate_samples: evaluate genes one by one. In the hard variant, packed genes are padded
            to the longest of their batch, which the reverse scan passes through, so that in the
            released code (False) a prediction depends slightly on its batch.
    """

    kappa: float = 10.0
    evidence_floor: float = 1.0
    z_scale: float = 1.0
    prior_mean: float = 0.1
    prior_scale: float = 10.0
    signal_constants: dict[str, float] = field(default_factory=dict)
    signal_weights: dict[str, float] = field(default_factory=dict)
    test_mask: str = "soft"
    test_fraction: float | None = None
    test_pool_bp: int = 0
    isolate_samples: bool = False

    MASKS = ("soft", "hard", "top", "top_soft")

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(self, "kappa", "z_scale", "prior_scale", "prior_mean")
        require_choice("test_mask", self.test_mask, self.MASKS)
        if self.evidence_floor < 0:
            raise InputError(f"evidence_floor must be 0 or more, found {self.evidence_floor}.")
        for name in ("prior_mean", "test_fraction"):
            value = getattr(self, name)
            if value is not None and not 0 < value < 1:
                raise InputError(f"{name} must be between 0 and 1, found {value}.")
        if self.test_pool_bp and (self.test_pool_bp < 0 or self.test_pool_bp % 2 == 0):
            raise InputError(f"test_pool_bp must be 0 or odd, found {self.test_pool_bp}.")


@dataclass(frozen=True)
class Seq2ExpHardSettings(Seq2ExpSettings):
    """Hyper-parameters of the hard variant; see :class:`Seq2ExpSettings`."""

    kappa: float = 1.0
    evidence_floor: float = 0.0
    prior_mean: float = 0.45
    prior_scale: float = 0.1
    test_mask: str = "hard"

    MASKS = ("hard", "top")  # type: ignore[assignment]  # fewer choices


@dataclass(frozen=True)
class Seq2ExpLossWeights:
    """Weights of the mask's loss terms; the released runs use 0 for its continuity."""

    kl: float = 0.01
    continuity: float = 0.0

    def __post_init__(self) -> None:
        for name in ("kl", "continuity"):
            if getattr(self, name) < 0:
                raise InputError(f"{name} must be 0 or more, found {getattr(self, name)}.")


class Seq2ExpSoft(ExpressionModel):
    """The mask multiplies the embedded positions: (B, L, 4), (B, L, M) -> (B,)."""

    prior_odds: Tensor

    architecture = "seq2exp_soft"
    Settings = Seq2ExpSettings
    LossWeights = Seq2ExpLossWeights
    TINY: ClassVar[dict[str, Any]] = {
        "d_model": 16,
        "n_layers": 2,
        "d_state": 4,
        "center_bp": 64,
    }

    def __init__(
        self, settings: Seq2ExpSettings, loss_weights: Seq2ExpLossWeights, inputs: InputSpec
    ) -> None:
        super().__init__(settings, loss_weights, inputs)
        self.require_modalities()
        d_model = settings.d_model
        constants = _by_modality("signal_constants", SIGNAL_CONSTANTS, settings, inputs)
        weights = _by_modality("signal_weights", SIGNAL_WEIGHTS, settings, inputs)
        # Frozen but part of the released state, and counted among its parameters.
        self.signal_constants = nn.Parameter(constants, requires_grad=False)
        self.log_signal_weights = nn.Parameter(
            torch.log(weights / weights.sum()), requires_grad=False
        )
        kept = torch.tensor([settings.prior_mean])
        self.register_buffer("prior_odds", (1 - kept) / kept, persistent=False)
        self.sequence_embedding = nn.Linear(4, d_model)
        self.signal_embedding = nn.Linear(len(inputs.modalities), d_model)
        self._add_backbones()
        self.mask_output = nn.Linear(d_model, 2)
        self.head = ExpressionHead(d_model, inputs.n_gene_features, settings.d_hidden or d_model)
        zero_linear_biases(self)

    def _add_backbones(self) -> None:
        self.generator = self.settings.backbone(init_layers=INIT_LAYERS)
        self.predictor = self.settings.backbone(init_layers=INIT_LAYERS)

    def prior(self) -> tuple[Tensor, Tensor]:
        """Shapes of the prior, s and s (1 - r) / r, both (1,)."""
        scale = self.settings.prior_scale
        return torch.full_like(self.prior_odds, scale), scale * self.prior_odds

    def own_evidence(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """(B, L, 2) outputs of the generator -> alpha_1 and beta_1, both (B, L)."""
        floor = self.settings.evidence_floor
        shapes = functional.softplus(full_precision(logits)) + floor + TINY_SHAPE
        return shapes[..., 1], shapes[..., 0]

    def mask_shapes(self, logits: Tensor, signals: Tensor) -> tuple[Tensor, Tensor]:
        """Shapes alpha and beta (B, L) of the mask's distribution."""
        settings = self.settings
        alpha, beta = self.own_evidence(logits)
        weights = self.log_signal_weights.softmax(dim=0)
        evidence = (full_precision(signals) + settings.evidence_floor) * settings.kappa + TINY_SHAPE
        constants = (self.signal_constants + settings.evidence_floor) * settings.kappa
        alpha = (alpha + (evidence * weights).sum(dim=-1)) * settings.z_scale
        beta = (beta + (constants * weights).sum()) * settings.z_scale
        return alpha.clamp_min(TINY_SHAPE), beta

    def draw(self, alpha: Tensor, beta: Tensor) -> Tensor:
        """A training mask (B, L) in (0, 1)."""
        return sample_beta(alpha, beta)

    def raw_mask(self, alpha: Tensor, beta: Tensor) -> Tensor:
        """The mask (B, L) before the fixed positions are set."""
        return self.draw(alpha, beta) if self.training else self.test_mask(alpha, beta)

    def test_mask(self, alpha: Tensor, beta: Tensor) -> Tensor:
        """The evaluation mask (B, L), by the setting of the same name."""
        mean, settings = alpha / (alpha + beta), self.settings
        if settings.test_mask == "soft":
            return mean
        if settings.test_mask == "hard":
            mask = (mean >= THRESHOLD).to(mean.dtype)
            width = settings.test_pool_bp
            if width:
                mask = functional.max_pool1d(mask, width, stride=1, padding=width // 2)
            return mask
        fraction = settings.test_fraction or settings.prior_mean
        top = mean.topk(int(mean.shape[1] * fraction), dim=1)
        values = top.values if settings.test_mask == "top_soft" else torch.ones_like(top.values)
        return torch.zeros_like(mean).scatter(1, top.indices, values)

    def fix_positions(self, mask: Tensor, batch: BatchLike) -> Tensor:
        """Zero at blacklisted positions (extras ``blacklist``, (B, L) bool), one at the centre."""
        if "blacklist" in batch.extras:
            mask = mask.masked_fill(batch.extras["blacklist"].bool(), 0.0)
        center = torch.zeros(mask.shape[1], dtype=torch.bool, device=mask.device)
        center[center_slice(mask.shape[1], self.settings.center_bp)] = True
        return mask.masked_fill(center, 1.0)

    def embed(self, batch: BatchLike) -> tuple[Tensor, Tensor]:
        """Inputs of the generator and, before masking, of the predictor: (B, L, d_model)."""
        sequence = self.sequence_embedding(batch.sequence)
        return sequence, sequence + self.signal_embedding(batch.signals)

    def forward(self, batch: BatchLike) -> ModelOutput:
        """Predictions (B,); extras: ``mask``, ``mask_alpha`` and ``mask_beta``, all (B, L)."""
        generator_input, embedded = self.embed(batch)
        logits = self.mask_output(self.generator(generator_input))
        alpha, beta = self.mask_shapes(logits, batch.signals)
        mask = self.fix_positions(self.raw_mask(alpha, beta), batch)
        prediction = self.head(self.pooled(embedded, mask), batch.gene_features)
        return ModelOutput(prediction, {"mask": mask, "mask_alpha": alpha, "mask_beta": beta})

    def pooled(self, embedded: Tensor, mask: Tensor) -> Tensor:
        """Central mean (B, d_model) of the predictor's hidden states."""
        hidden = self.predictor(embedded * mask.unsqueeze(-1).to(embedded.dtype))
        return center_mean(hidden, self.settings.center_bp)

    def losses(self, output: ModelOutput, target: Tensor) -> dict[str, Tensor]:
        """Terms ``prediction``, ``kl`` and ``continuity``, each times its weight."""
        extras, weights = output.extras, self.loss_weights
        kl = beta_kl(extras["mask_alpha"], extras["mask_beta"], *self.prior())
        return {
            "prediction": smooth_l1(output.prediction, target),
            "kl": weights.kl * kl,
            "continuity": weights.continuity * mask_continuity(extras["mask"]),
        }


class Seq2ExpHard(Seq2ExpSoft):
    """Kept positions only, packed together, through the one backbone: (B, L, ...) -> (B,)."""

    architecture = "seq2exp_hard"
    Settings = Seq2ExpHardSettings

    def _add_backbones(self) -> None:
        self.generator = self.settings.backbone(init_layers=INIT_LAYERS)
        self.positions = nn.Parameter(torch.zeros(self.inputs.window_bp, self.settings.d_model))

    def embed(self, batch: BatchLike) -> tuple[Tensor, Tensor]:
        length = batch.sequence.shape[1]
        if length > self.inputs.window_bp:
            raise InputError(
                f"this Seq2Exp model has positions for windows of up to {self.inputs.window_bp} "
                f"bp, found {length}."
            )
        # Shorter windows are centre crops, so they take the centre of the table.
        positions = self.positions[center_slice(self.inputs.window_bp, length)]
        embedded = self.sequence_embedding(batch.sequence) + self.signal_embedding(batch.signals)
        embedded = embedded + positions
        return embedded, embedded

    def raw_mask(self, alpha: Tensor, beta: Tensor) -> Tensor:
        if not self.training:
            return self.test_mask(alpha, beta)
        soft = self.draw(alpha, beta)
        hard = (soft >= THRESHOLD).to(soft.dtype)
        return hard + (soft - soft.detach())

    def pooled(self, embedded: Tensor, mask: Tensor) -> Tensor:
        keep = mask.detach() > THRESHOLD
        if self.settings.isolate_samples and not self.training:
            rows = [
                self._packed_mean(embedded[i : i + 1], keep[i : i + 1]) for i in range(len(keep))
            ]
            return torch.cat(rows)
        return self._packed_mean(embedded, keep)

    def _packed_mean(self, embedded: Tensor, keep: Tensor) -> Tensor:
        """Pack, scan, and average the hidden states of the central positions."""
        counts = keep.sum(dim=1)
        width = int(counts.max())
        order = torch.argsort(~keep, dim=1, stable=True)[:, :width]
        packed = embedded.gather(1, order.unsqueeze(-1).expand(-1, -1, embedded.shape[-1]))
        padding = torch.arange(width, device=keep.device) >= counts.unsqueeze(1)
        hidden = self.generator(packed.masked_fill(padding.unsqueeze(-1), 0.0))
        # Central positions are always kept; the running count says where they went.
        places = keep.cumsum(dim=1) - 1
        places = places[:, center_slice(keep.shape[1], self.settings.center_bp)]
        return hidden.gather(1, places.unsqueeze(-1).expand(-1, -1, hidden.shape[-1])).mean(dim=1)


def _by_modality(
    name: str, defaults: dict[str, float], settings: Seq2ExpSettings, inputs: InputSpec
) -> Tensor:
    known = {**defaults, **getattr(settings, name)}
    missing = [m for m in inputs.modalities if m not in known]
    if missing:
        raise InputError(
            f"Seq2Exp needs a number per modality in {name}; there is none for "
            f"{', '.join(missing)} (known: {', '.join(known)}): add it to the hyperparameters."
        )
    return torch.tensor([float(known[m]) for m in inputs.modalities])
