"""Verdicts: of one interval, of several tests and cells, with parts that were not tested."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from prismflow.statistics.paired import Components, Effect
from prismflow.statistics.verdicts import (
    CONTRADICTED,
    NOT_TESTED,
    SUPPORTED,
    UNDECIDED,
    Reading,
    combine,
    in_part,
    verdict_of,
)


@pytest.mark.parametrize(
    ("low", "high", "side", "bound", "expected"),
    [
        (0.1, 0.3, "above", 0.0, SUPPORTED),
        (-0.3, -0.1, "above", 0.0, CONTRADICTED),
        (-0.1, 0.3, "above", 0.0, UNDECIDED),
        (0.1, 0.3, "below", 0.0, CONTRADICTED),
        (-0.3, -0.1, "below", 0.0, SUPPORTED),
        (-0.3, -0.1, "below", -0.2, UNDECIDED),
        (-0.01, 0.3, "above", -0.02, SUPPORTED),
        (0.0, 0.3, "above", 0.0, UNDECIDED),
        (np.nan, np.nan, "above", 0.0, UNDECIDED),
    ],
)
def test_a_verdict_is_read_off_the_interval(
    low: float, high: float, side: str, bound: float, expected: str
) -> None:
    assert verdict_of(low, high, side, bound) == expected


def reading(value: float, n_seeds: int = 5) -> Reading:
    """An effect in standard errors, claimed to be above zero; df is infinite."""
    half = float(stats.norm.ppf(0.975))
    effect = Effect(value, value - half, value + half, 1.0, np.inf, 0.5, n_seeds, 100,
                    Components(0.0, 1.0, 0.0))  # fmt: skip
    return Reading(effect, "above", 0.0)


YES, NO, OPEN = reading(4), reading(-4), reading(0.5)
JUST_NO, JUST_YES = reading(-2.0), reading(2.0)


@pytest.mark.parametrize(
    ("cells", "require", "expected"),
    [
        ([[YES, YES], [YES]], "all", SUPPORTED),
        ([[YES, OPEN]], "all", UNDECIDED),
        ([[OPEN, NO], [YES]], "all", CONTRADICTED),
        ([[YES, JUST_NO]], "all", UNDECIDED),
        ([[JUST_NO]], "all", CONTRADICTED),
        ([[JUST_YES, JUST_YES]], "all", SUPPORTED),
        ([[NO, YES], [YES, OPEN]], "any", SUPPORTED),
        ([[NO, YES], [OPEN, OPEN]], "any", UNDECIDED),
        ([[NO, YES], [NO, NO]], "any", CONTRADICTED),
        ([[JUST_YES, OPEN]], "any", UNDECIDED),
        ([[JUST_YES]], "any", SUPPORTED),
        ([[], []], "all", NOT_TESTED),
    ],
)
def test_all_or_any_of_the_tests_decide(
    cells: list[list[Reading]], require: str, expected: str
) -> None:
    """2.0 standard errors pass a test that stands alone (1.96), not one of two (2.24)."""
    assert combine(cells, require, 0.95) == expected


def test_fewer_than_three_seeds_decide_nothing() -> None:
    few = "not decided: 2 seeds; three are needed"
    assert combine([[reading(9, 2)], [reading(9, 2)]], "all", 0.95) == few
    assert combine([[reading(9, 1)]], "any", 0.95) == "not decided: 1 seed; three are needed"
    assert combine([[reading(9, 2), YES]], "all", 0.95) == UNDECIDED
    assert combine([[reading(9, 2), NO]], "all", 0.95) == CONTRADICTED
    assert reading(9, 3).verdict(0.95) == SUPPORTED


@pytest.mark.parametrize(
    ("verdict", "require", "expected"),
    [
        (SUPPORTED, "all", "supported in part (1 of 3 models; not tested: Mamba, Hyena)"),
        (CONTRADICTED, "all", "contradicted (1 of 3 models; not tested: Mamba, Hyena)"),
        (SUPPORTED, "any", "supported (1 of 3 models; not tested: Mamba, Hyena)"),
        (CONTRADICTED, "any", "contradicted in part (1 of 3 models; not tested: Mamba, Hyena)"),
        (UNDECIDED, "all", "undecided (1 of 3 models; not tested: Mamba, Hyena)"),
        (NOT_TESTED, "all", NOT_TESTED),
    ],
)
def test_what_was_not_tested_is_named(verdict: str, require: str, expected: str) -> None:
    parts = ["Mamba", "Hyena", "CNN"]
    assert in_part(verdict, require, parts, parts[:2], "models") == expected
    assert in_part(verdict, require, parts, [], "models") == verdict
