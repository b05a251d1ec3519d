"""Do models tell cells apart? Tests on other cells, and differences between two cells.

Beside every number stand two that need no model: the other cell's observed value, and the mean
observed value over the other cells.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from prismflow.errors import InputError
from prismflow.evaluation.pooled import Pooled, pool, same_genes
from prismflow.evaluation.predictions_file import Group, read_gathered
from prismflow.files import write_tsv
from prismflow.plan.run import RunKey
from prismflow.statistics.paired import PAIRED_METRICS, Effect, Replicates, contrast, replicate

COLUMNS = (
    "part", "cell", "other_cell", "source", "from_cell", "model", "metric", "value", "low", "high",
    "minus_own", "minus_own_low", "minus_own_high",
    "minus_baseline", "minus_baseline_low", "minus_baseline_high", "n_seeds", "n_genes",
)  # fmt: skip
OWN, ELSEWHERE, OBSERVED, MEAN, EQUAL = "own", "elsewhere", "observed", "mean", "equal"
"""Sources: models of the cell itself; of another cell; the other cell's observed value; the mean
over the other cells' observed values; no difference at all."""
LEVEL, DIFFERENCE = "level", "difference"
Key = tuple[str, str, str]
"""Source, the cell it comes from (of training, or whose labels) and model of a row."""


def measure_cross_cell(request: Mapping[str, Any], gathered: str, output: str) -> None:
    """Write what an experiment says across cells as TSV.

    Args:
        request: ``experiment`` (``id``, ``models``), ``runs`` and ``cells``, as the plan words
            them.
        gathered: the dataset's gathered predictions.
        output: the table, columns :data:`COLUMNS`.

    Raises:
        InputError: fewer than two cells, or no model was tested on another cell.
    """
    runs = [RunKey(*run) for run in request["runs"]]
    table = cross_cell(read_gathered(gathered), runs, request["experiment"], request["cells"])
    write_tsv(table, output)


def cross_cell(
    groups: Sequence[Group],
    runs: Sequence[RunKey],
    experiment: Mapping[str, Any],
    cells: Sequence[str],
) -> pd.DataFrame:
    """One row per tested cell (or pair of cells), source of the numbers and metric.

    Args:
        groups: the dataset's gathered predictions.
        runs: the experiment's runs.
        experiment: ``id`` and ``models``.
        cells: in the order in which they are named.

    Returns:
        Columns :data:`COLUMNS`. Part ``level``: the labels of ``cell``, predicted by models of that
        cell (source ``own``), by models of ``from_cell`` on the inputs of ``cell``
        (``elsewhere``), by the observed labels of ``from_cell`` (``observed``) or their mean over
        all other cells (``mean``, from three cells on). Part ``difference``: label of ``cell``
        minus label of ``other_cell``; ``own``: each predicted by its own cell's model;
        ``elsewhere``: both by the model of ``from_cell``; ``equal``: no difference. ``minus_own``
        is the paired difference from the source ``own``, ``minus_baseline`` from the better of the
        baselines by Pearson's r (in part ``difference`` from ``equal``, which has no correlation).
        Intervals of 95 % over seeds and genes.

    Raises:
        InputError: fewer than two cells, or no model was tested on another cell.
    """
    own = {
        (cell, model): found
        for cell in cells
        for model in experiment["models"]
        if (found := pool(groups, runs, cell, model)) is not None
    }
    there = [cell for cell in cells if any(key[0] == cell for key in own)]
    if len(there) < 2:
        raise InputError(
            f"{experiment['id']}: expected runs in at least two cells, found "
            f"{', '.join(there) or 'none'}; add a cell to the dataset or leave the experiment out."
        )
    moved = {
        (cell, tested, model): found
        for cell, tested in itertools.permutations(there, 2)
        for model in experiment["models"]
        if (found := pool(groups, runs, cell, model, f"on_{tested}")) is not None
    }
    rows = [row for cell in there for row in _levels(cell, there, own, moved)]
    for first, second in itertools.combinations(there, 2):
        rows += _differences(first, second, own, moved)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _levels(
    cell: str,
    cells: Sequence[str],
    own: Mapping[tuple[str, str], Pooled],
    moved: Mapping[tuple[str, str, str], Pooled],
) -> Iterator[dict[str, Any]]:
    """Rows of one tested cell."""
    others = [other for other in cells if other != cell]
    first = next(found for key, found in own.items() if key[0] == cell)
    labels: dict[str, np.ndarray] = {}
    for other in others:
        found = next(arm for key, arm in own.items() if key[0] == other)
        same_genes(first, found, f"{cell} and {other}")
        labels[other] = found.observed
    arms: dict[Key, np.ndarray] = {
        (OWN, cell, model): found.predicted
        for (trained, model), found in own.items()
        if trained == cell
    }
    seeds = {(OWN, cell, model): arm.seeds for (c, model), arm in own.items() if c == cell}
    for (trained, tested, model), found in moved.items():
        if tested == cell:
            same_genes(first, found, f"{cell} and {trained}")
            arms[ELSEWHERE, trained, model] = found.predicted
            seeds[ELSEWHERE, trained, model] = found.seeds
    baselines = {(OBSERVED, other, ""): values[None] for other, values in labels.items()}
    if len(others) > 1:
        baselines[MEAN, "", ""] = np.mean(list(labels.values()), axis=0)[None]
    resampled = _resample(first, first.observed, {**arms, **baselines})
    baseline = max(baselines, key=lambda key: float(resampled[key]["pearson"].values[0]))
    yield from _rows(LEVEL, cell, "", resampled, seeds, baseline)


