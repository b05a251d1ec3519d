r"""EPInformer: the promoter and candidate enhancers as tokens, joined by attention.

Each 2-kb element is encoded by convolutions (a stem, four stages that halve the length, three
dilated convolutions) into one vector; distance, contact and activity are joined to it; three
pre-norm attention layers let the promoter and the enhancers see each other but no enhancer another
one; the promoter's token and the gene features go to the head (Lin et al.; sizes of the released
baseline).

A batch may bring its elements: extras ``elements`` (B, 1 + n, element_bp, 4), the promoter first
and absent ones all zero, and ``element_features`` (B, 1 + n, 3): distance in kb,
log10(1 + contact), activity. Otherwise they are cut from the window itself, see
:func:`window_elements`.
"""

from __future__ import annotations

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
from prismflow.settings.fields import require_positive

STEM_KERNEL = 8
DILATIONS = (2, 4, 6)
N_FEATURES = 3
ACTIVITY = ("h3k27ac", "dnase")
CONTACT = "hic"


@dataclass(frozen=True)
class EPInformerSettings:
    """Hyper-parameters; the defaults are those of the released baseline.

    Attributes:
        n_enhancers: most candidate enhancers per gene.
        element_bp: length of an element.
        d_model: size of a token, a multiple of ``element_channels``.
        tower_channels: widths of the halving stages.
        output_channels: width of the dilated convolutions.
        element_channels: channels that a token is flattened from.
        d_feedforward: width of the attention layers' MLP; None means 4 x d_model.
    """

    n_enhancers: int = 60
    element_bp: int = 2000
    d_model: int = 64
    n_layers: int = 3
    n_heads: int = 4
    stem_channels: int = 256
    tower_channels: tuple[int, ...] = (128, 64, 64, 128)
    output_channels: int = 64
    element_channels: int = 32
    d_feedforward: int | None = None
    d_hidden: int = 128

    def __post_init__(self) -> None:
        require_positive(self, "element_bp", "d_model", "n_layers", "n_heads", "stem_channels")
        require_positive(self, "output_channels", "element_channels", "d_hidden")
        if self.n_enhancers < 0:
            raise InputError(f"n_enhancers must be 0 or more, found {self.n_enhancers}.")
        if self.d_model % self.element_channels or self.d_model % self.n_heads:
            raise InputError(
                f"d_model must be a multiple of element_channels ({self.element_channels}) and of "
                f"n_heads ({self.n_heads}), found {self.d_model}."
            )
        if self.encoded_length < 1:
            raise InputError(f"element_bp is too short for the encoder: {self.element_bp}.")

    @property
    def encoded_length(self) -> int:
        """Positions that are left of an element after all convolutions."""
        return self.element_bp // 2 ** len(self.tower_channels) - 2 * sum(DILATIONS)


