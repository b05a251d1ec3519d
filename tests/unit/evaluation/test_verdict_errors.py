"""The published rates of false verdicts: of every rule, below the bound, as the command gives."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

from prismflow.files import read_tsv
from prismflow.settings.claims import read_claims


@pytest.fixture(scope="module")
def command(root: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("verdicts", root / "benchmarks" / "verdicts.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["verdicts"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def rates(root: Path) -> pd.DataFrame:
    return read_tsv(root / "config" / "verdict_errors.tsv", dtype={"world": str})


def test_every_rule_was_put_to_every_world_and_errs_rarely(
    command: ModuleType, rates: pd.DataFrame, root: Path
) -> None:
    claims = read_claims(root / "config" / "claims.yaml")["claims"]
    measured = [n for n, c in claims.items() if c["tests"][0]["kind"] != "parameters"]
    assert list(dict.fromkeys(rates["claim_id"])) == measured
    assert len(rates) == len(measured) * 4 * len(command.DESIGNS)
    assert (rates["false_below"] < command.BOUND).all()
    for row in rates.itertuples():
        wrong = round(row.false * row.worlds)
        assert row.false_below == pytest.approx(command.upper(wrong, row.worlds), abs=1e-6)
    page = (root / "docs" / "statistics.md").read_text()
    assert command.markdown(rates) in page


@pytest.mark.parametrize(
    ("claim", "world", "column"),
    [
        ("proximal_signals", "true", "supported"),
        ("proximal_signals", "false", "contradicted"),
        ("background_overused", "false", "contradicted"),
        ("long_inputs", "false", "contradicted"),
        ("adjustment_helps", "true", "supported"),
        ("adjustment_helps", "false", "contradicted"),
    ],
)
def test_a_few_worlds_again_give_what_was_published(
    command: ModuleType, rates: pd.DataFrame, claim: str, world: str, column: str
) -> None:
    """Rates near one in the table are near one in twelve new worlds."""
    design = command.DESIGNS[0]
    chosen = (rates["claim_id"] == claim) & (rates["world"] == world)
    (published,) = rates.loc[chosen & (rates["design"] == design.name), column]
    assert published > 0.97
    assert command.rates((claim, world, design, 12, 12345))[column] >= 10 / 12


def test_an_upper_bound_is_that_of_the_binomial(command: ModuleType) -> None:
    assert command.upper(0, 29) < 0.1 < command.upper(0, 28)
    assert command.upper(28, 400) < 0.1 < command.upper(30, 400)
    assert command.upper(5, 5) == 1.0
