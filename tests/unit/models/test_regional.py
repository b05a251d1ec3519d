"""Removing a regional background, and adapting predictions: on data of the equations themselves."""

from __future__ import annotations

import numpy as np
import pytest

from prismflow.models.regional import LEAST_GENES, Tie, adapt, fit_removal, fit_tie

POWER = 0.6


def genes(tie: float, n: int = 20_000, seed: int = 0) -> dict[str, np.ndarray]:
    """Standard normal A and z of correlation ``tie``; H, D and Y of the module's equations."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=n)
    activity = tie * z + np.sqrt(1 - tie**2) * rng.normal(size=n)
    return {
        "z": z,
        "anchor": 0.9 * activity + 0.5 * rng.normal(size=n),
        "background": 0.7 * activity + POWER * z + 0.8 * rng.normal(size=n),
        "label": 1.2 * activity + 0.4 * rng.normal(size=n),
    }


def power(data: dict[str, np.ndarray], how: str) -> float:
    return fit_removal(data["anchor"], data["background"], data["z"], data["label"], how)


@pytest.mark.parametrize("tie", [0.8, 0.0, -0.8])
def test_two_stages_find_the_power_whatever_the_tie(tie: float) -> None:
    assert power(genes(tie), "two_stage") == pytest.approx(POWER, abs=0.05)


def test_plain_residuals_take_the_cause_along_where_it_is_tied() -> None:
    assert power(genes(0.8), "residual") == pytest.approx(POWER + 0.7 * 0.8, abs=0.05)
    assert power(genes(0.0), "residual") == pytest.approx(POWER, abs=0.05)


def test_the_power_can_be_fixed() -> None:
    assert (power(genes(0.8), "unit"), power(genes(0.8), "none")) == (1.0, 0.0)


def scored(tie: float, seed: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The best linear score of Y from H and the cleaned D, fitted where the tie is 0.8."""
    train, data = genes(0.8, seed=1), genes(tie, 3_000, seed)

    def columns(part: dict[str, np.ndarray]) -> np.ndarray:
        cleaned = part["background"] - POWER * part["z"]
        return np.column_stack([np.ones_like(cleaned), part["anchor"], cleaned])

    weights = np.linalg.lstsq(columns(train), train["label"], rcond=None)[0]
    return columns(data) @ weights, data


def mse(predicted: np.ndarray, data: dict[str, np.ndarray]) -> float:
    return float(np.mean((predicted - data["label"]) ** 2))


def test_the_score_is_as_good_at_every_tie_and_the_adapted_one_better_where_there_is_one() -> None:
    score, labelled = scored(0.8, 2)
    tie = fit_tie(score, labelled["z"], labelled["label"])
    direct, adapted = {}, {}
    for kappa in (0.8, 0.0, -0.8):
        score, data = scored(kappa, 3)
        direct[kappa] = mse(score, data)
        adapted[kappa] = mse(adapt(score, data["z"], tie), data)
    assert max(direct.values()) < 1.1 * min(direct.values())
    assert adapted[0.8] < 0.85 * direct[0.8]
    assert adapted[-0.8] < 0.85 * direct[-0.8]
    assert adapted[0.0] < 1.02 * direct[0.0]


def test_adaptation_reaches_the_regression_that_knew_the_labels() -> None:
    score, labelled = scored(0.8, 2)
    tie = fit_tie(score, labelled["z"], labelled["label"])
    score, data = scored(-0.8, 3)
    known = np.column_stack([np.ones_like(score), score, data["z"]])
    best = known @ np.linalg.lstsq(known, data["label"], rcond=None)[0]
    assert mse(adapt(score, data["z"], tie), data) < 1.03 * mse(best, data)


def test_without_a_tie_in_training_nothing_is_adapted() -> None:
    data = genes(0.0)
    assert fit_tie(data["anchor"], data["z"], data["label"]).reliability == 1.0
    score = np.random.default_rng(0).normal(size=500)
    z = 0.3 * score + np.random.default_rng(1).normal(size=500)
    np.testing.assert_allclose(adapt(score, z, Tie(1.0, 1.0)), score)


def test_few_genes_or_one_level_leave_predictions_as_they_are() -> None:
    score, data = scored(0.8, 2)
    few = LEAST_GENES - 1
    np.testing.assert_array_equal(adapt(score[:few], data["z"][:few], Tie(1, 0.5)), score[:few])
    np.testing.assert_array_equal(adapt(score, np.ones_like(score), Tie(1, 0.5)), score)
