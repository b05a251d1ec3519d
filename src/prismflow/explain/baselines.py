"""What an input is compared with: the average training gene, or nothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from prismflow.data.inputs import READ_GENES
from prismflow.explain.trained import Trained


@dataclass(frozen=True, eq=False)
class Baseline:
    """Inputs without what is special to a gene.

    Attributes:
        sequence: (L, 4) shares of the bases, or zeros (unknown bases).
        signals: (L, M) transformed signals, or zeros.
    """

    sequence: Tensor
    signals: Tensor


def make_baseline(trained: Trained, kind: str) -> Baseline:
    """``zero``, or ``mean``: position-wise means over the training genes of the run's fold."""
    length, names = trained.window_bp, trained.inputs.modalities
    sequence = np.zeros((length, 4), np.float32)
    signals = np.zeros((length, len(names)), np.float32)
    if kind == "mean":
        rows = trained.split.rows["train"]
        for channel, name in enumerate(names):
            signals[:, channel] = trained.inputs.mean_signal(name, rows)
        counts = np.zeros((length, 4))
        for first in range(0, len(rows), READ_GENES):
            codes = trained.inputs.codes(rows[first : first + READ_GENES])
            for base in range(4):
                counts[:, base] += (codes == base).sum(axis=0)
        sequence = (counts / len(rows)).astype(np.float32)
    return Baseline(*(torch.from_numpy(a).to(trained.device) for a in (sequence, signals)))
