"""What predictions lose when an input is put back to its baseline, whole or bin by bin."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from torch import Tensor

from prismflow.explain.baselines import Baseline
from prismflow.explain.trained import Gene, Trained


def bins_of(window_bp: int, bin_bp: int) -> list[tuple[int, int]]:
    """Bins of a window, 0-based half-open within it; the last one may be shorter."""
    return [(start, min(start + bin_bp, window_bp)) for start in range(0, window_bp, bin_bp)]


def occlusions(trained: Trained, gene: Gene, baseline: Baseline, bin_bp: int) -> pd.DataFrame:
    """Prediction of the gene minus the prediction without an input, other inputs as they are.

    Returns:
        Columns ``input`` (``sequence`` or a signal), ``start`` and ``end`` (within the window;
        0 and L for the whole of it), and one per output.
    """
    spans = [(0, trained.window_bp), *bins_of(trained.window_bp, bin_bp)]
    table = pd.DataFrame(
        [(name, *span) for name in trained.reads for span in spans],
        columns=["input", "start", "end"],
    )
    own = trained.predict(gene, gene.sequence[None], gene.signals[None])[0]
    without = np.array(list(trained.predict_all(gene, _changed(trained, gene, baseline, table))))
    for number, output in enumerate(trained.outputs):
        table[output] = own[number] - without[:, number]
    return table


def _changed(
    trained: Trained, gene: Gene, baseline: Baseline, table: pd.DataFrame
) -> Iterator[tuple[Tensor, Tensor]]:
    for name, start, end in table.itertuples(index=False):
        sequence, signals = gene.sequence, gene.signals
        if name == "sequence":
            sequence = sequence.clone()
            sequence[start:end] = baseline.sequence[start:end]
        else:
            channel = trained.inputs.modalities.index(name)
            signals = signals.clone()
            signals[start:end, channel] = baseline.signals[start:end, channel]
        yield sequence, signals
