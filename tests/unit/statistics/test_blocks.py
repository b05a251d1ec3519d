"""Genes that are no independent samples: blocks in bootstrap and sign flips, and what they cost."""

from __future__ import annotations

import numpy as np
import pytest

from prismflow.statistics import paired
from prismflow.statistics.blocks import design_effect
from prismflow.statistics.permutation import sign_flip_test

SEEDS = 5


def correlated(
    generator: np.random.Generator, n_blocks: int, size: int, r: float
) -> tuple[np.ndarray, np.ndarray]:
    """(G,) values of variance 1 with correlation r within blocks of equal size, and the blocks."""
    blocks = np.repeat(np.arange(n_blocks), size)
    shared = np.repeat(generator.normal(size=n_blocks), size)
    own = generator.normal(size=n_blocks * size)
    return np.sqrt(r) * shared + np.sqrt(1 - r) * own, blocks


def covered(size: int, r: float, with_blocks: bool, n: int = 800) -> float:
    """How often the 95 % interval of about 480 genes and five seeds holds the truth, zero."""
    n_blocks = 480 // size
    generator = np.random.default_rng(8)
    known = np.repeat(np.arange(n_blocks), size) if with_blocks else None
    weights = paired.gene_weights(n_blocks * size, 300, 0, known)
    n_drawn = n_blocks if with_blocks else None
    count = 0
    for _ in range(n):
        genes, _ = correlated(generator, n_blocks, size, r)
        table = genes + generator.normal(0, 0.3, (SEEDS, genes.size))
        table += generator.normal(0, 0.02, (SEEDS, 1))
        replicates = paired.Replicates(
            table.mean(axis=1), weights @ table.T.astype(np.float32), genes.size, n_drawn
        )
        effect = paired.contrast([(1.0, replicates)])
        count += effect.low <= 0 <= effect.high
    return 100 * count / n


@pytest.mark.parametrize(("size", "r", "alone"), [(4, 0.3, 88), (10, 0.3, 76)])
def test_intervals_cover_as_often_as_they_say_where_genes_come_in_clusters(
    size: int, r: float, alone: float
) -> None:
    """As single genes they cover far less; the numbers stand in docs/statistics.md."""
    assert covered(size, r, with_blocks=False) < alone
    assert covered(size, r, with_blocks=True) == pytest.approx(95, abs=2.5)


def test_blocks_of_one_gene_change_nothing() -> None:
    single = np.arange(50)[::-1]
    plain, blocked = (paired.gene_weights(50, 20, 3, blocks) for blocks in (None, np.arange(50)))
    assert np.array_equal(plain, blocked)
    generator = np.random.default_rng(1)
    observed, predicted = generator.normal(size=50), generator.normal(size=(3, 50))
    found = [paired.replicate([observed], [predicted], 50, blocks=blocks)["mse"]
             for blocks in (None, [np.arange(50)])]  # fmt: skip
    assert np.array_equal(found[0].resampled, found[1].resampled)
    effects = [paired.contrast([(1.0, one)]) for one in found]
    assert effects[0] == effects[1]
    values = generator.normal(0.3, 1, (50, 2))
    assert np.array_equal(sign_flip_test(values), sign_flip_test(values, blocks=np.arange(50)))
    assert design_effect(values[:, 0], np.full(50, 0.02), single) == pytest.approx(1)


def test_blocks_are_drawn_whole() -> None:
    blocks = np.array([0, 0, 0, 7, 7, 2])
    weights = paired.gene_weights(6, 100, 0, blocks)
    assert weights.sum(axis=1) == pytest.approx(np.ones(100))
    for block in (0, 7, 2):
        assert (np.ptp(weights[:, blocks == block], axis=1) == 0).all()
    # Three blocks are drawn each time; how many genes these have differs, and is divided by.
    draws = [(a, b, 3 - a - b) for a in range(4) for b in range(4 - a)]
    possible = {tuple(n / (3 * a + 2 * b + c) for n in (a, b, c)) for a, b, c in draws}
    found = {tuple(row) for row in weights[:, [0, 3, 5]].round(4).tolist()}
    assert len(found) == len(possible) == 10
    np.testing.assert_allclose(sorted(found), sorted(possible), atol=1e-4)


def test_the_design_effect_is_that_of_the_textbook() -> None:
    values, blocks = correlated(np.random.default_rng(2), 4000, 5, 0.25)
    found = design_effect(values, np.full(values.size, 1 / values.size), blocks)
    assert found == pytest.approx(1 + 4 * 0.25, rel=0.05)
    assert design_effect(values, np.full(values.size, 1 / values.size)) == pytest.approx(1)
    assert np.isnan(design_effect(np.ones(4), np.full(4, 0.25)))


def test_swapping_genes_one_by_one_finds_too_much_where_blocks_move_together() -> None:
    """At 5 % level, genes in clusters of 10 with r 0.5, no true difference."""
    generator = np.random.default_rng(3)
    draws = [correlated(generator, 30, 10, 0.5) for _ in range(200)]
    values, blocks = np.stack([genes for genes, _ in draws], axis=1), draws[0][1]
    alone = sign_flip_test(values, n_permutations=499)
    together = sign_flip_test(values, n_permutations=499, blocks=blocks)
    assert (alone < 0.05).mean() > 0.2
    assert (together < 0.05).mean() < 0.09
