"""How many seeds or genes would decide a difference."""

from __future__ import annotations

import math
from collections.abc import Callable

from scipy import stats

from prismflow.statistics.paired import Components, degrees_of_freedom

ALPHA = 0.05
POWER = 0.8
MOST = 1_000_000


def seeds_needed(
    delta: float, components: Components, n_genes: int, alpha: float = ALPHA, power: float = POWER
) -> float:
    """Seeds at which a true difference ``delta`` would be found with the given power.

    Args:
        delta: the difference, e.g. in MSE.
        components: its variance by source, at ``n_genes`` genes.
        n_genes: test genes, kept.
        alpha: two-sided level of the test.
        power: chance to find the difference.

    Returns:
        An integer >= 2; ``inf`` where no number up to a million seeds would do on these genes.
    """
    return _smallest(lambda n: _decides(delta, components, n, n_genes, 1.0, alpha, power), lowest=2)


def genes_needed(
    delta: float,
    components: Components,
    n_seeds: int,
    n_genes: int,
    alpha: float = ALPHA,
    power: float = POWER,
) -> float:
    """Test genes at which ``delta`` would be found with ``n_seeds`` seeds; as :func:`seeds_needed`.

    Returns ``nan`` for one seed: nothing is known of the spread over seeds then.
    """
    if n_seeds < 2:
        return math.nan
    return _smallest(
        lambda n: _decides(delta, components, n_seeds, n, n / n_genes, alpha, power), lowest=2
    )


def smallest_difference(
    components: Components,
    n_seeds: int,
    n_genes: int,
    alpha: float = ALPHA,
    power: float = POWER,
) -> float:
    """The smallest true difference that this many seeds and genes would find."""
    variance, df = _spread(components, n_seeds, n_genes, 1.0)
    return math.sqrt(variance) * float(stats.t.ppf(1 - alpha / 2, df) + stats.t.ppf(power, df))


def enough_of_both(
    delta: float,
    components: Components,
    n_genes: int,
    alpha: float = ALPHA,
    power: float = POWER,
) -> tuple[int, int]:
    """Seeds and genes that find ``delta`` together, each with about half of the variance.

    There is such a pair even where seeds alone, or genes alone, would never do.
    """
    quantiles = float(stats.norm.ppf(1 - alpha / 2) + stats.norm.ppf(power))
    half = (delta / quantiles) ** 2 / 2
    seeds = max(3, math.ceil((components.seed + components.both) / half))
    while not math.isfinite(genes := genes_needed(delta, components, seeds, n_genes, alpha, power)):
        seeds += 1
    return seeds, int(genes)


def seeds_needed_apart(
    delta: float, sd: float, sd_reference: float, alpha: float = ALPHA, power: float = POWER
) -> float:
    """Seeds per model to tell two models apart of which only mean and sd over seeds are known.

    For published values: no pairing is known, so it is the t-test of two independent samples.
    """

    def decides(n: int) -> bool:
        variance = (sd**2 + sd_reference**2) / n
        first, second = sd**2 / n, sd_reference**2 / n
        terms = (first**2 + second**2) / (n - 1)
        return _found(delta, variance, variance**2 / terms if terms else math.inf, alpha, power)

    return _smallest(decides, lowest=2)


def _decides(
    delta: float,
    components: Components,
    n_seeds: float,
    n_genes: float,
    times_genes: float,
    alpha: float,
    power: float,
) -> bool:
    return _found(delta, *_spread(components, n_seeds, n_genes, times_genes), alpha, power)


def _spread(
    components: Components, n_seeds: float, n_genes: float, times_genes: float
) -> tuple[float, float]:
    """Variance and degrees of freedom of the mean."""
    variance = components.variance(n_seeds, times_genes)
    of_mean = (components.gene + components.both / n_seeds) / times_genes
    between = (components.seed + components.both / times_genes) / n_seeds
    df = degrees_of_freedom(
        variance, between if components.seed > 0 else 0.0, of_mean, n_seeds, n_genes
    )
    return variance, df


def _found(delta: float, variance: float, df: float, alpha: float, power: float) -> bool:
    quantiles = stats.t.ppf(1 - alpha / 2, df) + stats.t.ppf(power, df)
    return bool(delta != 0 and variance * quantiles**2 <= delta**2)


def _smallest(decides: Callable[[int], bool], lowest: int) -> float:
    """Smallest number that decides, by doubling and bisection (deciding is monotone in it)."""
    high = lowest
    while not decides(high):
        high *= 2
        if high > MOST:
            return math.inf
    low = max(lowest, high // 2)
    while low < high:
        middle = (low + high) // 2
        if decides(middle):
            high = middle
        else:
            low = middle + 1
    return float(high)
