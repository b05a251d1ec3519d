"""Differences between models over seeds and genes at once: a hierarchical bootstrap.

A trained model's error on a gene varies with the gene and with the seed of the training run. Both
are samples: other genes and other seeds could have been drawn. Genes are resampled with
replacement, the same draw for every model and seed, so that differences stay paired; seeds are the
outer level. Resampling a handful of seeds gives intervals that are too narrow, so the variance
over seeds is taken unbiased and Student's t stands in for the normal (docs/statistics.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from prismflow.errors import InputError
from prismflow.statistics.seeds import check_level

N_RESAMPLES = 2000
PAIRED_METRICS = ("mse", "pearson")
_RUNS_AT_ONCE = 256


@dataclass(frozen=True, eq=False)
class Replicates:
    """A metric of S runs: ``values`` (S,) of the data, ``resampled`` (B, S) of resampled genes.

    ``n_genes`` counts the test genes of all folds together, ``n_blocks`` what was drawn: blocks of
    genes that are no independent samples; None: every gene is its own.
    """

    values: np.ndarray
    resampled: np.ndarray
    n_genes: int
    n_blocks: int | None = None

    def of(self, columns: Sequence[int]) -> Replicates:
        """The chosen runs, in the order given."""
        index = list(columns)
        return Replicates(self.values[index], self.resampled[:, index], self.n_genes, self.n_blocks)


@dataclass(frozen=True)
class Components:
    """Variance of one run's value, by its source, at the present number of genes.

    ``seed``: between seeds, shared by all genes. ``gene``: from the choice of genes, shared by all
    seeds. ``both``: from the choice of genes, each seed apart. With S seeds and k times as many
    genes the mean has the variance seed / S + gene / k + both / (k S).
    """

    seed: float
    gene: float
    both: float

    def variance(self, n_seeds: float, times_genes: float = 1.0) -> float:
        """Variance of the mean over ``n_seeds`` seeds with ``times_genes`` times the genes."""
        return self.seed / n_seeds + (self.gene + self.both / n_seeds) / times_genes


@dataclass(frozen=True)
class Effect:
    """An estimate with its interval over seeds and genes.

    ``low`` and ``high`` bound ``value`` with the coverage asked for, ``p`` is the two-sided test of
    zero, ``se`` the standard error and ``df`` its degrees of freedom. With one seed the interval
    holds for this trained model only, because nothing is known of the spread over seeds.
    """

    value: float
    low: float
    high: float
    se: float
    df: float
    p: float
    n_seeds: int
    n_genes: int
    components: Components

    def interval(self, level: float) -> tuple[float, float]:
        """Bounds at another coverage."""
        check_level(level)
        half = float(stats.t.ppf(0.5 + level / 2, self.df)) * self.se if self.se > 0 else 0.0
        return self.value - half, self.value + half


def gene_weights(
    n_genes: int,
    n_resamples: int,
    seed: Sequence[int] | int,
    blocks: np.ndarray | None = None,
) -> np.ndarray:
    """How often each gene is drawn, divided by how many were: float32 (B, G), rows sum to 1.

    Args:
        n_genes: G.
        n_resamples: B.
        seed: of the draws.
        blocks: (G,) block of every gene; blocks are drawn whole. None: genes are.

    Raises:
        InputError: fewer than two genes.
    """
    if n_genes < 2:
        raise InputError(f"bootstrap over genes: expected at least 2 test genes, found {n_genes}.")
    generator = np.random.default_rng(seed)
    n_drawn, place = n_genes, np.arange(n_genes)
    if blocks is not None:
        names, place = np.unique(blocks, return_inverse=True)
        n_drawn = len(names)
    counts = generator.multinomial(n_drawn, np.full(n_drawn, 1 / n_drawn), size=n_resamples)
    genes = counts[:, place]
    return (genes / genes.sum(axis=1, keepdims=True)).astype(np.float32)


def replicate(
    observed: Sequence[np.ndarray],
    predicted: Sequence[np.ndarray],
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
    blocks: Sequence[np.ndarray] | None = None,
) -> dict[str, Replicates]:
    """MSE and Pearson correlation of runs, on the test genes and on resamples of them.

    Args:
        observed: per fold (G_f,) labels; the genes of the folds may differ in number.
        predicted: per fold (R, G_f) predictions of R runs on these genes.
        n_resamples: B.
        seed: seed of the draws; equal seeds give equal draws whatever the runs are.
        blocks: per fold (G_f,) block of every gene; None: genes are drawn one by one.

    Returns:
        For each of :data:`PAIRED_METRICS` the values of R runs, means over folds.

    Raises:
        InputError: shapes that do not fit, or fewer than two genes in a fold.
    """
    for labels, runs in zip(observed, predicted, strict=True):
        if runs.ndim != 2 or runs.shape[1] != labels.size or len(runs) != len(predicted[0]):
            raise InputError(
                f"paired comparison: expected predictions of {len(predicted[0])} runs on "
                f"{labels.size} genes, found an array of shape {runs.shape}."
            )
    n_genes = sum(labels.size for labels in observed)
    n_blocks = None if blocks is None else sum(np.unique(own).size for own in blocks)
    totals: dict[str, list[np.ndarray]] = {}
    for fold, (labels, runs) in enumerate(zip(observed, predicted, strict=True)):
        own = None if blocks is None else blocks[fold]
        weights = gene_weights(labels.size, n_resamples, [seed, fold], own)
        for metric, (values, resampled) in _one_fold(labels, runs, weights).items():
            if metric not in totals:
                totals[metric] = [values, resampled]
            else:
                totals[metric][0] += values
                totals[metric][1] += resampled
    return {
        metric: Replicates(values / len(observed), resampled / len(observed), n_genes, n_blocks)
        for metric, (values, resampled) in totals.items()
    }


def _one_fold(
    observed: np.ndarray, predicted: np.ndarray, weights: np.ndarray
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Values (R,) and replicates (B, R) of one fold, by matrix products with the gene weights."""
    labels = np.asarray(observed, dtype=np.float64)
    even = np.full((1, labels.size), 1 / labels.size)
    parts: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {name: [] for name in PAIRED_METRICS}
    for start in range(0, len(predicted), _RUNS_AT_ONCE):
        runs = np.asarray(predicted[start : start + _RUNS_AT_ONCE], dtype=np.float64)
        errors = (runs - labels) ** 2
        # Shifting both sides changes no correlation and keeps the sums of squares accurate.
        y, p = labels - labels.mean(), runs - runs.mean(axis=1, keepdims=True)
        # What rounding leaves of a constant prediction would have a correlation.
        p[np.ptp(runs, axis=1) == 0] = 0.0
        features = np.concatenate([errors, p, p * p, p * y, [y, y * y]]).T
        exact, drawn = even @ features, weights @ features.astype(np.float32)
        for metric, point, spread in zip(
            PAIRED_METRICS, _metrics(exact, len(runs)), _metrics(drawn, len(runs)), strict=True
        ):
            parts[metric].append((point[0], spread))
    return {
        metric: (
            np.concatenate([values for values, _ in blocks]),
            np.concatenate([resampled for _, resampled in blocks], axis=1),
        )
        for metric, blocks in parts.items()
    }


