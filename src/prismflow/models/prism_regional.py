r"""Prism on signals from which a regional background was taken out (docs/confounding.md).

The background signal enters as :math:`D\, e^{-\gamma (z - \bar z)}`: divided by a power of its own
regional level, as a peak caller divides by the local level, with the power found on the training
genes. z itself never reaches the network, so nothing that the network can learn depends on the
region. The *adapted* output adds z afterwards, by the tie of z and the predictions among the genes
that are predicted together.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from prismflow.errors import InputError
from prismflow.models.common import BatchLike, InputsLike, InputSpec, ModelOutput
from prismflow.models.prism import Prism, PrismLossWeights, PrismSettings
from prismflow.models.regional import REMOVALS, Tie, adapt, fit_removal, fit_tie
from prismflow.settings.fields import require_choice

LEAST_SHARE = 0.1
READ_GENES = 64


@dataclass(frozen=True)
class PrismRegionalSettings(PrismSettings):
    """Hyper-parameters of Prism, and what is taken out.

    Attributes:
        anchor: the signal of the cause, which the background doesn't touch.
        background: the signal that carries the background; its modality needs ``regional_bp``.
        removal: how the power of its regional level is found, see
            :func:`prismflow.models.regional.fit_removal`.
    """

    n_contexts: int = 0
    anchor: str = "h3k27ac"
    background: str = "dnase"
    removal: str = "two_stage"

    def __post_init__(self) -> None:
        super().__post_init__()
        require_choice("removal", self.removal, REMOVALS)


@dataclass(frozen=True)
class _Cleaned:
    """A batch whose background signal is cleaned and whose gene features are without the level."""

    sequence: Tensor
    signals: Tensor
    gene_features: Tensor
    extras: dict[str, Tensor]


class PrismRegional(Prism):
    """Prism that reads a background signal relative to its region.

    The regional level is the last gene feature. Outputs: ``direct`` (and ``backdoor`` with
    contexts) as Prism, of a gene's own signals; ``adapted``, of genes that belong together.
    """

    architecture = "prism_regional"
    Settings = PrismRegionalSettings
    LossWeights = PrismLossWeights
    learns_from_the_split = True
    regional: Tensor

    def __init__(
        self, settings: PrismRegionalSettings, loss_weights: PrismLossWeights, inputs: InputSpec
    ) -> None:
        absent = [s for s in (settings.anchor, settings.background) if s not in inputs.modalities]
        if absent or inputs.n_gene_features < 1:
            raise InputError(
                f"prism_regional: expected the signals {settings.anchor} (anchor) and "
                f"{settings.background} (background) and the background's regional level as last "
                f"gene feature, found {', '.join(inputs.modalities) or 'no signal'} and "
                f"{inputs.n_gene_features} gene features; correct modalities, anchor or background."
            )
        own = dataclasses.replace(inputs, n_gene_features=inputs.n_gene_features - 1)
        super().__init__(settings, loss_weights, own)
        self.inputs = inputs
        self.channel = inputs.modalities.index(settings.background)
        # The power, the mean level of the training genes, and the tie: slope and reliability.
        self.register_buffer("regional", torch.tensor([0.0, 0.0, 1.0, 1.0]))

    def prepare(self, inputs: InputsLike, rows: np.ndarray) -> None:
        """Find the power of the regional level on the training genes.

        Raises:
            InputError: the background signal has a transform; it must be raw.
        """
        name = self.settings.background
        if inputs.transforms[name] != "raw":
            raise InputError(
                f"prism_regional: expected the transform raw for {name}, which is divided by its "
                f"regional level, found {inputs.transforms[name]}; set transforms: "
                f"{{{name}: raw}} of the model."
            )
        z = inputs.features(rows)[:, -1].astype(np.float64)
        means = {
            signal: np.concatenate(
                [
                    inputs.signal(signal, rows[first : first + READ_GENES]).mean(axis=1)
                    for first in range(0, len(rows), READ_GENES)
                ]
            ).astype(np.float64)
            for signal in (self.settings.anchor, name)
        }
        anchor = np.log1p(np.maximum(means[self.settings.anchor], 0))
        background = np.log(np.maximum(means[name], 0) + LEAST_SHARE * np.exp(z))
        label = inputs.labels(rows).astype(np.float64)
        power = fit_removal(anchor, background, z, label, self.settings.removal)
        self.regional[:2] = torch.tensor([power, float(z.mean())])

    def conclude(self, score: np.ndarray, inputs: InputsLike, rows: np.ndarray) -> None:
        """Learn the tie from (n,) predictions of validation genes with the kept weights."""
        z = inputs.features(rows)[:, -1].astype(np.float64)
        label = inputs.labels(rows).astype(np.float64)
        tie = fit_tie(score.astype(np.float64), z, label)
        self.regional[2:] = torch.tensor([tie.slope, tie.reliability])

    def forward(self, batch: BatchLike) -> ModelOutput:
        """As :class:`Prism`; in evaluation the extras hold the ``regional_level`` (B,) too."""
        output = super().forward(self._cleaned(batch))
        if not self.training:
            output.extras["regional_level"] = batch.gene_features[:, -1]
        return output

    def reported_prediction(self, batch: BatchLike) -> Tensor:
        """(B,) reported prediction alone."""
        return super().reported_prediction(self._cleaned(batch))

    def outputs_of_split(self, extras: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """``adapted`` (n,) of genes that are predicted together, from their extras."""
        _, _, slope, reliability = self.regional.tolist()
        direct = extras["direct"].astype(np.float64)
        z = extras["regional_level"].astype(np.float64)
        return {"adapted": adapt(direct, z, Tie(slope, reliability)).astype(np.float32)}

    def _cleaned(self, batch: BatchLike) -> BatchLike:
        power, mean = self.regional[0], self.regional[1]
        divisor = torch.exp(power * (batch.gene_features[:, -1] - mean)).unsqueeze(1)
        signals = batch.signals.clone()
        signals[:, :, self.channel] = signals[:, :, self.channel] / divisor
        return _Cleaned(batch.sequence, signals, batch.gene_features[:, :-1], batch.extras)
