"""Predictions of all runs of a bundle: one row per gene."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from prismflow.data.inputs import GeneInputs
from prismflow.data.strands import other_strand
from prismflow.evaluation.scenarios import predictor_of
from prismflow.predict.bundle import Bundle
from prismflow.predict.ranges import share_outside, summarise
from prismflow.training.progress import Progress

logger = logging.getLogger(__name__)

READOUTS = ("direct", "backdoor")
"""Outputs of a model that are given beside its prediction where there are two."""

CHUNK_BATCHES = 16
"""Batches of genes that are in memory at a time."""


def predict_genes(
    bundle: Bundle,
    inputs: GeneInputs,
    rows: np.ndarray,
    *,
    both_strands: bool = False,
    device: str = "auto",
    threads: int | None = None,
) -> pd.DataFrame:
    """Predict genes with every run of a bundle.

    Genes stand in batches as in an evaluation of the same genes in the same order, so a run's
    predictions are that evaluation's to the last bit.

    Args:
        bundle: the trained runs.
        inputs: what the model reads of the genes.
        rows: (n,) store rows.
        both_strands: average the prediction with that of the other strand.
        device: ``auto``, ``cpu`` or ``cuda``.
        threads: CPU threads; None leaves them as they are.

    Returns:
        n rows: ``predicted`` (mean over runs), ``sd`` (between runs; empty for one), ``direct``
        and ``backdoor`` where the model has both, one column per run (float32),
        ``outside_share`` and ``outside``.

    Raises:
        InputError: weights that do not fit, or too little memory on the GPU.
    """
    by_member: dict[str, np.ndarray] = {}
    readouts: dict[str, list[np.ndarray]] = {}
    step = int(bundle.settings.get("training", {}).get("eval_batch_size", 64)) * CHUNK_BATCHES
    # Before a network takes its memory; pages of the store would come on top of it.
    ranges: Mapping[str, Any] = bundle.manifest["ranges"]
    outside = share_outside(summarise(inputs, rows), ranges["folds"])
    inputs.store.let_go()
    progress = Progress(len(bundle.members) * len(rows), "predicting")
    for number, member in enumerate(bundle.members):
        adapt, predictor = predictor_of(bundle.settings, bundle.weights(member), device, threads)
        views = [adapt(inputs)]
        views += [other_strand(views[0])] if both_strands else []
        parts = []
        for first in range(0, len(rows), step):
            parts.append(_chunk(predictor, views, rows[first : first + step]))
            inputs.store.let_go()
            progress.update(number * len(rows) + first + len(parts[-1][0]))
        by_member[member] = np.concatenate([predicted for predicted, _ in parts])
        if all(set(READOUTS) <= set(own) for _, own in parts):
            for name in READOUTS:
                values = np.concatenate([own[name] for _, own in parts])
                readouts.setdefault(name, []).append(values)
    matrix = np.stack(list(by_member.values())).astype(np.float64)
    table = {"predicted": matrix.mean(axis=0), "sd": _spread(matrix)}
    table |= {name: np.mean(values, axis=0, dtype=np.float64) for name, values in readouts.items()}
    return pd.DataFrame(
        {**table, **by_member, "outside_share": outside, "outside": outside > ranges["limit"]}
    )


def _chunk(
    predictor: Any, views: list[GeneInputs], rows: np.ndarray
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Prediction and readouts of some genes; means over the views where there are two."""
    found = [predictor(view, rows, True) for view in views]
    if len(found) == 1:
        predicted, extras = found[0]
        return predicted, {name: extras[name] for name in READOUTS if name in extras}
    predicted = np.mean([np.float64(own) for own, _ in found], axis=0).astype(np.float32)
    return predicted, {
        name: np.mean([np.float64(extras[name]) for _, extras in found], axis=0)
        for name in READOUTS
        if name in found[0][1]
    }


def _spread(matrix: np.ndarray) -> np.ndarray:
    if len(matrix) < 2:
        return np.full(matrix.shape[1], np.nan)
    return matrix.std(axis=0, ddof=1)
