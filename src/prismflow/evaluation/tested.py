"""Models as they are tested, with their resampled metrics: what comparisons and claims share."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from prismflow.evaluation.predictions_file import Group
from prismflow.plan.run import RunKey
from prismflow.statistics.blocks import design_effect
from prismflow.statistics.paired import Effect, Replicates, contrast, replicate

Arm = tuple[str, str, str]
"""Cell, model and scenario."""


@dataclass(frozen=True, eq=False)
class Tested:
    """One arm on its test genes.

    Attributes:
        seeds: S seeds that have every fold, sorted.
        folds: folds, sorted.
        labels: identity of the label vectors; only arms with equal ones can be paired.
        metrics: per metric the values and replicates of the S runs.
        errors: squared errors (S, G) float32, the genes of the folds one after the other.
        gene_weights: (G,) weight of a gene in the mean over folds.
        blocks: (G,) block of every gene, those of different folds apart; None: each is its own.
    """

    seeds: tuple[int, ...]
    folds: tuple[str, ...]
    labels: tuple[int, ...]
    metrics: dict[str, Replicates]
    errors: np.ndarray
    gene_weights: np.ndarray
    blocks: np.ndarray | None = None

    def mean(self, metric: str) -> float:
        """Mean over seeds."""
        return float(self.metrics[metric].values.mean())


def read_arms(
    groups: Sequence[Group], runs: Iterable[RunKey], scenarios: Collection[str]
) -> dict[Arm, Tested]:
    """Resample the metrics of every arm of these runs.

    Args:
        groups: of :func:`prismflow.evaluation.predictions_file.read_gathered`.
        runs: the runs that count.
        scenarios: the scenarios that count.

    Returns:
        Arms of which at least one seed has every fold that the arm's other seeds have.
    """
    wanted = set(runs)
    found: dict[Arm, dict[tuple[str, int], tuple[Group, int, int]]] = {}
    for group in groups:
        for position, row in enumerate(group.rows):
            if (
                row.scenario in scenarios
                and (group.cell, row.model, group.fold, row.seed) in wanted
            ):
                seen = found.setdefault((group.cell, row.model, row.scenario), {})
                seen[group.fold, row.seed] = (group, position, row.observed)
    batches: dict[tuple, list[tuple[Arm, tuple[int, ...], dict]]] = {}
    for arm, places in found.items():
        folds = tuple(sorted({fold for fold, _ in places}))
        seeds = tuple(
            seed
            for seed in sorted({seed for _, seed in places})
            if all((fold, seed) in places for fold in folds)
        )
        if seeds:
            labels = tuple(places[fold, seeds[0]][2] for fold in folds)
            batches.setdefault((arm[0], folds, labels), []).append((arm, seeds, places))
    arms: dict[Arm, Tested] = {}
    for (_, folds, labels), members in batches.items():
        arms.update(_resample(folds, labels, members))
    return arms


def _resample(
    folds: tuple[str, ...],
    labels: tuple[int, ...],
    members: Sequence[tuple[Arm, tuple[int, ...], Mapping]],
) -> dict[Arm, Tested]:
    """Resample all runs on one set of test genes together."""
    observed, predicted, blocks = [], [], []
    for fold, label in zip(folds, labels, strict=True):
        places = [places[fold, seed] for _, seeds, places in members for seed in seeds]
        group = places[0][0]
        observed.append(group.observed[label].astype(float))
        predicted.append(group.predicted[[position for _, position, _ in places]])
        blocks.append(np.arange(len(group.genes)) if group.blocks is None else group.blocks)
    replicates = replicate(observed, predicted, blocks=blocks)
    apart = np.unique(
        np.stack([np.repeat(range(len(folds)), [b.size for b in blocks]), np.concatenate(blocks)]),
        axis=1, return_inverse=True,
    )[1].ravel()  # fmt: skip
    errors = np.concatenate(
        [(runs - labels) ** 2 for runs, labels in zip(predicted, observed, strict=True)], axis=1
    ).astype(np.float32)
    weights = np.concatenate([np.full(y.size, 1 / (len(folds) * y.size)) for y in observed])
    arms: dict[Arm, Tested] = {}
    start = 0
    for arm, seeds, _ in members:
        columns = range(start, start + len(seeds))
        start += len(seeds)
        arms[arm] = Tested(
            seeds,
            folds,
            labels,
            {metric: values.of(columns) for metric, values in replicates.items()},
            errors[columns.start : columns.stop],
            weights,
            apart,
        )
    return arms


def comparable(arms: Sequence[Tested]) -> bool:
    """Whether arms have test genes, labels and at least one seed in common."""
    first = arms[0]
    same = all((arm.folds, arm.labels) == (first.folds, first.labels) for arm in arms)
    return same and bool(common_seeds(arms))


def common_seeds(arms: Sequence[Tested]) -> list[int]:
    """Seeds that every arm has, sorted."""
    return sorted(set.intersection(*(set(arm.seeds) for arm in arms)))


def effect(
    terms: Sequence[tuple[float, Tested]], metric: str = "mse", level: float = 0.95
) -> Effect:
    """Weighted sum of a metric over comparable arms, on the seeds that all have."""
    seeds = common_seeds([arm for _, arm in terms])
    return contrast(
        [
            (weight, arm.metrics[metric].of([arm.seeds.index(seed) for seed in seeds]))
            for weight, arm in terms
        ],
        level,
    )


def design_effect_of(terms: Sequence[tuple[float, Tested]]) -> float:
    """How much blocks raise the variance over genes of a weighted sum of squared errors."""
    seeds = common_seeds([arm for _, arm in terms])
    combined = sum(
        weight * arm.errors[[arm.seeds.index(seed) for seed in seeds]].mean(axis=0, dtype=float)
        for weight, arm in terms
    )
    first = terms[0][1]
    return design_effect(np.asarray(combined), first.gene_weights, first.blocks)


def error_difference(model: Tested, reference: Tested) -> np.ndarray:
    """(G,) difference of the squared errors, mean over the seeds that both have."""
    seeds = common_seeds([model, reference])

    def mean(arm: Tested) -> np.ndarray:
        rows = [arm.seeds.index(seed) for seed in seeds]
        return arm.errors[rows].mean(axis=0, dtype=float)

    return mean(model) - mean(reference)
