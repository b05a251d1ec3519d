"""Every single-base substitution of a window: saturation mutagenesis in silico."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from prismflow.data.genome import UNKNOWN
from prismflow.explain.trained import Gene, Trained

N_BASES = 4


@torch.inference_mode()
def substitutions(
    trained: Trained, gene: Gene, tell: Callable[[int, int], None] | None = None
) -> np.ndarray:
    """What each substitution changes, signals and gene features held fixed.

    All windows of a pass are the gene's own with one base set, so memory is bounded by
    ``trained.pass_bp``.

    Args:
        tell: is told how many substitutions are done, and of how many.

    Returns:
        (outputs, L, 4) float32: prediction with this base minus prediction of the gene; 0 for the
        base that stands there, NaN where the base is unknown.
    """
    places = np.flatnonzero(gene.codes < UNKNOWN)
    at = np.repeat(places, N_BASES - 1)
    base = (gene.codes[at] + np.tile(np.arange(1, N_BASES), len(places))) % N_BASES
    own = trained.predict(gene, gene.sequence[None], gene.signals[None])[0]
    effects = np.full((len(trained.outputs), trained.window_bp, N_BASES), np.nan, np.float32)
    effects[:, places, gene.codes[places]] = 0
    for first in range(0, len(at), trained.rows_per_pass):
        part = slice(first, first + trained.rows_per_pass)
        n = len(at[part])
        sequences = gene.sequence.repeat(n, 1, 1)
        rows, where = torch.arange(n), torch.from_numpy(at[part])
        sequences[rows, where] = trained.one_hot(base[part].astype(np.uint8))
        signals = gene.signals.expand(n, -1, -1)
        effects[:, at[part], base[part]] = (trained.predict(gene, sequences, signals) - own).T
        if tell is not None:
            tell(first + n, len(at))
    return effects


def base_importance(effects: np.ndarray) -> np.ndarray:
    """(..., L, 4) effects of substitutions -> (..., L): minus their mean; NaN at unknown bases.

    Positive where the base that stands there raises the prediction.
    """
    return -effects.sum(axis=-1) / (N_BASES - 1)
