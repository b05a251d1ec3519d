"""The claims: verdict rules, every kind of test, what is said where nothing was tested."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from test_tables import check_latex

from prismflow.errors import InputError
from prismflow.evaluation.claims import count_parameters, data_name, judge
from prismflow.evaluation.predictions_file import Group, Row
from prismflow.figures.tables import claims as printed
from prismflow.figures.tables import render
from prismflow.figures.write_claims import write_claims
from prismflow.files import write_tsv
from prismflow.plan.plain import plain
from prismflow.settings.architectures import class_of
from prismflow.settings.claims import counted_models, experiments_of, read_claims
from prismflow.statistics.verdicts import CONTRADICTED, NOT_TESTED, SUPPORTED, UNDECIDED

SEEDS = (2, 22, 222, 2222, 22222)
PARAMETERS = {"prism": 585_681, "caduceus_signals": 574_593}
CONTEXT = {"dataset": "demo", "title": "simulated genome", "simulated": True,
           "model_lengths": {"prism": 300},
           "names": {"caduceus_signals": "Caduceus w/ signals", "gbm": "Gradient boosting"},
           }  # fmt: skip


@pytest.fixture(scope="module")
def content(root: Path) -> dict[str, Any]:
    return read_claims(root / "config" / "claims.yaml")


def group(errors: dict[tuple[str, str], float], seeds: tuple[int, ...] = SEEDS) -> Group:
    """Runs of (model, scenario) with about these squared errors on 400 genes."""
    generator = np.random.default_rng(5)
    observed = generator.normal(1, 1, 400)
    shared = generator.normal(0, 1, 400)
    rows, predicted = [], []
    for (model, scenario), error in errors.items():
        for seed in seeds:
            noise = 0.995 * shared + 0.1 * generator.normal(0, 1, 400)
            rows.append(Row(model, seed, scenario, 0))
            predicted.append(observed + np.sqrt(error) * noise)
    genes = tuple(map(str, range(400)))
    return Group("A", "f1", genes, tuple(rows), np.float32([observed]), np.float32(predicted))


def judged(
    content: dict[str, Any],
    errors: dict[tuple[str, str], float],
    names: tuple[str, ...],
    points: list[dict] | None = None,
    seeds: tuple[int, ...] = SEEDS,
) -> pd.DataFrame:
    models = dict.fromkeys(model for model, _ in errors)
    runs = [["A", model, "f1", seed] for model in models for seed in seeds]
    experiments = {name: {"runs": runs, "points": points or []} for name in names}
    return judge(content, [group(errors, seeds)], experiments, CONTEXT, PARAMETERS)


def verdict(table: pd.DataFrame, claim: str) -> str:
    (found,) = set(table.loc[table["claim_id"] == claim, "verdict"])
    return str(found).split(" (")[0]


def full(**errors: float) -> dict[tuple[str, str], float]:
    return {(model, "full"): error for model, error in errors.items()}


def test_the_file_holds_every_claim_of_the_paper_with_its_source(content: dict[str, Any]) -> None:
    assert list(content["claims"]) == [
        "long_inputs", "proximal_signals", "h3k27ac_most", "background_little",
        "background_overused", "prism_best", "prism_beats_simple", "cost", "adjustment_helps",
        "distal_used",
    ]  # fmt: skip
    for claim in content["claims"].values():
        assert claim["source"] and claim["published"] and claim["paper"]
        assert claim["require"] in ("all", "any")
    assert experiments_of(content) == [
        "input_length", "main", "single_signal", "signal_removal", "matched", "confounding",
        "reach",
    ]  # fmt: skip
    assert counted_models(content) == ["caduceus_signals", "prism"]
    assert content["margin"] == 0.02


def test_the_order_of_the_file_survives_the_sorting_of_keys(content: dict[str, Any]) -> None:
    sent = plain(content)
    table = judge(sent, [], {}, CONTEXT, PARAMETERS)
    assert list(dict.fromkeys(table["claim_id"])) == list(content["claims"])


def test_every_named_experiment_exists(content: dict[str, Any], root: Path) -> None:
    from prismflow.settings.yaml_files import read_yaml

    known = read_yaml(root / "config" / "experiments.yaml")
    assert set(experiments_of(content)) <= set(known["experiments"])
    models = set(read_yaml(root / "config" / "models.yaml"))
    for claim in content["claims"].values():
        for test in claim["tests"]:
            assert set(test.get("against", [])) <= models
            assert set(test.get("matched", {}).get("against", [])) <= models
            assert {test[key] for key in ("model", "like") if key in test} <= models
            for term in test.get("terms", []):
                assert term.get("scenario", "full") in known["scenarios"]


@pytest.mark.parametrize(("change", "expected"), [(0.0, SUPPORTED), (-0.1, CONTRADICTED),
                                                  (0.05, SUPPORTED)])  # fmt: skip
def test_long_inputs(content: dict[str, Any], change: float, expected: str) -> None:
    """Equal counts as no help, because its interval lies within the margin; 0.1 of 0.3 doesn't."""
    errors = full(gbm=0.3, gbm_600bp=0.3 + change, gbm_150bp=0.9)
    points = [
        {"base": "gbm", "model": name, "scenario": "full", "x": x}
        for name, x in (("gbm", 300), ("gbm_600bp", 600), ("gbm_150bp", 150))
    ]
    table = judged(content, errors, ("input_length",), points)
    assert verdict(table, "long_inputs") == expected
    row = table[table["claim_id"] == "long_inputs"].iloc[0]
    assert row["test"] == "Gradient boosting: 600 bp minus 300 bp"
    assert row["bound"] == pytest.approx(-0.02 * (row["effect"] / row["relative"]))


