"""Where models err: by class of gene, by predicted level, and what averaging would gain."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from prismflow.data.store import Store
from prismflow.errors import InputError
from prismflow.evaluation.gene_classes import gene_classes, order_of
from prismflow.evaluation.pooled import Pooled, pool, same_genes
from prismflow.evaluation.predictions_file import read_gathered
from prismflow.files import write_tsv
from prismflow.plan.run import RunKey
from prismflow.statistics.paired import (
    N_RESAMPLES,
    PAIRED_METRICS,
    Effect,
    Replicates,
    contrast,
    gene_weights,
    replicate,
)

COLUMNS = (
    "part", "cell", "model", "grouping", "class", "metric", "value", "low", "high", "gain",
    "gain_low", "gain_high", "n_seeds", "n_genes",
)  # fmt: skip
STRATUM, CALIBRATION, AVERAGING = "stratum", "calibration", "averaging"
OTHER_STRAND = "other_strand"
"""Scenario in which models read the other strand."""
N_GROUPS = 10
FEWEST_GENES = 10
"""A class with fewer test genes gets no numbers."""
SINGLE, SEEDS, STRANDS, BOTH = "one model", "seeds averaged", "strands averaged", "both averaged"


def measure_strata(
    request: Mapping[str, Any], gathered: str, stores: Mapping[str, str | Path], output: str
) -> None:
    """Write errors by class, calibration and gains of averaging as TSV.

    Args:
        request: ``experiment`` (``id``, ``models``), ``runs`` and ``cells``, as the plan words
            them.
        gathered: the dataset's gathered predictions.
        stores: folder of the store by cell.
        output: the table, columns :data:`COLUMNS`.

    Raises:
        InputError: no run of these models.
    """
    runs = [RunKey(*run) for run in request["runs"]]
    groups = read_gathered(gathered)
    rows: list[dict[str, Any]] = []
    for cell in request["cells"]:
        arms = {}
        for model in request["experiment"]["models"]:
            found = pool(groups, runs, cell, model)
            if found is not None:
                arms[model] = (found, pool(groups, runs, cell, model, OTHER_STRAND))
        if arms:
            classes = _classes(Store.open(stores[cell]), next(iter(arms.values()))[0])
            rows += [{"cell": cell, **row} for row in strata(arms, classes)]
    if not rows:
        raise InputError(
            f"{request['experiment']['id']}: expected runs of its models, found none; change its "
            "models or leave the experiment out."
        )
    write_tsv(pd.DataFrame(rows, columns=list(COLUMNS)), output)


def _classes(store: Store, arm: Pooled) -> pd.DataFrame:
    rows = {gene: row for row, gene in enumerate(store.genes["gene_id"].astype(str))}
    return gene_classes(store, np.array([rows[gene] for gene in arm.genes], dtype=np.int64))


def strata(
    arms: Mapping[str, tuple[Pooled, Pooled | None]], classes: pd.DataFrame
) -> Iterator[dict[str, Any]]:
    """Rows of one cell: see :data:`COLUMNS`.

    Part ``stratum``: ``mse``, ``pearson`` and ``bias`` (mean of predicted minus observed) in every
    class of at least :data:`FEWEST_GENES` genes. Part ``calibration``: per tenth of the genes by
    predicted level (of each seed) the mean ``predicted`` and ``observed``, and under the class
    ``all`` the ``slope`` of observed on predicted. Part ``averaging``: ``mse`` and ``pearson`` of
    one model, of the mean over seeds, over the two strands and over both, and the ``gain`` as the
    paired difference from one model. Intervals of 95 % over seeds and genes; of the mean over
    seeds over genes alone, for these seeds.

    Args:
        arms: model -> its predictions, and those on the other strand if it has any.
        classes: of :func:`prismflow.evaluation.gene_classes.gene_classes`, in the arms' order.
    """
    for model, (arm, turned) in arms.items():
        parts = (_by_class(arm, classes), _calibration(arm), _averaging(arm, turned, model))
        for part in parts:
            for row in part:
                yield {"model": model, "n_seeds": len(arm.seeds), **row}


def _by_class(arm: Pooled, classes: pd.DataFrame) -> Iterator[dict[str, Any]]:
    for grouping in classes.columns.drop("gene_id"):
        sizes = {str(name): int(n) for name, n in classes[grouping].value_counts().items()}
        for name in order_of(grouping, sizes):
            own = (classes[grouping] == name).to_numpy()
            known = {"part": STRATUM, "grouping": grouping, "class": name, "n_genes": sizes[name]}
            if sizes[name] < FEWEST_GENES:
                yield {**known, "metric": "mse"}
                continue
            part = chosen(arm, own)
            found = _metrics(part, part.predicted)
            found["bias"] = _bias(part)
            for metric, values in found.items():
                yield {**known, "metric": metric, **_bounds(contrast([(1.0, values)]))}


def chosen(arm: Pooled, own: np.ndarray) -> Pooled:
    """The arm on some of its genes, (G,) bool."""
    return dataclasses.replace(
        arm,
        genes=arm.genes[own],
        fold_of=arm.fold_of[own],
        observed=arm.observed[own],
        predicted=arm.predicted[:, own],
        blocks=None if arm.blocks is None else arm.blocks[own],
    )


def _metrics(arm: Pooled, predicted: np.ndarray) -> dict[str, Replicates]:
    blocks = None if arm.blocks is None else [arm.blocks]
    return replicate([arm.observed], [predicted], blocks=blocks)


def _weights(arm: Pooled) -> np.ndarray:
    """The draws of :func:`prismflow.statistics.paired.replicate`."""
    return gene_weights(arm.genes.size, N_RESAMPLES, [0, 0], arm.blocks)


def _replicates(arm: Pooled, values: np.ndarray, resampled: np.ndarray) -> Replicates:
    blocks = None if arm.blocks is None else np.unique(arm.blocks).size
    return Replicates(values, resampled, arm.genes.size, blocks)


def _bias(arm: Pooled) -> Replicates:
    errors = arm.predicted - arm.observed
    return _replicates(arm, errors.mean(axis=1), _weights(arm) @ errors.T)


def _calibration(arm: Pooled) -> Iterator[dict[str, Any]]:
    weights = _weights(arm).astype(float)
    known = {"part": CALIBRATION, "grouping": "predicted"}
    size = arm.genes.size
    if size >= N_GROUPS * FEWEST_GENES:
        # Ties in the order of the genes, so that every tenth has its genes.
        order = np.argsort(arm.predicted, axis=1, kind="stable")
        group = np.empty_like(order)
        np.put_along_axis(group, order, np.arange(size)[None] * N_GROUPS // size, axis=1)
        for number in range(N_GROUPS):
            member = (group == number).astype(float)
            n_genes = int(member[0].sum())
            for metric, values in (
                ("predicted", arm.predicted),
                ("observed", np.repeat(arm.observed[None], len(member), axis=0)),
            ):
                exact = (member * values).sum(axis=1) / member.sum(axis=1)
                drawn = weights @ (member * values).T
                with np.errstate(invalid="ignore", divide="ignore"):
                    resampled = drawn / (weights @ member.T)
                effect = contrast([(1.0, _replicates(arm, exact, resampled))])
                yield {**known, "class": f"tenth {number + 1}", "metric": metric,
                       "n_genes": n_genes, **_bounds(effect)}  # fmt: skip
    effect = contrast([(1.0, _slope(arm, weights))])
    yield {**known, "class": "all", "metric": "slope", "n_genes": size, **_bounds(effect)}


def _slope(arm: Pooled, weights: np.ndarray) -> Replicates:
    """Slope of observed on predicted by least squares; 1 is calibrated, less is overconfident."""
    y = arm.observed - arm.observed.mean()
    p = arm.predicted - arm.predicted.mean(axis=1, keepdims=True)

    def slope(w: np.ndarray) -> np.ndarray:
        mean_p = w @ p.T
        spread = w @ (p * p).T - mean_p**2
        together = w @ (p * y).T - mean_p * (w @ y)[:, None]
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(spread > 0, together / spread, np.nan)

    even = np.full((1, y.size), 1 / y.size)
    return _replicates(arm, slope(even)[0], slope(weights))


def _averaging(arm: Pooled, turned: Pooled | None, model: str) -> Iterator[dict[str, Any]]:
    """One model against means over seeds, strands, and both."""
    single = arm.predicted
    ways = {SINGLE: single}
    if len(single) > 1:
        ways[SEEDS] = single.mean(axis=0, keepdims=True)
    if turned is not None and turned.seeds == arm.seeds:
        same_genes(arm, turned, f"{model} on the other strand")
        ways[STRANDS] = (single + turned.predicted) / 2
        if len(single) > 1:
            ways[BOTH] = ways[STRANDS].mean(axis=0, keepdims=True)
    found = _metrics(arm, np.concatenate(list(ways.values())))
    start, columns = 0, {}
    for way, values in ways.items():
        columns[way] = range(start, start + len(values))
        start += len(values)
    for way in ways:
        for metric in PAIRED_METRICS:
            own, one = found[metric].of(columns[way]), found[metric].of(columns[SINGLE])
            row = {"part": AVERAGING, "grouping": "averaging", "class": way, "metric": metric,
                   "n_genes": arm.genes.size, **_bounds(contrast([(1.0, own)]))}  # fmt: skip
            if way != SINGLE:
                if way != STRANDS:
                    one = _mean_over_seeds(one)
                gain = contrast([(1.0, own), (-1.0, one)])
                row |= {"gain": gain.value, "gain_low": gain.low, "gain_high": gain.high}
            yield row


def _mean_over_seeds(values: Replicates) -> Replicates:
    return dataclasses.replace(
        values,
        values=values.values.mean(keepdims=True),
        resampled=values.resampled.mean(axis=1, keepdims=True),
    )


def _bounds(effect: Effect) -> dict[str, float]:
    return {"value": effect.value, "low": effect.low, "high": effect.high}