def _differences(
    first: str,
    second: str,
    own: Mapping[tuple[str, str], Pooled],
    moved: Mapping[tuple[str, str, str], Pooled],
) -> Iterator[dict[str, Any]]:
    """Rows of the label of one cell minus that of another."""
    one = next(found for key, found in own.items() if key[0] == first)
    two = next(found for key, found in own.items() if key[0] == second)
    observed = one.observed - two.observed
    arms: dict[Key, np.ndarray] = {}
    seeds: dict[Key, tuple[int, ...]] = {}
    for model in dict.fromkeys(model for _, model in own):
        pairs: dict[Key, tuple[Pooled | None, Pooled | None]] = {
            (OWN, "", model): (own.get((first, model)), own.get((second, model))),
            (ELSEWHERE, first, model): (
                own.get((first, model)),
                moved.get((first, second, model)),
            ),
            (ELSEWHERE, second, model): (
                moved.get((second, first, model)),
                own.get((second, model)),
            ),
        }
        for key, (left, right) in pairs.items():
            if left is None or right is None:
                continue
            common = tuple(sorted(set(left.seeds) & set(right.seeds)))
            if common:
                arms[key] = _of(left, common) - _of(right, common)
                seeds[key] = common
    equal = (EQUAL, "", "")
    arms[equal] = np.zeros((1, observed.size))
    yield from _rows(DIFFERENCE, first, second, _resample(one, observed, arms), seeds, equal)


def _of(arm: Pooled, seeds: Sequence[int]) -> np.ndarray:
    return arm.predicted[[arm.seeds.index(seed) for seed in seeds]]


def _resample(
    first: Pooled, observed: np.ndarray, arms: Mapping[Key, np.ndarray]
) -> dict[Key, dict[str, Replicates]]:
    """Metrics of all arms on the same resamples of the test genes."""
    whole = replicate(
        [observed],
        [np.concatenate(list(arms.values()))],
        blocks=None if first.blocks is None else [first.blocks],
    )
    found: dict[Key, dict[str, Replicates]] = {}
    start = 0
    for key, values in arms.items():
        columns = range(start, start + len(values))
        start += len(values)
        found[key] = {metric: whole[metric].of(columns) for metric in PAIRED_METRICS}
    return found


def _rows(
    part: str,
    cell: str,
    second: str,
    resampled: Mapping[Key, Mapping[str, Replicates]],
    seeds: Mapping[Key, tuple[int, ...]],
    baseline: Key,
) -> Iterator[dict[str, Any]]:
    for key, metric in itertools.product(resampled, PAIRED_METRICS):
        source, place, model = key
        value = contrast([(1.0, resampled[key][metric])])
        row: dict[str, Any] = {
            "part": part, "cell": cell, "other_cell": second, "source": source,
            "from_cell": place, "model": model, "metric": metric, "value": value.value,
            "low": value.low, "high": value.high,
            "n_seeds": value.n_seeds if model else 0, "n_genes": value.n_genes,
        }  # fmt: skip
        own = (OWN, "" if second else cell, model)
        if source == ELSEWHERE and own in resampled:
            shared = sorted(set(seeds[key]) & set(seeds[own]))
            if shared:
                row |= _named("minus_own", _paired(key, own, shared, resampled, seeds, metric))
        if source in (OWN, ELSEWHERE):
            row |= _named("minus_baseline", _minus_one(key, baseline, resampled, metric))
        yield row


def _paired(
    key: Key,
    own: Key,
    shared: Sequence[int],
    resampled: Mapping[Key, Mapping[str, Replicates]],
    seeds: Mapping[Key, tuple[int, ...]],
    metric: str,
) -> Effect:
    left = resampled[key][metric].of([seeds[key].index(seed) for seed in shared])
    right = resampled[own][metric].of([seeds[own].index(seed) for seed in shared])
    return contrast([(1.0, left), (-1.0, right)])


def _minus_one(
    key: Key, baseline: Key, resampled: Mapping[Key, Mapping[str, Replicates]], metric: str
) -> Effect:
    """Against something that has no seed, which is the same beside every one of them."""
    model = resampled[key][metric]
    return contrast([(1.0, model), (-1.0, resampled[baseline][metric].of([0] * model.values.size))])


def _named(name: str, effect: Effect) -> dict[str, float]:
    return {name: effect.value, f"{name}_low": effect.low, f"{name}_high": effect.high}