@pytest.mark.parametrize(("without", "expected"), [(0.5, SUPPORTED), (0.3, CONTRADICTED),
                                                   (0.2, CONTRADICTED)])  # fmt: skip
def test_proximal_signals(content: dict[str, Any], without: float, expected: str) -> None:
    table = judged(content, full(caduceus_signals=0.3, caduceus=without), ("main",))
    assert verdict(table, "proximal_signals") == expected


LONGER = [
    {"base": "gbm", "model": name, "scenario": "full", "x": x}
    for name, x in (("gbm", 300), ("gbm_600bp", 600), ("gbm_900bp", 900))
]


def test_a_gain_at_a_middle_window_contradicts_although_the_longest_loses(
    content: dict[str, Any],
) -> None:
    errors = full(gbm=0.3, gbm_600bp=0.2, gbm_900bp=0.6)
    table = judged(content, errors, ("input_length",), LONGER)
    rows = table[table["claim_id"] == "long_inputs"]
    assert list(rows["test_verdict"]) == [CONTRADICTED, SUPPORTED]
    assert verdict(table, "long_inputs") == CONTRADICTED
    absent = judged(content, full(gbm=0.3, gbm_600bp=0.31), ("input_length",), LONGER)
    (found,) = set(absent.loc[absent["claim_id"] == "long_inputs", "verdict"])
    assert found == (
        "supported in part (1 of 2 windows; not tested: Gradient boosting at 900 bp)"
    )  # fmt: skip


def test_h3k27ac(content: dict[str, Any]) -> None:
    errors = full(
        caduceus=0.9, caduceus_signals=0.3, caduceus_signals_h3k27ac=0.32,
        caduceus_signals_dnase=0.7, caduceus_signals_hic=0.85,
    )  # fmt: skip
    removed = removed_at_test(h3k27ac=1.2, dnase=0.5, hic=0.6)
    both = ("single_signal", "signal_removal")
    table = judged(content, errors | removed, both)
    assert verdict(table, "h3k27ac_most") == SUPPORTED
    other = errors | removed | full(caduceus_signals_h3k27ac=0.8)
    rows = judged(content, other, both)
    assert verdict(rows, "h3k27ac_most") == CONTRADICTED
    share = rows[rows["test"].str.startswith("Gain from H3K27ac")].iloc[0]
    assert share["test_verdict"] == CONTRADICTED
    assert verdict(judged(content, errors, ("single_signal",)), "background_overused") == NOT_TESTED


