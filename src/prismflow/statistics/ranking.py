"""How well a score ranks a few positives before many negatives, with a bootstrap over genes.

Pairs of one gene share its measurements, so genes are resampled, each with all of its pairs.
Equal scores are one threshold, whatever the order of the rows (as in scikit-learn).
"""

from __future__ import annotations

import numpy as np

from prismflow.statistics.seeds import Interval

MEASURES = ("average_precision", "auroc", "precision_at_recall")
RECALL = 0.7
_BATCH_VALUES = 2_000_000


def ranking(
    positive: np.ndarray, score: np.ndarray, weights: np.ndarray, recall: float = RECALL
) -> np.ndarray:
    """Average precision, area under the ROC curve, and precision at a recall.

    Args:
        positive: bool (P,).
        score: (P,), larger means rather positive; not NaN.
        weights: (R, P), how often each pair counts in each of R resamples.
        recall: the third measure is the precision at the first threshold that reaches it.

    Returns:
        (R, 3) in the order of :data:`MEASURES`; NaN in resamples without positives or negatives.
    """
    order = np.argsort(-score, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(score[order])), len(order) - 1)
    weights = weights[:, order].astype(np.float64)
    counted = np.cumsum(weights, axis=1)[:, ends]
    hits = np.cumsum(weights * positive[order], axis=1)[:, ends]
    n_positive, false = hits[:, -1:], counted - hits
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = np.nan_to_num(hits / counted)
        found = hits / n_positive
        average = (np.diff(found, axis=1, prepend=0) * precision).sum(axis=1)
        before = np.concatenate([np.zeros((len(hits), 1)), hits[:, :-1]], axis=1)
        area = (np.diff(false, axis=1, prepend=0) * (before + hits) / 2).sum(axis=1)
        area /= (n_positive * false[:, -1:])[:, 0]
    first = np.argmax(found >= recall - 1e-12, axis=1)
    result = np.stack([average, area, precision[np.arange(len(first)), first]], axis=1)
    result[(n_positive[:, 0] == 0) | (false[:, -1] == 0)] = np.nan
    return result


def ranking_intervals(
    positive: np.ndarray,
    score: np.ndarray,
    genes: np.ndarray,
    *,
    level: float = 0.95,
    n_resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Interval]:
    """Measures of :func:`ranking` with percentile intervals; genes are drawn with their pairs.

    Args:
        positive: bool (P,).
        score: (P,).
        genes: name of the gene of each pair (P,).
        level: coverage.
        n_resamples: bootstrap replicates.
        seed: of the generator; scores of one table are so compared on equal resamples.

    Returns:
        By measure; ``n`` is the number of genes.
    """
    names, code = np.unique(genes, return_inverse=True)
    point = ranking(positive, score, np.ones((1, len(score))))[0]
    generator = np.random.default_rng(seed)
    equal = np.full(len(names), 1 / len(names))
    step = max(1, _BATCH_VALUES // len(score))
    drawn = np.concatenate(
        [
            ranking(positive, score, generator.multinomial(len(names), equal, size)[:, code])
            for size in np.diff([*range(0, n_resamples, step), n_resamples])
        ]
    )
    intervals = {}
    for number, measure in enumerate(MEASURES):
        values = drawn[~np.isnan(drawn[:, number]), number]
        enough = len(values) > 1 and len(names) > 1
        low, high = (
            np.quantile(values, [0.5 - level / 2, 0.5 + level / 2]) if enough else [np.nan] * 2
        )
        sd = values.std(ddof=1) if enough else np.nan
        intervals[measure] = Interval(
            float(point[number]), float(sd), float(low), float(high), len(names)
        )
    return intervals