def _metrics(means: np.ndarray, n_runs: int) -> tuple[np.ndarray, np.ndarray]:
    """MSE and Pearson (B, R) from the weighted means of the features."""
    mse, p, pp, py = (means[:, i * n_runs : (i + 1) * n_runs] for i in range(4))
    y, yy = means[:, -2:-1], means[:, -1:]
    scale = (pp - p * p) * (yy - y * y)
    with np.errstate(invalid="ignore", divide="ignore"):
        r = np.where(scale > 0, (py - p * y) / np.sqrt(scale), np.nan)
    return mse, r


def contrast(arms: Sequence[tuple[float, Replicates]], level: float = 0.95) -> Effect:
    """A weighted sum of metrics of several models, paired by seed and gene.

    Args:
        arms: (weight, replicates) with the same seeds in the same order and the same resamples; a
            difference of two models is ``[(1, model), (-1, reference)]``.
        level: coverage.

    Returns:
        The mean over seeds with its interval. A value that is undefined in a resample (a constant
        prediction has no correlation) is left out of the spread.

    Raises:
        InputError: the arms have different numbers of seeds.
    """
    check_level(level)
    sizes = sorted({replicates.values.size for _, replicates in arms})
    if len(sizes) != 1 or sizes[0] == 0:
        raise InputError(
            f"paired comparison: expected the same seeds in every model, found {sizes} seeds."
        )
    values = sum(weight * replicates.values for weight, replicates in arms)
    resampled = sum(weight * replicates.resampled.astype(float) for weight, replicates in arms)
    first = arms[0][1]
    n_drawn = first.n_genes if first.n_blocks is None else first.n_blocks
    return _effect(np.asarray(values), np.asarray(resampled), first.n_genes, n_drawn, level)


