"""Comparisons over seeds and genes: against scipy, by brute force, and by coverage."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats

from prismflow.errors import InputError
from prismflow.statistics import paired, permutation, power


def effect_of(values: np.ndarray, resampled: np.ndarray, n_genes: int) -> paired.Effect:
    return paired.contrast([(1.0, paired.Replicates(values, resampled, n_genes))])


def simulated(
    generator: np.random.Generator, n_seeds: int, n_genes: int, seed_sd: float, gene_sd: float
) -> np.ndarray:
    """Differences (S, G) around zero: an offset per seed, one per gene, and noise."""
    return (
        generator.normal(0, seed_sd, (n_seeds, 1))
        + generator.normal(0, gene_sd, n_genes)
        + generator.normal(0, 1, (n_seeds, n_genes))
    )


def test_replicates_are_the_metrics_of_resampled_genes() -> None:
    generator = np.random.default_rng(1)
    observed = generator.normal(2, 1, 40)
    predicted = observed + generator.normal(0, 0.5, (3, 40))
    found = paired.replicate([observed], [predicted], n_resamples=50, seed=7)
    weights = paired.gene_weights(40, 50, [7, 0])
    assert weights.sum(axis=1) == pytest.approx(np.ones(50))
    for run, draw in itertools.product(range(3), range(0, 50, 7)):
        rows = np.repeat(np.arange(40), np.rint(weights[draw] * 40).astype(int))
        y, p = observed[rows], predicted[run][rows]
        assert found["mse"].resampled[draw, run] == pytest.approx(((y - p) ** 2).mean(), rel=1e-5)
        assert found["pearson"].resampled[draw, run] == pytest.approx(
            stats.pearsonr(y, p).statistic, abs=1e-5
        )
    assert found["mse"].values[0] == pytest.approx(((observed - predicted[0]) ** 2).mean())
    assert found["pearson"].values[2] == pytest.approx(stats.pearsonr(observed, predicted[2])[0])


def test_folds_are_averaged() -> None:
    generator = np.random.default_rng(2)
    observed = [generator.normal(size=30), generator.normal(size=90)]
    predicted = [generator.normal(size=(2, 30)), generator.normal(size=(2, 90))]
    both = paired.replicate(observed, predicted, n_resamples=10)
    single = [((p - y) ** 2).mean(axis=1) for y, p in zip(observed, predicted, strict=True)]
    assert both["mse"].values == pytest.approx((single[0] + single[1]) / 2)
    assert both["mse"].n_genes == 120


def test_many_runs_give_what_few_give(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(3)
    observed, predicted = generator.normal(size=25), generator.normal(size=(9, 25))
    whole = paired.replicate([observed], [predicted], n_resamples=20)
    monkeypatch.setattr(paired, "_RUNS_AT_ONCE", 2)
    blocks = paired.replicate([observed], [predicted], n_resamples=20)
    for metric in paired.PAIRED_METRICS:
        assert blocks[metric].values == pytest.approx(whole[metric].values)
        assert blocks[metric].resampled == pytest.approx(whole[metric].resampled, abs=1e-5)


def test_one_seed_equals_the_bootstrap_of_scipy() -> None:
    generator = np.random.default_rng(4)
    observed = generator.normal(size=200)
    model = observed + generator.normal(0, 0.6, 200)
    reference = observed + generator.normal(0, 0.8, 200)
    found = paired.replicate([observed], [np.stack([model, reference])], n_resamples=4000)
    for metric, statistic in {
        "mse": lambda y, a, b, axis=-1: ((a - y) ** 2 - (b - y) ** 2).mean(axis=axis),
        "pearson": lambda y, a, b, axis=-1: (
            stats.pearsonr(y, a, axis=axis).statistic - stats.pearsonr(y, b, axis=axis).statistic
        ),
    }.items():
        terms = [(1.0, found[metric].of([0])), (-1.0, found[metric].of([1]))]
        ours = paired.contrast(terms)
        theirs = stats.bootstrap(
            (observed, model, reference), statistic, paired=True, vectorized=True,
            n_resamples=4000, method="basic", rng=np.random.default_rng(5),
        )  # fmt: skip
        assert ours.value == pytest.approx(float(statistic(observed, model, reference)))
        assert ours.se == pytest.approx(theirs.standard_error, rel=0.06)
        width = ours.high - ours.low
        assert ours.low == pytest.approx(theirs.confidence_interval.low, abs=0.1 * width)
        assert ours.high == pytest.approx(theirs.confidence_interval.high, abs=0.1 * width)


def test_variance_equals_a_literal_bootstrap_of_seeds_and_genes() -> None:
    """Seeds drawn, then genes: its variance is ours without the correction for few seeds."""
    generator = np.random.default_rng(6)
    n_seeds, n_genes = 40, 60
    table = simulated(generator, n_seeds, n_genes, seed_sd=0.3, gene_sd=1.0)
    weights = paired.gene_weights(n_genes, 6000, 0)
    ours = effect_of(table.mean(axis=1), weights @ table.T.astype(np.float32), n_genes)
    draws = []
    for _ in range(6000):
        seeds = generator.integers(0, n_seeds, n_seeds)
        genes = generator.integers(0, n_genes, n_genes)
        draws.append(table[np.ix_(seeds, genes)].mean())
    # The literal bootstrap counts the noise of single values three times (two times too often).
    noise = ours.components.both / n_seeds
    assert np.var(draws) == pytest.approx(ours.se**2 + 2 * noise, rel=0.1)


@pytest.mark.parametrize(("seed_sd", "gene_sd"), [(0.0, 1.0), (0.1, 1.0), (0.3, 0.5), (1.0, 0.2)])
def test_intervals_cover_as_often_as_they_say(seed_sd: float, gene_sd: float) -> None:
    """95 % intervals of five seeds and 120 genes hold the truth in 93 to 97 of 100 studies."""
    generator = np.random.default_rng(7)
    weights = paired.gene_weights(120, 300, 0)
    covered, n = 0, 1500
    for _ in range(n):
        table = simulated(generator, 5, 120, seed_sd, gene_sd)
        effect = effect_of(table.mean(axis=1), weights @ table.T.astype(np.float32), 120)
        covered += effect.low <= 0 <= effect.high
    assert 0.93 <= covered / n <= 0.97


def test_intervals_of_correlations_cover_too() -> None:
    """Two models of equal quality whose quality varies with the seed: no difference in truth."""
    generator = np.random.default_rng(16)
    covered, n = 0, 600
    for _ in range(n):
        observed = generator.normal(size=120)
        shared = generator.normal(0, 0.5, 120)
        models = []
        for _ in range(2):
            noise = np.exp(generator.normal(-0.7, 0.2, (5, 1)))
            models.append(observed + shared + noise * generator.normal(size=(5, 120)))
        found = paired.replicate([observed], [np.concatenate(models)], n_resamples=200)["pearson"]
        effect = paired.contrast([(1.0, found.of(range(5))), (-1.0, found.of(range(5, 10)))])
        covered += effect.low <= 0 <= effect.high
    assert 0.93 <= covered / n <= 0.97


def test_p_and_interval_agree() -> None:
    generator = np.random.default_rng(8)
    for shift in (0.0, 0.1, 0.3, 0.6):
        table = simulated(generator, 5, 100, 0.1, 1.0) + shift
        weights = paired.gene_weights(100, 400, 0)
        effect = effect_of(table.mean(axis=1), weights @ table.T.astype(np.float32), 100)
        excluded = not effect.low <= 0 <= effect.high
        assert excluded == (effect.p < 0.05)
        assert effect.interval(0.95) == pytest.approx((effect.low, effect.high))
        assert effect.interval(0.99)[0] < effect.low


def test_equal_models_differ_by_exactly_nothing() -> None:
    generator = np.random.default_rng(9)
    observed, predicted = generator.normal(size=50), generator.normal(size=(3, 50))
    found = paired.replicate([observed], [predicted])
    effect = paired.difference(found, found)["mse"]
    assert (effect.value, effect.low, effect.high, effect.p) == (0, 0, 0, 1)


def test_a_constant_prediction_has_an_error_and_no_correlation() -> None:
    observed = np.random.default_rng(17).normal(size=50)
    constant = np.full((3, 50), 0.1)
    found = paired.replicate([observed], [np.concatenate([constant, [observed] * 3])])
    effect = paired.difference(
        {name: values.of(range(3)) for name, values in found.items()},
        {name: values.of(range(3, 6)) for name, values in found.items()},
    )
    assert effect["mse"].value == pytest.approx(((observed - 0.1) ** 2).mean())
    assert effect["mse"].p < 0.05
    assert np.isnan([effect["pearson"].value, effect["pearson"].low, effect["pearson"].p]).all()


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InputError, match=r"2 runs on 5 genes, found an array of shape \(2, 4\)"):
        paired.replicate([np.zeros(5)], [np.zeros((2, 4))])
    with pytest.raises(InputError, match="at least 2 test genes, found 1"):
        paired.gene_weights(1, 10, 0)
    few = paired.Replicates(np.zeros(2), np.zeros((5, 2)), 4)
    many = paired.Replicates(np.zeros(3), np.zeros((5, 3)), 4)
    with pytest.raises(InputError, match=r"found \[2, 3\] seeds"):
        paired.contrast([(1.0, few), (-1.0, many)])


@pytest.mark.parametrize("shift", [0.0, 0.15, 0.4])
def test_sign_flips_equal_scipys_permutation_test(shift: float) -> None:
    """Paired samples exchanged at random, as scipy does it; 30 genes, Monte Carlo error allowed."""
    generator = np.random.default_rng(10)
    x, y = generator.normal(shift, 1, 30) ** 2, generator.normal(0, 1, 30) ** 2
    ours = permutation.sign_flip_test((x - y)[:, None], n_permutations=20000)[0]
    theirs = stats.permutation_test(
        (x, y), lambda a, b, axis=-1: (a - b).mean(axis=axis), permutation_type="samples",
        vectorized=True, n_resamples=20000, rng=np.random.default_rng(11),
    ).pvalue  # fmt: skip
    assert ours == pytest.approx(theirs, abs=4 * np.sqrt(0.5 / 20000))


def test_sign_flips_count_ties_as_the_exact_test_does() -> None:
    differences = np.array([1.0, 1.0, 1.0, -1.0, 1.0, 1.0])
    sums = [abs(np.dot(signs, differences)) for signs in itertools.product((-1, 1), repeat=6)]
    exact = np.mean(np.array(sums) >= abs(differences.sum()))
    found = permutation.sign_flip_test(differences[:, None], n_permutations=40000)[0]
    assert found == pytest.approx(exact, abs=0.01)
    assert permutation.sign_flip_test(np.zeros((6, 1)))[0] == 1


def test_sign_flips_reject_a_true_null_as_often_as_they_say() -> None:
    differences = np.random.default_rng(12).standard_t(3, (60, 2000))
    p = permutation.sign_flip_test(differences, n_permutations=499)
    assert 0.035 <= np.mean(p < 0.05) <= 0.065


def test_sign_flips_do_not_depend_on_blocks_or_company(monkeypatch: pytest.MonkeyPatch) -> None:
    differences = np.random.default_rng(13).normal(0.1, 1, (40, 3))
    p = permutation.sign_flip_test(differences, n_permutations=99)
    assert permutation.sign_flip_test(differences[:, 1:2], n_permutations=99)[0] == p[1]
    monkeypatch.setattr(permutation, "_SIGNS_AT_ONCE", 40 * 8)
    assert permutation.sign_flip_test(differences, n_permutations=99) == pytest.approx(p)
    with pytest.raises(InputError, match="expected finite differences"):
        permutation.sign_flip_test(np.array([[np.nan]]))


def test_holm_equals_published_software() -> None:
    # statsmodels 0.15.0, multipletests(..., method="holm")
    p = [0.01, 0.04, 0.03, 0.005, 0.9, 0.03]
    assert permutation.holm(p) == pytest.approx([0.05, 0.12, 0.12, 0.03, 0.9, 0.12])


def test_holm_is_the_closed_test_of_bonferroni() -> None:
    """Adjusted p of a hypothesis: the worst Bonferroni p over all sets that contain it."""
    generator = np.random.default_rng(14)
    for _ in range(20):
        p = generator.uniform(0, 0.3, 5).round(2)
        subsets = [s for k in range(1, 6) for s in itertools.combinations(range(5), k)]
        closed = [
            max(min(1.0, len(s) * min(p[j] for j in s)) for s in subsets if i in s)
            for i in range(5)
        ]
        assert permutation.holm(p) == pytest.approx(closed)


def test_holm_leaves_unknown_p_values_out() -> None:
    found = permutation.holm([0.02, np.nan, 0.03])
    assert found[[0, 2]] == pytest.approx([0.04, 0.04]) and np.isnan(found[1])
    assert permutation.holm([]).size == 0


def test_seeds_needed_without_variance_over_genes_is_the_t_test_of_statsmodels() -> None:
    # statsmodels 0.15.0: TTestPower().solve_power(1.2, alpha=0.05, power=0.8) = 7.59
    components = paired.Components(seed=1.0, gene=0.0, both=0.0)
    assert power.seeds_needed(1.2, components, n_genes=1000) == 8
    # TTestIndPower().solve_power(1.0, alpha=0.05, power=0.8) = 16.71
    assert power.seeds_needed_apart(1.0, 1.0, 1.0) == 17


def test_no_number_of_seeds_makes_up_for_too_few_genes() -> None:
    components = paired.Components(seed=1e-6, gene=1e-4, both=1e-5)
    assert power.seeds_needed(0.01, components, n_genes=1000) == np.inf
    genes = power.genes_needed(0.01, components, n_seeds=5, n_genes=1000)
    assert 1000 * 1e-4 * 7.85 / 1e-4 < genes < 20000
    stuck = paired.Components(seed=1e-2, gene=1e-6, both=0.0)
    assert power.genes_needed(0.01, stuck, n_seeds=5, n_genes=1000) == np.inf
    assert power.seeds_needed(0.0, components, n_genes=1000) == np.inf
    assert np.isnan(power.genes_needed(0.01, components, n_seeds=1, n_genes=1000))


def test_the_number_of_seeds_named_has_the_power_named() -> None:
    """With that many seeds 80 of 100 studies find the difference; with a third, far fewer."""
    delta, seed_sd, gene_sd, n_genes = 0.25, 0.3, 0.6, 150
    components = paired.Components(seed_sd**2, gene_sd**2 / n_genes, 1 / n_genes)
    needed = int(power.seeds_needed(delta, components, n_genes))

    def found(n_seeds: int) -> float:
        generator, hits = np.random.default_rng(15), 0
        weights = paired.gene_weights(n_genes, 200, 0)
        for _ in range(500):
            table = simulated(generator, n_seeds, n_genes, seed_sd, gene_sd) + delta
            effect = effect_of(table.mean(axis=1), weights @ table.T.astype(np.float32), n_genes)
            hits += effect.p < 0.05
        return hits / 500

    assert 0.72 <= found(needed) <= 0.9
    assert found(max(2, needed // 3)) < 0.55
