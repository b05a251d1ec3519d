r"""Prism: sequence and signals through one bidirectional Mamba, with learned context weights.

With X in {0,1}^{L x 4} the one-hot sequence, S in R^{L x M} the signals and f the gene features
(paper, section on the method; released code where the text leaves a choice):

.. math::
    E = X W_x + b_x, \quad H = S W_s + b_s, \quad a_1, ..., a_n = g(S) \in (0, 1)^d \\
    h_0 = \mathrm{pool}\, B(E + H), \quad h_i = \mathrm{pool}\, B(E + H \odot a_i) \\
    y = \mathrm{head}([h_0; f]), \quad y_{do} = \mathrm{head}([\tfrac 1n \sum_i h_i; f]) \\
    \mathrm{loss} = \mathrm{sl1}(y, t) + \alpha\, \mathrm{sl1}(y_{do}, t) + \beta\, U(a)

Settings go beyond the paper where its average can't be an adjustment: docs/confounding.md.
The released code reports y, so the context weights act at training time only; the text reports
the backdoor average y_do, and averages predictions where the code averages hidden states. Both
outputs are always computed and both choices are settings.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from prismflow.errors import InputError
from prismflow.models.bimamba import TINY_BACKBONE, BackboneSettings
from prismflow.models.common import (
    BatchLike,
    ExpressionHead,
    ExpressionModel,
    InputSpec,
    ModelOutput,
    center_mean,
    zero_linear_biases,
)
from prismflow.models.losses import context_uniformity, smooth_l1, weighed
from prismflow.models.together import launches_cost
from prismflow.settings.fields import require_choice, require_positive

CONTEXT_SOURCES = ("learned", "random", "sampled")
POOL = 4
KERNELS = (7, 5, 3)
SHORTEST_WINDOW_BP = POOL ** len(KERNELS)


@dataclass(frozen=True)
class PrismSettings(BackboneSettings):
    """Hyper-parameters; the defaults are the paper's.

    Attributes:
        n_contexts: number n of context weight vectors; 0 builds the model without a generator.
        weight_activation: ``sigmoid``, or ``softmax`` over the d_model features.
        intervention_average: ``hidden`` applies the head to the mean hidden state (released
            code), ``prediction`` averages the n predictions (the paper's equations 2 and 3).
        reported: which output is the prediction: ``direct`` (released code) or ``backdoor``.
        context_source: ``learned`` by the generator; ``random``: in the place of the weights
            n fixed masks of ones and zeros, the same for every gene, drawn once with the model;
            ``sampled``: no weights, but the signals of other training genes in the branches.
        context_modalities: signals that contexts are made from and act on; the embedding of the
            others passes unchanged. None: all (the paper).
        n_bank: training genes whose signals are kept and averaged over in a test; ``sampled`` only.
        drop_rate: share of the d_model features that a random mask drops, rounded to features.
        cnn_channels: channels of the generator's first convolution; the others have 2x and 4x.
    """

    n_contexts: int = 2
    cnn_channels: int = 8
    weight_activation: str = "sigmoid"
    intervention_average: str = "hidden"
    reported: str = "direct"
    context_source: str = "learned"
    context_modalities: tuple[str, ...] | None = None
    n_bank: int = 48
    drop_rate: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(self, "cnn_channels", "n_bank")
        require_choice("weight_activation", self.weight_activation, ("sigmoid", "softmax"))
        require_choice("intervention_average", self.intervention_average, ("hidden", "prediction"))
        require_choice("reported", self.reported, ("direct", "backdoor"))
        require_choice("context_source", self.context_source, CONTEXT_SOURCES)
        if not 0 <= self.drop_rate <= 1:
            raise InputError(f"drop_rate must be between 0 and 1, found {self.drop_rate}.")
        if self.context_modalities is not None and not self.context_modalities:
            raise InputError("context_modalities: expected names of signals, found an empty list.")
        if self.n_contexts < 0:
            raise InputError(f"n_contexts must be 0 or more, found {self.n_contexts}.")
        if self.n_contexts == 0 and self.reported == "backdoor":
            raise InputError(
                "reported is backdoor, but n_contexts is 0 and there is nothing to average over: "
                "set reported to direct or n_contexts to 1 or more."
            )


@dataclass(frozen=True)
class PrismLossWeights:
    """Weights of the loss terms; a weight of 0 drops the term, never the weight generator.

    Attributes:
        intervention: alpha, of the backdoor prediction's error.
        uniform: beta, of the uniformity of the context weights.
    """

    intervention: float = 1.0
    uniform: float = 1.0

    def __post_init__(self) -> None:
        for name in ("intervention", "uniform"):
            if getattr(self, name) < 0:
                raise InputError(f"{name} must be 0 or more, found {getattr(self, name)}.")


class WeightGenerator(nn.Module):
    """Convolutional network from the signals to n weight vectors over features.

    Three times [convolution, batch norm, ReLU, max pooling by 4] with kernels 7, 5, 3, then the
    mean over positions and one linear map. Shapes: (B, L, M) -> (B, d_model, n).
    """

    def __init__(self, n_signals: int, settings: PrismSettings) -> None:
        super().__init__()
        self.shape = (settings.d_model, settings.n_contexts)
        self.activation = settings.weight_activation
        widths = [n_signals, *(settings.cnn_channels * factor for factor in (1, 2, 4))]
        blocks = []
        for i, kernel in enumerate(KERNELS):
            conv = nn.Conv1d(widths[i], widths[i + 1], kernel, padding=kernel // 2)
            norm = nn.BatchNorm1d(widths[i + 1])
            blocks.append(nn.Sequential(conv, norm, nn.ReLU(), nn.MaxPool1d(POOL)))
        self.encoder = nn.Sequential(*blocks)
        self.projection = nn.Linear(widths[-1], settings.d_model * settings.n_contexts)

    def encode(self, signals: Tensor) -> Tensor:
        """(B, L, M) -> (B, 4 * cnn_channels): the signals' summary."""
        if signals.shape[1] < SHORTEST_WINDOW_BP:
            raise InputError(
                f"Prism's weight generator pools by {POOL} three times and needs windows of at "
                f"least {SHORTEST_WINDOW_BP} bp, found {signals.shape[1]}."
            )
        return self.encoder(signals.transpose(1, 2)).mean(dim=-1)

    def forward(self, signals: Tensor) -> Tensor:
        """(B, L, M) -> (B, d_model, n) context weights."""
        logits = self.projection(self.encode(signals)).unflatten(-1, self.shape)
        return logits.sigmoid() if self.activation == "sigmoid" else logits.softmax(dim=1)


class RandomMasks(nn.Module):
    """n fixed masks in the place of learned weights, each dropping the same share of features.

    Drawn from torch's global generator, so from the run's seed; kept with the weights. Shapes:
    (B, L, M) -> (B, d_model, n).
    """

    masks: Tensor

    def __init__(self, settings: PrismSettings) -> None:
        super().__init__()
        n_dropped = round(settings.drop_rate * settings.d_model)
        order = torch.rand(settings.d_model, settings.n_contexts).argsort(dim=0).argsort(dim=0)
        self.register_buffer("masks", (order >= n_dropped).float())

    def forward(self, signals: Tensor) -> Tensor:
        """The masks, once per gene."""
        return self.masks.to(signals.dtype).expand(signals.shape[0], -1, -1)


class SampledSignals(nn.Module):
    """Signals of other training genes: the sum over c of P(y | x, c) P(c), by sampling.

    Learned weights are a function of the gene's own signals, so an average over them is one too and
    holds all that the signals say about the gene's background. Here context i holds the signals of
    another gene: while training the i-th next one of the batch, whose order each epoch draws anew.
    A test averages over the last ``n_bank`` genes of the training, kept with the weights, so that
    no prediction depends on other test genes; more genes make that average more exact and train no
    other model.
    """

    bank: Tensor
    written: Tensor

    def __init__(self, n_contexts: int, n_bank: int, window_bp: int, n_channels: int) -> None:
        super().__init__()
        self.n_contexts = n_contexts
        self.register_buffer("bank", torch.zeros(n_bank, window_bp, n_channels))
        self.register_buffer("written", torch.zeros((), dtype=torch.int64))

    def forward(self, signals: Tensor) -> Tensor:
        """Other genes of a training batch: (B, L, C) own signals -> (B, n, L, C).

        A batch of n or fewer genes gives some contexts twice, a gene alone those of the batch
        before; none gets its own.

        Raises:
            InputError: one gene, and none before it.
        """
        others = self._next(signals) if len(signals) > 1 else self._latest()
        kept = signals[: len(self.bank)].to(self.bank.dtype)
        places = torch.arange(len(kept), device=self.written.device)
        self.bank.index_copy_(0, (self.written + places) % len(self.bank), kept)
        self.written += len(kept)
        return others

    def _next(self, signals: Tensor) -> Tensor:
        shifts = [1 + i % (len(signals) - 1) for i in range(self.n_contexts)]
        return torch.stack([signals.roll(-shift, dims=0) for shift in shifts], dim=1)

    def _latest(self) -> Tensor:
        written = int(self.written)
        if not written:
            raise InputError(
                "context_source is sampled: expected at least 2 genes in the first training batch, "
                "so that each has another's signals, found 1; raise training.batch_size."
            )
        there = min(written, len(self.bank))
        places = [(written - 1 - i % there) % len(self.bank) for i in range(self.n_contexts)]
        return self.bank[places].unsqueeze(0)

    def central(self, window_bp: int) -> Tensor:
        """(n, window_bp, C): the bank's genes, as far as it is filled, round their centre."""
        filled = max(1, min(int(self.written), len(self.bank)))
        start = (self.bank.shape[1] - window_bp) // 2
        return self.bank[:filled, start : start + window_bp]


class Prism(ExpressionModel):
    """Expression from sequence and signals with backdoor adjustment over learned contexts."""

    architecture = "prism"
    cast_at_once = ("sequence_embedding", "signal_embedding", "weight_generator", "head")
    Settings = PrismSettings
    LossWeights = PrismLossWeights
    TINY: ClassVar[dict[str, Any]] = {**TINY_BACKBONE, "cnn_channels": 2}

    def __init__(
        self, settings: PrismSettings, loss_weights: PrismLossWeights, inputs: InputSpec
    ) -> None:
        super().__init__(settings, loss_weights, inputs)
        self.require_modalities()
        if settings.n_contexts and inputs.window_bp < SHORTEST_WINDOW_BP:
            raise InputError(
                f"Prism with n_contexts {settings.n_contexts} needs windows of at least "
                f"{SHORTEST_WINDOW_BP} bp, found window_bp {inputs.window_bp}."
            )
        d_model = settings.d_model
        self.sequence_embedding = nn.Linear(4, d_model)
        self.signal_embedding = nn.Linear(len(inputs.modalities), d_model)
        self.context_channels = self._context_channels()
        self.weight_generator: nn.Module | None = None
        self.sampled_signals: SampledSignals | None = None
        n_channels = len(self.context_channels)
        if settings.n_contexts and settings.context_source == "random":
            self.weight_generator = RandomMasks(settings)
        elif settings.n_contexts and settings.context_source == "sampled":
            self.sampled_signals = SampledSignals(
                settings.n_contexts, settings.n_bank, inputs.window_bp, n_channels
            )
        elif settings.n_contexts:
            self.weight_generator = WeightGenerator(n_channels, settings)
        self.backbone = settings.backbone()
        self.head = ExpressionHead(d_model, inputs.n_gene_features, settings.d_hidden or d_model)
        zero_linear_biases(self)

    def _context_channels(self) -> list[int]:
        """Channels of the signals that contexts act on."""
        read = self.inputs.modalities
        named = self.settings.context_modalities or read
        absent = [name for name in named if name not in read]
        if absent:
            raise InputError(
                f"context_modalities: expected some of the signals that the model reads "
                f"({', '.join(read)}), found {', '.join(absent)}."
            )
        return [channel for channel, name in enumerate(read) if name in named]

    def branches(self, batch: BatchLike) -> tuple[Tensor, Tensor | None]:
        """Backbone inputs (B, 1 + n, L, d_model), un-intervened first, and the context weights."""
        if self.sampled_signals is not None:
            kept, own = self._kept_and_own(batch)
            if self.training:
                others = self._embed_context(
                    self.sampled_signals(batch.signals[:, :, self.context_channels])
                )
            else:
                bank = self.sampled_signals.central(batch.signals.shape[1])
                others = self._embed_context(bank).unsqueeze(0).expand(len(own), -1, -1, -1)
            return kept.unsqueeze(1) + torch.cat([own.unsqueeze(1), others], dim=1), None
        kept = self.sequence_embedding(batch.sequence)
        signals = self.signal_embedding(batch.signals)
        if not self.settings.n_contexts:
            return (kept + signals).unsqueeze(1), None
        own, weighed = batch.signals, signals
        if len(self.context_channels) < batch.signals.shape[2]:
            own = batch.signals[:, :, self.context_channels]
            weighed = self._embed_context(own)
            kept = kept + (signals - weighed)
        weights = self.weight_generator(own)  # type: ignore[misc]  # there are contexts
        one = torch.ones_like(weights[:, :, :1])
        scale = torch.cat([one, weights], dim=2).transpose(1, 2).unsqueeze(2)
        return torch.addcmul(kept.unsqueeze(1), weighed.unsqueeze(1), scale), weights

    def _kept_and_own(self, batch: BatchLike) -> tuple[Tensor, Tensor]:
        """Embeddings (B, L, d_model) of what contexts leave alone, and of the own rest.

        Each from its own channels: taking the rest out of the whole would leave what rounding
        leaves of it, in bf16 far more than nothing.
        """
        names = range(batch.signals.shape[2])
        channels = [channel for channel in names if channel not in self.context_channels]
        embedding = self.signal_embedding
        kept = nn.functional.linear(
            batch.signals[:, :, channels], embedding.weight[:, channels], embedding.bias
        )
        own = self._embed_context(batch.signals[:, :, self.context_channels])
        return self.sequence_embedding(batch.sequence) + kept, own

    def _pool(self, inputs: Tensor) -> Tensor:
        """(B, K, L, d_model) backbone inputs -> (B, K, d_model)."""
        hidden = self.backbone(inputs.flatten(0, 1)).unflatten(0, inputs.shape[:2])
        return center_mean(hidden, self.settings.center_bp)

    def _pool_bank(self, batch: BatchLike, sampled: SampledSignals) -> Tensor:
        """(B, 1 + bank, d_model), a few contexts at a time: the bank may be large."""
        kept, own = self._kept_and_own(batch)
        parts = [self._pool((kept + own).unsqueeze(1))]
        bank = sampled.central(batch.signals.shape[1])
        for contexts in bank.split(self.settings.n_contexts):
            others = self._embed_context(contexts).unsqueeze(0)
            parts.append(self._pool(kept.unsqueeze(1) + others))
        return torch.cat(parts, dim=1)

    def _embed_context(self, signals: Tensor) -> Tensor:
        """(..., C) signals that contexts act on -> (..., d_model), their share without the bias."""
        weight = self.signal_embedding.weight[:, self.context_channels]
        return nn.functional.linear(signals, weight)

    def forward(self, batch: BatchLike) -> ModelOutput:
        """Predictions (B,); extras hold ``direct``, and with n > 0 ``backdoor`` and
        ``context_weights`` (B, d_model, n). In evaluation they hold both readings of the average
        too: ``backdoor_hidden`` and ``backdoor_prediction``; with sampled contexts also
        ``backdoor_error`` (B,), the Monte Carlo standard error of ``backdoor_prediction``."""
        weights = None
        if self.sampled_signals is not None and not self.training:
            pooled = self._pool_bank(batch, self.sampled_signals)
        else:
            inputs, weights = self.branches(batch)
            pooled = self._pool(inputs)
        average = self.settings.intervention_average
        readings = [average] if self.training else ["hidden", "prediction"]
        if self.settings.n_contexts and readings == ["hidden"] and launches_cost(pooled.device):
            extras = self._both_heads(pooled, batch.gene_features)
        else:
            extras = {"direct": self.head(pooled[:, 0], batch.gene_features)}
        if self.settings.n_contexts:
            for r in (r for r in readings if f"backdoor_{r}" not in extras):
                extras[f"backdoor_{r}"] = self._backdoor(pooled[:, 1:], batch.gene_features, r)
            extras["backdoor"] = extras[f"backdoor_{average}"]
        if weights is not None:
            extras["context_weights"] = weights
        if self.sampled_signals is not None and not self.training:
            extras["backdoor_error"] = self._monte_carlo_error(pooled[:, 1:], batch.gene_features)
        return ModelOutput(extras[self.settings.reported], extras)

    def reported_prediction(self, batch: BatchLike) -> Tensor:
        """(B,) reported prediction alone; the direct one takes one pass instead of 1 + n."""
        if self.settings.reported != "direct":
            return self(batch).prediction
        embedded = self.sequence_embedding(batch.sequence) + self.signal_embedding(batch.signals)
        pooled = center_mean(self.backbone(embedded), self.settings.center_bp)
        return self.head(pooled, batch.gene_features)

    def _monte_carlo_error(self, pooled: Tensor, gene_features: Tensor) -> Tensor:
        n = pooled.shape[1]
        features = gene_features.unsqueeze(1).expand(-1, n, -1)
        predictions = self.head(pooled, features).float()
        return predictions.std(dim=1, correction=min(1, n - 1)) / n**0.5

    def _both_heads(self, pooled: Tensor, gene_features: Tensor) -> dict[str, Tensor]:
        both = torch.stack([pooled[:, 0], pooled[:, 1:].mean(dim=1)])
        direct, backdoor = self.head(both, gene_features.expand(2, -1, -1)).unbind(0)
        return {"direct": direct, "backdoor_hidden": backdoor}

    def _backdoor(self, pooled: Tensor, gene_features: Tensor, reading: str) -> Tensor:
        if reading == "hidden":
            return self.head(pooled.mean(dim=1), gene_features)
        features = gene_features.unsqueeze(1).expand(-1, pooled.shape[1], -1)
        return self.head(pooled, features).mean(dim=1)

    def losses(self, output: ModelOutput, target: Tensor) -> dict[str, Tensor]:
        """Terms ``prediction``, ``intervention`` and ``uniform``, each times its weight."""
        terms = {"prediction": smooth_l1(output.extras["direct"], target)}
        if self.settings.n_contexts:
            error = smooth_l1(output.extras["backdoor"], target)
            terms["intervention"] = weighed(error, self.loss_weights.intervention)
        if self.weight_generator is not None:
            uniform = context_uniformity(output.extras["context_weights"])
            terms["uniform"] = weighed(uniform, self.loss_weights.uniform)
        return terms