def _effect(
    values: np.ndarray, resampled: np.ndarray, n_genes: int, n_drawn: int, level: float
) -> Effect:
    n_seeds = values.size
    resampled = resampled[np.isfinite(resampled).all(axis=1)]
    value = float(values.mean())
    if len(resampled) < 2 or not np.isfinite(value):
        nan = float("nan")
        return Effect(value, nan, nan, nan, nan, nan, n_seeds, n_genes, Components(nan, nan, nan))
    # Resampling n genes, or blocks of them, understates a variance by (n - 1) / n.
    unbiased = n_drawn / max(1, n_drawn - 1)
    of_mean = float(resampled.mean(axis=1).var(ddof=1)) * unbiased
    if n_seeds == 1:
        components = Components(0.0, of_mean, 0.0)
        between, shared = 0.0, 0.0
    else:
        single = float(resampled.var(axis=0, ddof=1).mean()) * unbiased
        both = max(0.0, (single - of_mean) * n_seeds / (n_seeds - 1))
        # Equal predictions of all seeds differ by rounding only.
        between = float(values.var(ddof=1)) / n_seeds if np.ptp(values) > 1e-12 else 0.0
        shared = both / n_seeds
        components = Components(
            max(0.0, (between - shared) * n_seeds), max(0.0, of_mean - shared), both
        )
    variance = max(0.0, between - shared) + of_mean
    scatter = between if between > shared else 0.0
    df = degrees_of_freedom(variance, scatter, of_mean, n_seeds, n_drawn)
    se = float(np.sqrt(variance))
    half = float(stats.t.ppf(0.5 + level / 2, df)) * se if se > 0 else 0.0
    p = float(2 * stats.t.sf(abs(value) / se, df)) if se > 0 else float(value == 0)
    return Effect(value, value - half, value + half, se, df, p, n_seeds, n_genes, components)


def degrees_of_freedom(
    variance: float, between: float, of_mean: float, n_seeds: float, n_genes: float
) -> float:
    """Satterthwaite's approximation for the sum of the two levels' variances."""
    terms = of_mean**2 / max(n_genes - 1, 1)
    if n_seeds > 1:
        terms += between**2 / (n_seeds - 1)
    return float(variance**2 / terms) if terms > 0 else float("inf")


def difference(
    model: Mapping[str, Replicates], reference: Mapping[str, Replicates], level: float = 0.95
) -> dict[str, Effect]:
    """``model - reference`` in each of :data:`PAIRED_METRICS`."""
    return {
        metric: contrast([(1.0, model[metric]), (-1.0, reference[metric])], level)
        for metric in PAIRED_METRICS
    }
