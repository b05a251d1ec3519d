"""Means, intervals and pairing against scipy and against coverage on simulated data."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from prismflow.errors import InputError
from prismflow.statistics import bootstrap, seeds


def metrics_table(values: dict[tuple, float]) -> pd.DataFrame:
    """Rows from {(cell, model, fold, seed, scenario, metric): value}."""
    rows = [("demo", *key, value, 100) for key, value in values.items()]
    return pd.DataFrame(rows, columns=list(seeds.METRIC_COLUMNS))


@pytest.mark.parametrize(("n", "level"), list(itertools.product([2, 3, 5, 30], [0.8, 0.95, 0.99])))
def test_t_interval_equals_scipy(n: int, level: float) -> None:
    values = np.random.default_rng(n).normal(3, 2, n)
    interval = seeds.t_interval(values, level)
    expected = stats.t.interval(level, n - 1, loc=values.mean(), scale=stats.sem(values))
    assert (interval.low, interval.high) == pytest.approx(expected)
    assert interval.mean == pytest.approx(values.mean())
    assert interval.sd == pytest.approx(stats.tstd(values))
    assert interval.n == n


def test_t_interval_of_one_or_no_value_has_no_bounds() -> None:
    one = seeds.t_interval([0.25])
    assert (one.mean, one.n, one.bounded) == (0.25, 1, False)
    none = seeds.t_interval([np.nan])
    assert none.n == 0 and np.isnan(none.mean) and not none.bounded


def test_t_interval_covers_the_mean_as_often_as_it_says() -> None:
    samples = np.random.default_rng(1).normal(0, 1, (4000, 5))
    intervals = [seeds.t_interval(sample) for sample in samples]
    covered = np.mean([interval.low <= 0 <= interval.high for interval in intervals])
    assert 0.93 <= covered <= 0.97


@pytest.mark.parametrize("level", [0, 1, -0.1, 95])
def test_level_outside_the_unit_interval_is_refused(level: float) -> None:
    with pytest.raises(InputError, match="between 0 and 1"):
        seeds.t_interval([1.0, 2.0], level)


def test_correlations_equal_scipy_with_ties() -> None:
    generator = np.random.default_rng(2)
    x = generator.integers(0, 6, 200).astype(float)
    y = x + generator.normal(0, 2, 200)
    assert bootstrap.pearson(x, y) == pytest.approx(stats.pearsonr(x, y).statistic)
    assert bootstrap.spearman(x, y) == pytest.approx(stats.spearmanr(x, y).statistic)
    assert np.isnan(bootstrap.pearson(np.ones(5), np.arange(5.0)))


@pytest.mark.parametrize("name", ["pearson", "spearman", "mean_squared_error"])
def test_bootstrap_interval_agrees_with_scipy(name: str) -> None:
    generator = np.random.default_rng(3)
    x = generator.normal(0, 1, 150)
    y = x + generator.normal(0, 0.7, 150)
    statistic = getattr(bootstrap, name)
    ours = bootstrap.bootstrap_interval(statistic, x, y, n_resamples=4000)
    theirs = stats.bootstrap(
        (x, y),
        lambda a, b, axis=-1: statistic(a, b),
        paired=True,
        vectorized=True,
        method="percentile",
        n_resamples=4000,
        rng=np.random.default_rng(4),
    )
    width = ours.high - ours.low
    assert ours.low == pytest.approx(theirs.confidence_interval.low, abs=0.08 * width)
    assert ours.high == pytest.approx(theirs.confidence_interval.high, abs=0.08 * width)
    assert ours.sd == pytest.approx(theirs.standard_error, rel=0.08)
    assert ours.mean == pytest.approx(float(statistic(x[None], y[None])[0]))


def test_bootstrap_is_a_function_of_its_seed_and_not_of_its_blocks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    x = np.random.default_rng(5).normal(0, 1, 60)
    first = bootstrap.bootstrap_interval(bootstrap.pearson, x, x**3, seed=1)
    assert bootstrap.bootstrap_interval(bootstrap.pearson, x, x**3, seed=1) == first
    assert bootstrap.bootstrap_interval(bootstrap.pearson, x, x**3, seed=2) != first
    monkeypatch.setattr(bootstrap, "_RESAMPLED_VALUES", 60 * 7)
    assert bootstrap.bootstrap_interval(bootstrap.pearson, x, x**3, seed=1) == first


@pytest.mark.filterwarnings("error")
def test_resamples_without_a_value_are_left_out_of_the_interval() -> None:
    x = np.array([0.0, 0, 0, 0, 0, 1])
    interval = bootstrap.bootstrap_interval(bootstrap.pearson, x, np.arange(6.0))
    assert 0 < interval.low < interval.mean < interval.high < 1
    never = bootstrap.bootstrap_interval(bootstrap.pearson, np.ones(6), np.arange(6.0))
    assert never.n == 6 and not never.bounded and np.isnan(never.mean)


def test_bootstrap_covers_a_known_correlation() -> None:
    generator = np.random.default_rng(6)
    covered = 0
    for _ in range(200):
        x, y = generator.multivariate_normal([0, 0], [[1, 0.6], [0.6, 1]], 120).T
        interval = bootstrap.bootstrap_interval(bootstrap.pearson, x, y, n_resamples=300)
        covered += interval.low <= 0.6 <= interval.high
    assert 0.89 <= covered / 200 <= 0.99


def test_bootstrap_refuses_samples_that_do_not_align() -> None:
    with pytest.raises(InputError, match=r"one length >= 2, found lengths \[3, 4\]"):
        bootstrap.bootstrap_interval(bootstrap.pearson, np.ones(3), np.ones(4))


def test_over_seeds_gives_mean_sd_and_counts() -> None:
    values = {("K", "m", "f", seed, "full", "mse"): 0.1 * seed for seed in (1, 2, 4)}
    row = seeds.over_seeds(metrics_table(values)).iloc[0]
    sample = np.array([0.1, 0.2, 0.4])
    assert (row["mean"], row["sd"]) == pytest.approx((sample.mean(), sample.std(ddof=1)))
    assert (row["n_seeds"], row["n_genes"], row["n_folds"]) == (3, 100, 1)


def test_folds_of_a_seed_are_averaged_and_incomplete_seeds_left_out() -> None:
    values = {
        ("K", "m", fold, seed, "full", "mse"): value
        for fold, seed, value in [
            ("f1", 1, 1.0),
            ("f2", 1, 3.0),
            ("f1", 2, 5.0),
            ("f2", 2, 7.0),
            ("f1", 3, 100.0),
        ]
    }
    row = seeds.over_seeds(metrics_table(values)).iloc[0]
    assert (row["mean"], row["n_seeds"], row["n_folds"], row["n_genes"]) == (4.0, 2, 2, 200)


def test_nan_values_do_not_count_as_seeds() -> None:
    values = {("K", "m", "f", 1, "full", "pearson"): np.nan,
              ("K", "m", "f", 2, "full", "pearson"): 0.5}  # fmt: skip
    row = seeds.over_seeds(metrics_table(values)).iloc[0]
    assert (row["mean"], row["n_seeds"]) == (0.5, 1)


def test_paired_differences_use_only_runs_that_have_both() -> None:
    values = {}
    for seed, full, without in [(1, 0.20, 0.50), (2, 0.40, 0.72), (3, 0.30, None)]:
        values["K", "m", "f", seed, "full", "mse"] = full
        if without is not None:
            values["K", "m", "f", seed, "without_hic", "mse"] = without
    row = seeds.paired_over_seeds(metrics_table(values), "without_hic").iloc[0]
    expected = stats.ttest_rel([0.50, 0.72], [0.20, 0.40]).confidence_interval(0.95)
    assert row["mean"] == pytest.approx(0.31)
    assert (row["low"], row["high"]) == pytest.approx((expected.low, expected.high))
    assert row["n_seeds"] == 2
    assert seeds.paired_over_seeds(metrics_table(values), "without_dnase").empty


def test_a_run_counted_twice_is_refused() -> None:
    table = metrics_table({("K", "m", "f", 1, "full", "mse"): 0.1})
    with pytest.raises(InputError, match="found two for dataset demo, cell K, model m"):
        seeds.over_seeds(pd.concat([table, table]))


def test_a_missing_column_is_named() -> None:
    table = metrics_table({("K", "m", "f", 1, "full", "mse"): 0.1}).drop(columns="n_genes")
    with pytest.raises(InputError, match="found no n_genes"):
        seeds.over_seeds(table)