def removed_at_test(**errors: float) -> dict[tuple[str, str], float]:
    return {("caduceus_signals", f"without_{name}_mean"): e for name, e in errors.items()}


@pytest.mark.parametrize(
    ("h3k27ac", "hic", "expected"),
    [(0.5, 0.6, SUPPORTED), (0.9, 0.6, CONTRADICTED), (0.5, 0.3, CONTRADICTED)],
)
def test_background_is_overused_beyond_what_losing_a_true_cause_costs(
    content: dict[str, Any], h3k27ac: float, hic: float, expected: str
) -> None:
    """Never trained with it: 0.4 each; so H3K27ac's excess is 0.1 or 0.5, DNase's 0.3."""
    errors = full(
        caduceus_signals=0.3, caduceus_signals_h3k27ac_hic=0.4, caduceus_signals_h3k27ac_dnase=0.4,
        caduceus_signals_dnase_hic=0.4,
    )  # fmt: skip
    both = ("single_signal", "signal_removal")
    removed = removed_at_test(h3k27ac=h3k27ac, dnase=0.7, hic=hic)
    table = judged(content, errors | removed, both)
    assert verdict(table, "background_overused") == expected
    row = table[table["claim_id"] == "background_overused"].iloc[0]
    assert row["why"].startswith("of Caduceus w/ signals, caduceus_signals_h3k27ac_hic")


def test_no_term_takes_its_model_from_another_alternative(content: dict[str, Any]) -> None:
    """Caduceus with signals at 2 kb and Caduceus at 200 kb aren't at the same short window."""
    mixed = judged(content, full(caduceus_signals_2kb=0.3, caduceus=0.9), ("main",))
    assert verdict(mixed, "proximal_signals") == NOT_TESTED
    errors = full(caduceus_signals_2kb=0.3, caduceus=0.2, caduceus_2kb=0.9, caduceus_signals=0.5)
    table = judged(content, errors, ("main",))
    row = table[table["claim_id"] == "proximal_signals"].iloc[0]
    assert row["why"] == "of caduceus_signals_2kb, caduceus_2kb"


@pytest.mark.parametrize(("alone", "expected"), [(0.3, SUPPORTED), (0.45, CONTRADICTED)])
def test_background_adds_little(content: dict[str, Any], alone: float, expected: str) -> None:
    errors = full(caduceus_signals=0.3, caduceus_signals_h3k27ac=alone)
    assert verdict(judged(content, errors, ("single_signal",)), "background_little") == expected


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        ({"caduceus": 0.6, "caduceus_signals": 0.5}, "supported in part"),
        ({"caduceus": 0.6, "caduceus_signals": 0.3}, UNDECIDED),
        ({"caduceus": 0.6, "caduceus_signals": 0.2}, CONTRADICTED),
    ],
)
def test_best_means_better_than_every_other(
    content: dict[str, Any], others: dict[str, float], expected: str
) -> None:
    table = judged(content, full(prism=0.3, **others), ("main",))
    row = table[table["claim_id"] == "prism_best"].iloc[0]
    assert verdict(table, "prism_best") == expected
    assert "(2 of 9 models; not tested: enformer, hyena, mamba, epinformer" in row["verdict"]
    assert row["test"].endswith("(Caduceus w/ signals)")
    assert row["why"] == "against 2 of 9 models, as configured; no matched arm is run"


