"""Integrated gradients over the sequence and all signals together (Sundararajan et al. 2017)."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
import torch
from captum.attr import IntegratedGradients
from torch import Tensor

from prismflow.explain.baselines import Baseline
from prismflow.explain.trained import Gene, Trained

logger = logging.getLogger(__name__)

COMPLETE = 0.01
"""Contributions must add up to the difference of predictions within this share of it ..."""
SMALLEST_DIFFERENCE = 0.05
"""... or of this difference, in units of the label, where predictions differ less."""
MOST_TIMES = 16
"""The steps are doubled up to this many times the number asked for."""


@dataclass(frozen=True, eq=False)
class Contributions:
    """Contributions to one output of one gene.

    Attributes:
        sequence: (L, 4) float32; sum over the last axis for one number per base.
        signals: (L, M) float32.
        prediction, reference: output for the gene, and for the baseline with its gene features.
        steps: number of steps taken.
        error: what contributions and difference of predictions differ by, over
            max(|difference|, :data:`SMALLEST_DIFFERENCE`).
    """

    sequence: np.ndarray
    signals: np.ndarray
    prediction: float
    reference: float
    steps: int
    error: float


def integrated_gradients(
    trained: Trained, gene: Gene, baseline: Baseline, output: str, steps: int
) -> Contributions:
    """Contributions of every base and signal value, along the straight line from the baseline.

    The gene features are held fixed. Where the sum of contributions misses the difference of
    predictions by more than :data:`COMPLETE`, the steps are doubled.

    Args:
        output: one of ``trained.outputs``.
        steps: of the quadrature (Gauss-Legendre).
    """
    with_signals = bool(trained.inputs.modalities)

    def forward(sequence: Tensor, signals: Tensor | None = None) -> Tensor:
        if signals is None:
            signals = gene.signals.expand(len(sequence), -1, -1)
        return trained.output(output, gene, sequence, signals)

    inputs: tuple[Tensor, ...] = (gene.sequence[None],)
    reference: tuple[Tensor, ...] = (baseline.sequence[None],)
    if with_signals:
        inputs, reference = (*inputs, gene.signals[None]), (*reference, baseline.signals[None])
    with torch.no_grad():
        high, low = float(forward(*inputs)), float(forward(*reference))
    method, tried = IntegratedGradients(forward), steps
    while True:
        parts = method.attribute(
            inputs, reference, n_steps=tried, internal_batch_size=trained.rows_per_pass
        )
        total = sum(float(part.double().sum()) for part in parts)
        difference = high - low
        error = abs(total - difference) / max(abs(difference), SMALLEST_DIFFERENCE)
        if error <= COMPLETE or tried >= MOST_TIMES * steps:
            break
        tried *= 2
    arrays = [part[0].detach().float().cpu().numpy() for part in parts]
    signals = arrays[1] if with_signals else np.zeros((trained.window_bp, 0), np.float32)
    return Contributions(arrays[0], signals, high, low, tried, error)