class ElementEncoder(nn.Module):
    """Convolutions over single elements: (n, 4, element_bp) -> (n, d_model)."""

    def __init__(self, settings: EPInformerSettings) -> None:
        super().__init__()
        width = settings.stem_channels
        self.stem = nn.Conv1d(4, width, STEM_KERNEL)
        self.stages, self.mixers = nn.ModuleList(), nn.ModuleList()
        for channels in settings.tower_channels:
            conv = nn.Conv1d(width, channels, 3, padding=1)
            norm = nn.BatchNorm1d(channels)
            self.stages.append(nn.Sequential(conv, norm, nn.ELU(), nn.MaxPool1d(2)))
            self.mixers.append(nn.Sequential(nn.Conv1d(channels, channels, 1), nn.ELU()))
            width = channels
        layers: list[nn.Module] = []
        for dilation in DILATIONS:
            layers += [
                nn.Conv1d(width, settings.output_channels, 3, dilation=dilation),
                nn.BatchNorm1d(settings.output_channels),
                nn.ELU(),
            ]
            width = settings.output_channels
        channels = settings.element_channels
        layers += [nn.Conv1d(width, channels, 1), nn.BatchNorm1d(channels), nn.ELU()]
        layers += [nn.Linear(settings.encoded_length, settings.d_model // channels), nn.ELU()]
        self.output = nn.Sequential(*layers)

    def forward(self, elements: Tensor) -> Tensor:
        left = (STEM_KERNEL - 1) // 2
        x = functional.pad(elements, (left, STEM_KERNEL - 1 - left))
        x = functional.elu(self.stem(x))
        for stage, mixer in zip(self.stages, self.mixers, strict=True):
            x = stage(x)
            x = x + mixer(x)
        return self.output(x).flatten(1)


class StarAttention(nn.Module):
    """Pre-norm attention layer in which enhancers see the promoter and themselves only."""

    def __init__(self, settings: EPInformerSettings) -> None:
        super().__init__()
        d_model = settings.d_model
        d_feedforward = settings.d_feedforward or 4 * d_model
        self.norm1 = nn.LayerNorm(d_model)
        self.attention = nn.MultiheadAttention(d_model, settings.n_heads, batch_first=True)
        self.norm2 = nn.LayerNorm(d_model)
        self.mlp = nn.Sequential(
            nn.Linear(d_model, d_feedforward), nn.ReLU(), nn.Linear(d_feedforward, d_model)
        )

    def forward(self, tokens: Tensor, absent: Tensor) -> tuple[Tensor, Tensor]:
        """(B, P, d_model) and absent elements (B, P) -> tokens and mean attention (B, P, P)."""
        n = tokens.shape[1]
        blocked = ~torch.eye(n, dtype=torch.bool, device=tokens.device)
        blocked[0, :] = False
        blocked[:, 0] = False
        x = self.norm1(tokens)
        x, attention = self.attention(x, x, x, key_padding_mask=absent, attn_mask=blocked)
        tokens = tokens + x
        return tokens + self.mlp(self.norm2(tokens)), attention


class EPInformer(ExpressionModel):
    """Promoter and enhancers: (B, L, 4), (B, L, M) -> (B,)."""

    architecture = "epinformer"
    takes = ("elements", "element_features")
    Settings = EPInformerSettings
    TINY: ClassVar[dict[str, Any]] = {
        "n_enhancers": 3,
        "element_bp": 400,
        "d_model": 16,
        "n_layers": 1,
        "n_heads": 2,
        "stem_channels": 8,
        "tower_channels": (8, 8, 8, 8),
        "output_channels": 8,
        "element_channels": 8,
        "d_hidden": 16,
    }

    def __init__(
        self, settings: EPInformerSettings, loss_weights: NoLossWeights, inputs: InputSpec
    ) -> None:
        super().__init__(settings, loss_weights, inputs)
        d_model = settings.d_model
        self.encoder = ElementEncoder(settings)
        self.feature_mixer = nn.Sequential(
            nn.Linear(d_model + N_FEATURES, d_model),
            nn.ReLU(),
            nn.Linear(d_model, d_model),
            nn.ReLU(),
        )
        self.layers = nn.ModuleList(StarAttention(settings) for _ in range(settings.n_layers))
        self.head = ExpressionHead(d_model, inputs.n_gene_features, settings.d_hidden)

    def elements(self, batch: BatchLike) -> tuple[Tensor, Tensor]:
        """Elements (B, P, element_bp, 4) and their features (B, P, 3)."""
        if "elements" not in batch.extras:
            return window_elements(
                batch.sequence,
                batch.signals,
                self.inputs.modalities,
                self.settings.n_enhancers,
                self.settings.element_bp,
            )
        # The nearest come first; more than the model was built for are left out.
        nearest = slice(1 + self.settings.n_enhancers)
        elements = batch.extras["elements"][:, nearest].to(batch.sequence.dtype)
        if elements.shape[2] != self.settings.element_bp:
            raise InputError(
                f"EPInformer was built for elements of {self.settings.element_bp} bp, "
                f"found {elements.shape[2]}."
            )
        return elements, batch.extras["element_features"][:, nearest].to(batch.sequence.dtype)

    def forward(self, batch: BatchLike) -> ModelOutput:
        """Predictions (B,)."""
        elements, features = self.elements(batch)
        encoded = self.encoder(elements.flatten(0, 1).transpose(1, 2))
        tokens = torch.cat([encoded.unflatten(0, elements.shape[:2]), features], dim=-1)
        tokens = self.feature_mixer(tokens)
        absent = elements.abs().sum(dim=(2, 3)) == 0
        # The promoter is always there, so that no row of the attention is empty.
        absent[:, 0] = False
        for layer in self.layers:
            tokens, _ = layer(tokens, absent)
        return ModelOutput(self.head(tokens[:, 0], batch.gene_features))


def window_elements(
    sequence: Tensor,
    signals: Tensor,
    modalities: tuple[str, ...],
    n_enhancers: int,
    element_bp: int,
) -> tuple[Tensor, Tensor]:
    """Promoter and candidate enhancers of a window, where no list of candidates is given.

    The promoter is the central ``element_bp``; the candidates are the tiles of the same length
    beside it. The ``n_enhancers`` tiles with the highest activity are kept, nearest first.
    Activity is the geometric mean of the tile's mean H3K27ac and DNase signals (of those that are
    there, else 0) and the contact is the tile's mean contact signal, both as transformed for the
    batch. It stands in for an activity-by-contact list of candidates.

    Args:
        sequence: (B, L, 4) one-hot; windows shorter than an element are padded with zeros.
        signals: (B, L, M) in the order of ``modalities``.

    Returns:
        (B, P, element_bp, 4) elements and (B, P, 3) features with P <= 1 + n_enhancers.
    """
    short = element_bp - sequence.shape[1]
    if short > 0:
        pad = (0, 0, short // 2, short - short // 2)
        sequence, signals = functional.pad(sequence, pad), functional.pad(signals, pad)
    flank = (sequence.shape[1] - element_bp) // 2 // element_bp
    tiles = 2 * flank + 1
    inside = center_slice(sequence.shape[1], tiles * element_bp)
    bases = sequence[:, inside].unflatten(1, (tiles, element_bp))
    levels = signals[:, inside].unflatten(1, (tiles, element_bp)).mean(dim=2)
    offset = torch.arange(tiles, device=sequence.device) - flank
    kilobases = (offset * element_bp / 1000).to(sequence.dtype).expand(len(sequence), -1)
    zero = torch.zeros_like(kilobases)
    marks = [levels[..., modalities.index(m)].clamp_min(0) for m in ACTIVITY if m in modalities]
    activity = torch.stack(marks).prod(dim=0).pow(1 / len(marks)) if marks else zero
    contact = levels[..., modalities.index(CONTACT)] if CONTACT in modalities else zero
    features = torch.stack([kilobases, contact.to(zero.dtype), activity.to(zero.dtype)], dim=-1)
    by_distance = torch.argsort(offset.abs(), stable=True)[1:]
    chosen = activity[:, by_distance].topk(min(n_enhancers, tiles - 1), dim=1).indices
    chosen = by_distance[chosen.sort(dim=1).values]
    order = torch.cat([chosen.new_full((len(sequence), 1), flank), chosen], dim=1)
    rows = torch.arange(len(sequence), device=sequence.device).unsqueeze(1)
    return bases[rows, order], features[rows, order]
