"""Metrics: definitions, edge cases, and the numbers of the released code."""

from __future__ import annotations

import json
import math
import subprocess
import sys

import numpy as np
import pytest
from safetensors.numpy import load_file
from scipy import stats

from prismflow.errors import InputError
from prismflow.statistics.agreement import (
    METRICS,
    correlation,
    regression_metrics,
    squared_pearson,
)

OBSERVED = np.array([0.0, 1.0, 2.0, 3.0])


def test_definitions_on_numbers_worked_out_by_hand():
    metrics = regression_metrics(OBSERVED, [0.0, 2.0, 1.0, 3.0])
    assert tuple(metrics) == METRICS
    assert metrics["mse"] == 0.5
    assert metrics["mae"] == 0.5
    assert metrics["pearson"] == pytest.approx(0.8)
    assert metrics["spearman"] == pytest.approx(0.8)
    assert metrics["r2"] == pytest.approx(1 - 2 / 5)


def test_r2_is_the_coefficient_of_determination_not_squared_pearson():
    shifted = OBSERVED + 10
    assert squared_pearson(OBSERVED, shifted) == pytest.approx(1.0)
    assert regression_metrics(OBSERVED, shifted)["r2"] == pytest.approx(1 - 400 / 5)


def test_spearman_sees_order_only():
    metrics = regression_metrics(OBSERVED, np.exp(5 * OBSERVED))
    assert metrics["spearman"] == pytest.approx(1.0)
    assert metrics["pearson"] < 0.99


@pytest.mark.parametrize("constant", [0.1, 3.0])
def test_constant_predictions_have_errors_but_no_correlation(constant):
    metrics = regression_metrics(OBSERVED, np.full(4, constant))
    assert math.isnan(metrics["pearson"]) and math.isnan(metrics["spearman"])
    assert metrics["r2"] <= 0 and metrics["mse"] > 0


def test_constant_labels_have_no_r2():
    assert math.isnan(regression_metrics(np.ones(4), OBSERVED)["r2"])


@pytest.mark.parametrize(
    ("observed", "predicted", "sentence"),
    [
        ([], [], "found none"),
        ([1.0, 2.0], [1.0], "found 1 predicted and 2 observed"),
        ([1.0, float("nan")], [1.0, 2.0], "finite observed values, found 1 of 2"),
        ([1.0, 2.0], [1.0, float("inf")], "finite predicted values"),
        ([[1.0]], [[1.0]], r"shape \(1, 1\)"),
    ],
)
def test_bad_input_is_refused(observed, predicted, sentence):
    with pytest.raises(InputError, match=sentence):
        regression_metrics(observed, predicted)


def test_released_numbers(golden_dir):
    expected = json.loads((golden_dir / "metrics" / "expected.json").read_text())
    inputs = load_file(golden_dir / "metrics" / "inputs.safetensors")
    metrics = regression_metrics(inputs["target"], inputs["pred"])
    for name, value in expected["float64"].items():
        assert metrics[name] == pytest.approx(value, rel=1e-9)
    released = expected["official_eval_metrics_float32"]["test/r_square"]
    assert squared_pearson(inputs["target"], inputs["pred"]) == pytest.approx(released, rel=1e-6)


def test_an_evaluation_waits_for_no_scipy_stats():
    code = "import sys, prismflow.evaluation.scenarios; sys.exit('scipy.stats' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_one_correlation_serves_all_pairs_of_vectors():
    generator = np.random.default_rng(4)
    first, second = generator.normal(size=(2, 50))
    assert correlation(first, second) == pytest.approx(stats.pearsonr(first, second).statistic)
    assert correlation(first, second) == regression_metrics(first, second)["pearson"]
    assert np.isnan(correlation(first, np.full(50, 0.1)))