def test_claims_on_architectures_take_the_matched_arm_where_it_is_run(
    content: dict[str, Any],
) -> None:
    """Prism is better than the published Caduceus and worse than the one of its own protocol."""
    errors = full(prism=0.3, caduceus=0.6, caduceus_matched=0.2, hyena_matched=0.5)
    table = judged(content, errors, ("main", "matched"))
    assert verdict(table, "prism_best") == CONTRADICTED
    row = table[table["claim_id"] == "prism_best"].iloc[0]
    assert row["why"] == "against 2 of 9 models, all trained under one protocol"
    assert row["evidence"] == "tables/matched_comparisons"
    assert "not tested: enformer" in row["verdict"]
    assert verdict(judged(content, errors, ("main",)), "prism_best") == "supported in part"


EXCHANGED = "beyond_10000bp_all_both_exchange"


@pytest.mark.parametrize(("exchanged", "expected"), [(0.6, SUPPORTED), (0.5, CONTRADICTED),
                                                     (0.51, UNDECIDED)])  # fmt: skip
def test_one_model_that_loses_by_the_exchange_uses_what_is_far_away(
    content: dict[str, Any], exchanged: float, expected: str
) -> None:
    errors = full(hyena=0.5, caduceus=0.5, short=0.5)
    errors |= {("hyena", EXCHANGED): 0.5, ("caduceus", EXCHANGED): exchanged}
    table = judged(content, errors, ("reach",))
    assert verdict(table, "distal_used") == expected
    tests = table.loc[table["claim_id"] == "distal_used", "test"]
    assert len(tests) == 2 and not tests.str.contains("short").any()


def test_parameters_are_counted_at_the_papers_sizes(content: dict[str, Any]) -> None:
    counted = count_parameters({n: class_of(n) for n in ("caduceus_signals", "prism")})
    assert counted == PARAMETERS
    table = judge(content, [], {}, CONTEXT, counted)
    row = table[table["claim_id"] == "cost"].iloc[0]
    assert (row["effect"], row["verdict"]) == (11_088, SUPPORTED)
    dearer = judge(content, [], {}, CONTEXT, {**counted, "prism": counted["prism"] + 4000})
    assert verdict(dearer, "cost") == CONTRADICTED


def test_what_is_not_run_is_not_tested(content: dict[str, Any]) -> None:
    table = judge(content, [], {}, CONTEXT, PARAMETERS)
    rest = table[table["claim_id"] != "cost"]
    assert set(rest["verdict"]) == {NOT_TESTED} and rest["effect"].isna().all()
    assert "experiment input_length is not among those run" in set(rest["why"])
    assert not rest["test"].str.contains("{", regex=False).any()
    absent = judged(content, full(gbm=0.3), ("main",))
    why = absent.loc[absent["claim_id"] == "proximal_signals", "why"].iloc[0]
    assert why == "its models have no common runs here"


@pytest.mark.parametrize("seeds", [(2,), (2, 22)])
def test_fewer_than_three_seeds_decide_no_claim(
    content: dict[str, Any], seeds: tuple[int, ...]
) -> None:
    errors = full(caduceus_signals=0.2, caduceus=0.9)
    table = judged(content, errors, ("main",), seeds=seeds)
    row = table[table["claim_id"] == "proximal_signals"].iloc[0]
    said = "not decided: 1 seed" if len(seeds) == 1 else "not decided: 2 seeds"
    assert row["verdict"] == row["test_verdict"] == f"{said}; three are needed"
    assert row["high"] < 0


def test_published_figures_never_enter_a_number(content: dict[str, Any]) -> None:
    errors = full(prism=0.3, caduceus_signals=0.35, caduceus=0.6)
    first = judged(content, errors, ("main",))
    changed = copy.deepcopy(content)
    for claim in changed["claims"].values():
        claim["published"] = "another figure"
    second = judged(changed, errors, ("main",))
    columns = [name for name in first.columns if name != "published"]
    pd.testing.assert_frame_equal(first[columns], second[columns])


