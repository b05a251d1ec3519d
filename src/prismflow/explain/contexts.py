"""What each of Prism's context weights does to its backdoor output."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import torch
from captum.attr import IntegratedGradients
from torch import Tensor, nn

from prismflow.explain.trained import Gene, Trained

COLUMNS = ("context", "feature", "weight", "contribution", "removed")


class Given(nn.Module):
    """Stands in the generator's place and gives weights that were set from outside."""

    weights: Tensor

    def forward(self, signals: Tensor) -> Tensor:
        """(B, d_model, n), whatever the signals are."""
        return self.weights


def has_context_weights(trained: Trained) -> bool:
    """Whether the model makes weights (Prism with contexts that are not other genes' signals)."""
    return getattr(trained.model, "weight_generator", None) is not None


def context_effects(trained: Trained, gene: Gene, steps: int) -> pd.DataFrame:
    """Contribution of every context weight to the backdoor output, from no intervention.

    A weight of 1 leaves its feature as it is, so the line of integration runs from all ones (where
    every branch is the un-intervened one) to the gene's own weights; contributions add up to what
    the weights change.

    Returns:
        A row per context i and feature: ``context`` (from 1), ``feature`` (from 0), ``weight``,
        ``contribution``, and ``removed``: backdoor output minus the one with all weights of this
        context at 1, the same in all rows of a context.
    """
    model: Any = trained.model
    sequence, signals = gene.sequence[None], gene.signals[None]
    with torch.no_grad():
        own = model.weight_generator(signals[:, :, model.context_channels])
    generator, given = model.weight_generator, Given()
    model.weight_generator = given
    try:

        def backdoor(weights: Tensor) -> Tensor:
            given.weights = weights
            n = len(weights)
            expanded = (tensor.expand(n, -1, -1) for tensor in (sequence, signals))
            return trained.output("backdoor", gene, *expanded)

        parts = IntegratedGradients(backdoor).attribute(
            own, torch.ones_like(own), n_steps=steps, internal_batch_size=trained.rows_per_pass
        )[0]
        with torch.no_grad():
            kept = float(backdoor(own))
            removed = []
            for context in range(own.shape[2]):
                changed = own.clone()
                changed[:, :, context] = 1
                removed.append(kept - float(backdoor(changed)))
    finally:
        model.weight_generator = generator
    n_features, n_contexts = own.shape[1:]
    return pd.DataFrame(
        {
            "context": np.repeat(np.arange(1, n_contexts + 1), n_features),
            "feature": np.tile(np.arange(n_features), n_contexts),
            "weight": own[0].T.reshape(-1).cpu().numpy(),
            "contribution": parts.detach().T.reshape(-1).cpu().numpy(),
            "removed": np.repeat(removed, n_features),
        }
    )
