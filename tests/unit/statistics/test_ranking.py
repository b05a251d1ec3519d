"""Ranking measures against scikit-learn and against rows that are written out."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from prismflow.statistics.ranking import MEASURES, ranking, ranking_intervals


def _drawn(n: int = 300) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positives, scores with ties, genes."""
    generator = np.random.default_rng(5)
    positive = generator.random(n) < 0.2
    score = np.round(generator.normal(0, 1, n) + positive, 1)
    return positive, score, generator.integers(0, 40, n)


def test_measures_with_ties_are_those_of_scikit_learn() -> None:
    positive, score, _ = _drawn()
    average, area, _ = ranking(positive, score, np.ones((1, len(score))))[0]
    assert average == pytest.approx(average_precision_score(positive, score), abs=1e-12)
    assert area == pytest.approx(roc_auc_score(positive, score), abs=1e-12)


def test_precision_is_that_of_the_first_threshold_with_the_recall() -> None:
    positive = np.array([True, False, True, False, True])
    score = np.array([5.0, 4.0, 3.0, 2.0, 1.0])
    found = ranking(positive, score, np.ones((1, 5)), recall=2 / 3)[0, 2]
    assert found == pytest.approx(2 / 3)


def test_a_weight_is_a_row_that_stands_so_often() -> None:
    positive, score, _ = _drawn(60)
    weights = np.random.default_rng(1).integers(0, 4, (3, 60))
    found = ranking(positive, score, weights)
    for row, weight in zip(found, weights, strict=True):
        written = ranking(
            np.repeat(positive, weight), np.repeat(score, weight), np.ones((1, weight.sum()))
        )
        np.testing.assert_allclose(row, written[0], rtol=1e-12)


def test_resamples_without_positives_have_no_value() -> None:
    assert np.isnan(ranking(np.zeros(4, bool), np.arange(4.0), np.ones((1, 4)))).all()


def test_intervals_resample_genes_with_their_pairs() -> None:
    positive, score, genes = _drawn()
    found = ranking_intervals(positive, score, genes, n_resamples=300)
    assert set(found) == set(MEASURES)
    assert all(value.low < value.mean < value.high and value.n == 40 for value in found.values())
    same = ranking_intervals(positive, score, genes, n_resamples=300)
    assert same == found
    # Every pair twice: a bootstrap over pairs would be narrower, that over genes stays.
    twice = ranking_intervals(
        np.tile(positive, 2), np.tile(score, 2), np.tile(genes, 2), n_resamples=300
    )
    assert twice["auroc"].sd == pytest.approx(found["auroc"].sd, rel=1e-9)
