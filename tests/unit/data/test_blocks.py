"""Which genes count as one sample."""

from __future__ import annotations

import pandas as pd
import pytest

from prismflow.data.blocks import blocks_of

GENES = pd.DataFrame(
    {
        "chrom": ["chr2", "chr1", "chr1", "chr1", "chr1", "chr2", "chrX"],
        "tss": [100, 5000, 100, 1100, 2000, 100, 5000],
    }
)


@pytest.mark.parametrize(
    ("distance", "pairs", "expected"),
    [
        (0, [], [0, 1, 2, 3, 4, 5, 6]),
        (1, [], [0, 1, 2, 3, 4, 0, 5]),
        (1000, [], [0, 1, 2, 3, 3, 0, 4]),
        (1001, [], [0, 1, 2, 2, 2, 0, 3]),
        (10_000, [], [0, 1, 1, 1, 1, 0, 2]),
        (1, [(1, 6), (6, 0)], [0, 0, 1, 2, 3, 0, 0]),
    ],
)
def test_neighbours_and_pairs_are_joined_as_far_as_steps_lead(
    distance: int, pairs: list[tuple[int, int]], expected: list[int]
) -> None:
    assert list(blocks_of(GENES, distance, pairs)) == expected
