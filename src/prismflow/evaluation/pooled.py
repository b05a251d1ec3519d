"""Runs of one experiment on its test genes, the genes of all folds one after the other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from prismflow.errors import InputError
from prismflow.evaluation.predictions_file import Group
from prismflow.plan.run import RunKey


@dataclass(frozen=True, eq=False)
class Pooled:
    """One arm on the test genes of all its folds.

    Attributes:
        seeds: S seeds that have every fold, sorted.
        folds: folds, sorted; each gene is a test gene of one of them.
        genes: (G,) names.
        fold_of: (G,) number of the gene's fold.
        observed: (G,) labels, float64.
        predicted: (S, G) float64.
        blocks: (G,) block of every gene; None: each is its own.
    """

    seeds: tuple[int, ...]
    folds: tuple[str, ...]
    genes: np.ndarray
    fold_of: np.ndarray
    observed: np.ndarray
    predicted: np.ndarray
    blocks: np.ndarray | None = None


def pool(
    groups: Sequence[Group], runs: Iterable[RunKey], cell: str, model: str, scenario: str = "full"
) -> Pooled | None:
    """Predictions of one model in one cell, seeds that have every fold.

    Args:
        groups: of :func:`prismflow.evaluation.predictions_file.read_gathered`.
        runs: the runs that count.
        cell: of training.
        model, scenario: whose predictions.

    Returns:
        None where no seed has every fold.
    """
    wanted = set(runs)
    places: dict[str, dict[int, tuple[Group, int, int]]] = {}
    for group in groups:
        for position, row in enumerate(group.rows):
            named = (row.model, row.scenario) == (model, scenario) and group.cell == cell
            if named and RunKey(cell, model, group.fold, row.seed) in wanted:
                places.setdefault(group.fold, {})[row.seed] = (group, position, row.observed)
    if not places:
        return None
    folds = tuple(sorted(places))
    seeds = tuple(sorted(set.intersection(*(set(own) for own in places.values()))))
    if not seeds:
        return None
    parts = [places[fold][seeds[0]] for fold in folds]
    return Pooled(
        seeds,
        folds,
        np.concatenate([np.array(group.genes, dtype=object) for group, _, _ in parts]),
        np.repeat(range(len(folds)), [len(group.genes) for group, _, _ in parts]),
        np.concatenate([group.observed[label] for group, _, label in parts]).astype(float),
        np.concatenate(
            [
                places[fold][seeds[0]][0].predicted[[places[fold][seed][1] for seed in seeds]]
                for fold in folds
            ],
            axis=1,
        ).astype(float),
        _blocks([group for group, _, _ in parts]),
    )


def _blocks(groups: Sequence[Group]) -> np.ndarray | None:
    if any(group.blocks is None for group in groups):
        return None
    return np.concatenate([group.blocks for group in groups if group.blocks is not None])


def same_genes(first: Pooled, second: Pooled, what: str) -> None:
    """Nothing, if both were tested on the same genes.

    Raises:
        InputError: they were not.
    """
    if not np.array_equal(first.genes, second.genes):
        raise InputError(
            f"{what}: expected the same test genes in the same order, found {first.genes.size} and "
            f"{second.genes.size} genes that differ; give these runs one split."
        )