def test_the_page_names_the_data_and_every_verdict(content: dict[str, Any]) -> None:
    table = judged(content, full(prism=0.3, caduceus_signals=0.5, caduceus=0.6), ("main",))
    sheet = printed.sheet(table, content, CONTEXT)
    for text in (render.markdown(sheet), render.html(sheet), render.latex(sheet)):
        assert "simulated (demo: simulated genome)" in text and "not tested here" in text
    check_latex(render.latex(sheet))
    page = render.html(sheet)
    assert "1. Long inputs do not help: not tested here" in page
    assert "6. Prism is best: supported in part (2 of 9" in page and "<b>supported" in page
    first = sheet.blocks[0]
    assert first.heading == "Verdicts. Data: simulated (demo: simulated genome)"
    assert len(first.rows) == 10 and len(sheet.blocks) == 11
    assert first.rows[5][:6] == (
        "6. Prism is best", "A", "1 supported", "–", "–", table.loc[
            table["claim_id"] == "prism_best", "verdict"].iloc[0]
    )  # fmt: skip
    assert "nothing about human cells" in page and "2 % of the MSE" in page
    assert data_name({"dataset": "real_chr22", "title": "chr22"}) == "real_chr22: chr22"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("margin: 0.02", "expected the key 'level', 'claims'"),
        ("margin: 2\nlevel: 0.95\nclaims: {}", "line [13]"),
        ("margin: 0.02\nlevel: 0.95\nclaims: {a: {claim: A}}", "paper"),
        (
            "margin: 0.02\nlevel: 0.95\nclaims:\n  a: {claim: A, paper: B, published: C, source: D,"
            " require: all, tests: [{label: x, kind: best}]}",
            "needs the keys experiments, model, against, holds, found no experiments, model",
        ),
        (
            "margin: 0.02\nlevel: 0.95\nclaims:\n  a: {claim: A, paper: B, published: C, source: D,"
            " require: all, tests: [{label: x, experiments: [main], holds: {above: 0}, terms: "
            "[{weight: 1, models: [a, b]}, {weight: -1, models: [a]}]}]}",
            "equally many alternatives in every term, .* found 1 and 2",
        ),
        (
            "margin: 0.02\nlevel: 0.95\nclaims: {a: {claim: A, paper: B, published: C, source: D, "
            "require: most, tests: [{label: x}]}}",
            "expected one of all, any, found .most.",
        ),
    ],
)
def test_a_wrong_file_ends_with_a_sentence(
    tmp_path: Path, root: Path, text: str, message: str
) -> None:
    path = tmp_path / "claims.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_claims(path)


def test_what_is_printed_of_the_file_is_what_was_judged(
    content: dict[str, Any], tmp_path: Path
) -> None:
    table = judged(content, full(prism=0.3, caduceus_signals=0.5, caduceus=0.6), ("main",))
    write_tsv(table, tmp_path / "claims.tsv")
    paths = {suffix: str(tmp_path / f"claims.{suffix}") for suffix in ("md", "tex", "html")}
    errors = pd.DataFrame(
        [("prism_best", "true", 0.25, 0.01), ("prism_best", "false", 0.0, 0.031)],
        columns=["claim_id", "world", "supported", "false_below"],
    )
    write_tsv(errors, tmp_path / "errors.tsv")
    write_claims(
        content, CONTEXT, str(tmp_path / "claims.tsv"), str(tmp_path / "errors.tsv"), paths
    )
    sheet = printed.sheet(table, {"id": "claims", **content}, CONTEXT, errors)
    assert "6: below 3.1 %, 25 to 25 % (docs" in (tmp_path / "claims.md").read_text()
    assert (tmp_path / "claims.md").read_text() == render.markdown(sheet)
    assert {path.name for path in tmp_path.iterdir()} - {"errors.tsv"} == {
        "claims.tsv", "claims.md", "claims.tex", "claims.html",
    }  # fmt: skip
