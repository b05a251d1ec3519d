"""Claims whose samples are simulated worlds: which worlds count, the interval, the verdict."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from prismflow.evaluation.claims import judge, judge_claims
from prismflow.evaluation.world_effects import WorldEffect, effect_over_worlds
from prismflow.figures.tables import claims as printed
from prismflow.figures.tables import render
from prismflow.files import read_tsv, write_tsv
from prismflow.plan.plain import plain
from prismflow.settings.architectures import class_of
from prismflow.settings.claims import counted_models, read_claims
from prismflow.statistics.verdicts import CONTRADICTED, NOT_TESTED, SUPPORTED, UNDECIDED

CONTEXT = {"dataset": "demo", "title": "simulated genome", "simulated": True, "names": {}}
PARAMETERS = {"prism": 585_681, "caduceus_signals": 574_593}
CLAIM = "adjustment_helps"


@pytest.fixture(scope="module")
def content(root: Path) -> dict[str, Any]:
    return read_claims(root / "config" / "claims.yaml")


def measures(
    gone: dict[str, float], turned: dict[str, float], worlds: range = range(25, 41)
) -> pd.DataFrame:
    """MSE of every model in every world, with spreads that pairing takes out."""
    generator = np.random.default_rng(3)
    rows = []
    for world in worlds:
        level = generator.normal(0, 0.1)
        for test, errors in ((0.0, gone), (-0.8, turned)):
            for model, error in errors.items():
                output = "adapted" if model == "prism_regional" else "direct"
                value = error + level + generator.normal(0, 0.01)
                rows.append((0.8, test, world, model, output, "mse", value, 308))
    columns = ["training", "test", "replicate", "model", "output", "measure", "value", "n_genes"]
    return pd.DataFrame(rows, columns=columns)


def errors(unadjusted: float, without: float, adjusted: float) -> dict[str, float]:
    models = ("prism_n0", "prism_n0_h3k27ac", "prism_regional")
    return dict(zip(models, (unadjusted, without, adjusted), strict=True))


def judged(content: dict[str, Any], table: pd.DataFrame | None) -> pd.DataFrame:
    rows = judge(content, [], {}, CONTEXT, PARAMETERS, table)
    return rows[rows["claim_id"] == CLAIM]


@pytest.mark.parametrize(
    ("gone", "turned", "expected"),
    [
        (errors(0.4, 0.37, 0.34), errors(0.5, 0.37, 0.34), SUPPORTED),
        # Better than not adjusting, no better than leaving the signals out.
        (errors(0.4, 0.34, 0.34), errors(0.5, 0.37, 0.34), UNDECIDED),
        (errors(0.4, 0.30, 0.34), errors(0.5, 0.37, 0.34), CONTRADICTED),
        # A gain of the margin alone is none yet.
        (errors(0.4, 0.42, 0.392), errors(0.5, 0.37, 0.34), UNDECIDED),
    ],
)
def test_adjustment_helps_only_where_it_beats_both_references(
    content: dict[str, Any], gone: dict, turned: dict, expected: str
) -> None:
    table = judged(content, measures(gone, turned))
    assert set(table["verdict"]) == {expected}
    assert set(table["n_seeds"]) == {16} and set(table["why"]) == {"worlds 25 to 40"}
    assert table["bound"].iloc[0] == pytest.approx(-0.02 * gone["prism_n0"], rel=0.2)


def test_the_interval_is_students_of_the_paired_differences(content: dict[str, Any]) -> None:
    table = measures(errors(0.4, 0.37, 0.34), errors(0.5, 0.37, 0.34))
    test = content["claims"][CLAIM]["tests"][0]
    found = effect_over_worlds(table, test, 0.95)
    assert isinstance(found, WorldEffect)
    own = table[(table["test"] == 0) & (table["model"] != "prism_n0_h3k27ac")]
    wide = own.pivot(index="replicate", columns="model", values="value")
    gap = wide["prism_regional"] - wide["prism_n0"]
    expected = stats.t.interval(0.99, 15, gap.mean(), gap.std(ddof=1) / 4)
    assert found.effect.interval(0.99) == pytest.approx(expected)
    assert found.scale == pytest.approx(wide["prism_n0"].mean())


def test_worlds_that_a_choice_has_seen_do_not_count(content: dict[str, Any]) -> None:
    seen = measures(errors(0.4, 0.37, 0.1), errors(0.5, 0.37, 0.1), range(1, 25))
    table = judged(content, seen)
    assert set(table["verdict"]) == {NOT_TESTED}
    assert set(table["why"]) == {"its models have no common worlds here from world 25 on"}
    new = measures(errors(0.4, 0.30, 0.34), errors(0.5, 0.30, 0.34))
    assert set(judged(content, pd.concat([seen, new]))["verdict"]) == {CONTRADICTED}


def test_two_worlds_decide_nothing(content: dict[str, Any]) -> None:
    few = measures(errors(0.4, 0.37, 0.1), errors(0.5, 0.37, 0.1), range(25, 27))
    assert set(judged(content, few)["verdict"]) == {"not decided: 2 seeds; three are needed"}


def test_without_worlds_the_claim_is_not_tested(content: dict[str, Any]) -> None:
    table = judged(content, None)
    assert set(table["why"]) == {"experiment confounding is not among those run"}


def test_a_dataset_with_worlds_and_no_run_is_judged(
    content: dict[str, Any], tmp_path: Path
) -> None:
    worlds, output = tmp_path / "measures.tsv", tmp_path / "claims.tsv"
    write_tsv(measures(errors(0.4, 0.37, 0.34), errors(0.5, 0.37, 0.34)), worlds)
    classes = {name: class_of(name) for name in counted_models(content)}
    request = {"experiments": {}, "context": CONTEXT, "classes": classes}
    judge_claims(plain(content), request, None, str(worlds), str(output))
    table = read_tsv(output)
    assert dict(zip(table["claim_id"], table["verdict"], strict=True))[CLAIM] == SUPPORTED
    assert set(table.loc[table["claim_id"] == "prism_best", "verdict"]) == {NOT_TESTED}


def test_the_page_says_which_worlds_and_that_they_are_the_samples(content: dict[str, Any]) -> None:
    table = judge(
        content, [], {}, CONTEXT, PARAMETERS,
        measures(errors(0.4, 0.37, 0.34), errors(0.5, 0.37, 0.34)),
    )  # fmt: skip
    page = render.markdown(printed.sheet(table, content, CONTEXT))
    assert "9. Adjustment helps where the background is not the cause: supported" in page
    assert page.count("supported (worlds 25 to 40)") == 4
    assert "t-interval over worlds" in page
    without = judge(content, [], {}, CONTEXT, PARAMETERS)
    assert "over worlds" not in render.markdown(printed.sheet(without, content, CONTEXT))
