"""The main table: numbers, published values apart from ours, Markdown and LaTeX that parse."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import renderers

from prismflow.errors import InputError
from prismflow.figures.tables import render
from prismflow.files import read_tsv
from prismflow.statistics.seeds import METRIC_COLUMNS

METRICS = ("mse", "mae", "pearson", "spearman", "r2")
KINDS = ("tsv", "md", "tex", "html")
MODELS = ["gbm", "caduceus", "prism", "enformer"]


def metrics(cells=("simA", "simB"), seeds=(1, 2, 3)) -> pd.DataFrame:
    rows = [
        ("demo", cell, model, "fold11", seed, "full", name, 0.1 * m + 0.01 * seed + 0.2 * k, 103)
        for cell in cells
        for m, model in enumerate(("gbm", "caduceus", "prism"))
        for seed in seeds
        for k, name in enumerate(METRICS)
    ]
    return pd.DataFrame(rows, columns=list(METRIC_COLUMNS))


@pytest.fixture(scope="module")
def published(root: Path) -> pd.DataFrame:
    return read_tsv(root / "config" / "published.tsv")


@pytest.fixture
def context(published: pd.DataFrame) -> dict[str, Any]:
    return {
        "dataset": "demo",
        "simulated": True,
        "target_label": "log10(CAGE + 1)",
        "published": published,
        "published_cells": {"simA": "K562", "simB": "GM12878"},
        "model_labels": {"gbm": "Trees & 50 % more_{x}"},
    }


EXPERIMENT = {"id": "main", "models": MODELS, "title": "Main comparison"}


def check_latex(text: str) -> None:
    """Balanced groups and environments, one number of columns, no unescaped special character."""
    body = "\n".join(line for line in text.splitlines() if not line.startswith("%"))
    bare = re.sub(r"\\[\\&%$#_{}]", "", body)
    depth = 0
    for character in bare:
        depth += {"{": 1, "}": -1}.get(character, 0)
        assert depth >= 0
    assert depth == 0
    assert bare.count("$") % 2 == 0
    assert "#" not in bare and "%" not in bare and "^" not in re.sub(r"\$[^$]*\$", "", bare)
    stack = []
    for kind, name in re.findall(r"\\(begin|end)\{(\w+)\}", body):
        if kind == "begin":
            stack.append(name)
        else:
            assert stack.pop() == name
    assert not stack
    alignment = re.search(r"\\begin\{tabular\}\{@\{\}([lcr]+)@\{\}\}", body).group(1)
    rows = [line for line in body.splitlines() if line.endswith(r"\\")]
    assert rows
    for row in rows:
        cells = re.sub(r"\\&", "", row).count("&") + 1
        assert cells == len(alignment) or row.startswith(f"\\multicolumn{{{len(alignment)}}}")


def test_every_renderer_builds_and_prints() -> None:
    assert {"main", "comparisons", "claims"} <= set(renderers.TABLES)
    for name in renderers.TABLES:
        module = renderers.table(name)
        assert module.NEEDS and callable(module.build) and callable(module.sheet)


def test_published_values_are_those_of_the_paper(published: pd.DataFrame) -> None:
    assert tuple(published.columns) == renderers.table("main").PUBLISHED_COLUMNS
    assert not published.duplicated(["experiment", "cell", "model", "metric"]).any()
    assert published["source"].notna().all()
    contexts = published[published["experiment"] == "contexts"].set_index("model")
    assert contexts["value"].to_dict() == {
        "prism_n0": 0.1863, "prism_n1": 0.1891, "prism": 0.1789, "prism_n4": 0.1762
    }  # fmt: skip
    assert contexts.loc["prism_n4", "sd"] == 0.0071
    main = published[published["experiment"] == "main"]
    assert len(main) == 2 * 10 * 3
    known = main.set_index(["cell", "model", "metric"])
    assert known.loc[("K562", "prism", "mse"), "value"] == 0.1789
    assert known.loc[("GM12878", "seq2exp_soft", "pearson"), "sd"] == 0.0038
    unknown = known[known["value"].isna()]
    assert set(unknown.index) == {("K562", "prism", "mae"), ("GM12878", "prism", "mae")}
    no_sd = known[known["value"].notna() & known["sd"].isna()]
    assert set(no_sd.index) == {("K562", "prism", "pearson"), ("GM12878", "prism", "mse")}


def test_numbers_are_mean_and_sd_over_seeds(context: dict[str, Any]) -> None:
    table = renderers.table("main").build({"metrics": metrics()}, EXPERIMENT, context)
    row = table[(table["cell"] == "simB") & (table["model"] == "prism")].iloc[0]
    values = 0.2 + 0.01 * np.array([1, 2, 3])
    assert row["mse_mean"] == pytest.approx(values.mean())
    assert row["mse_sd"] == pytest.approx(values.std(ddof=1))
    half = 4.302653 * values.std(ddof=1) / np.sqrt(3)
    assert (row["mse_low"], row["mse_high"]) == pytest.approx(
        (values.mean() - half, values.mean() + half)
    )
    assert (row["n_seeds"], row["n_genes"]) == (3, 103)
    assert (row["published_cell"], row["published_mse"]) == ("GM12878", 0.1759)
    assert np.isnan(row["published_mse_sd"]) and np.isnan(row["published_mae"])
    assert row["published_source"] == "Prism table 1"


def test_rows_are_cells_by_models_in_the_experiments_order(context: dict[str, Any]) -> None:
    table = renderers.table("main").build({"metrics": metrics()}, EXPERIMENT, context)
    assert list(table["cell"]) == ["simA"] * 4 + ["simB"] * 4
    assert list(table["model"]) == MODELS * 2
    absent = table[table["model"] == "enformer"].iloc[0]
    assert absent["n_seeds"] == 0 and np.isnan(absent["mse_mean"])
    assert absent["published_mse"] == 0.2920


def test_published_values_never_enter_our_columns(context: dict[str, Any]) -> None:
    module = renderers.table("main")
    with_them = module.build({"metrics": metrics()}, EXPERIMENT, context)
    without = module.build({"metrics": metrics()}, EXPERIMENT, {**context, "published": None})
    ours = [name for name in with_them.columns if not name.startswith("published")]
    pd.testing.assert_frame_equal(with_them[ours], without[ours])
    assert without["published_mse"].isna().all()


def test_simulated_cells_say_whose_values_are_quoted(context: dict[str, Any]) -> None:
    module = renderers.table("main")
    table = module.build({"metrics": metrics()}, EXPERIMENT, context)
    text = render.markdown(module.sheet(table, EXPERIMENT, context))
    assert "### simA (simulated); published values: real cell line K562" in text
    assert "published MSE (paper, real cells)" in text
    assert "not comparable" in text and "Simulated data." in text
    assert "0.1789 ± 0.0041" in text and "| 0.8751 |" in text


def test_without_published_values_there_is_no_published_column(context: dict[str, Any]) -> None:
    module = renderers.table("main")
    other = {**context, "published_cells": {}, "simulated": False}
    table = module.build({"metrics": metrics()}, EXPERIMENT, other)
    sheet = module.sheet(table, EXPERIMENT, other)
    assert not [name for name in sheet.columns if "published" in name]
    assert not [note for note in sheet.notes if "published" in note]


@pytest.mark.parametrize("papers_own", [False, True])
def test_a_name_in_the_paper_quotes_nothing_where_the_data_are_others(
    context: dict[str, Any], papers_own: bool
) -> None:
    module = renderers.table("main")
    named_alike = {
        **context, "simulated": False, "published_cells": {}, "published_data": papers_own,
    }  # fmt: skip
    table = module.build({"metrics": metrics(cells=("K562",))}, EXPERIMENT, named_alike)
    sheet = module.sheet(table, EXPERIMENT, named_alike)
    assert any("published" in name for name in sheet.columns) == papers_own


def test_real_cells_say_what_the_published_values_are_of(context: dict[str, Any]) -> None:
    module = renderers.table("main")
    real = {**context, "simulated": False, "published_cells": {"K562": "K562"}}
    table = module.build({"metrics": metrics(cells=("K562",), seeds=(1,))}, EXPERIMENT, real)
    sheet = module.sheet(table, EXPERIMENT, real)
    assert "published MSE (paper)" in sheet.columns
    assert any("only with runs on the same data" in note for note in sheet.notes)
    assert "One seed has no sd." in sheet.notes
    prism = next(row for row in sheet.blocks[0].rows if row[0] == "Prism")
    assert "±" not in prism[1]


def test_all_files_are_written_and_repeat_byte_by_byte(
    context: dict[str, Any], tmp_path: Path
) -> None:
    module = renderers.table("main")
    for copy in ("a", "b"):
        table = module.build({"metrics": metrics()}, EXPERIMENT, context)
        sheet = module.sheet(table, EXPERIMENT, context)
        render.write(table, sheet, *(tmp_path / f"{copy}.{kind}" for kind in KINDS))
    for kind in KINDS:
        assert (tmp_path / f"a.{kind}").read_bytes() == (tmp_path / f"b.{kind}").read_bytes()
    again = read_tsv(tmp_path / "a.tsv")
    assert list(again.columns) == list(table.columns)
    assert again["mse_mean"].to_numpy() == pytest.approx(table["mse_mean"].to_numpy(), nan_ok=True)
    page = (tmp_path / "a.html").read_text()
    assert "Trees &amp; 50 % more_{x}" in page and page.count("<table>") == 2
    lines = (tmp_path / "a.md").read_text().splitlines()
    widths = {len(re.findall(r"(?<!\\)\|", line)) for line in lines if line.startswith("|")}
    assert len(widths) == 1


def test_latex_is_well_formed_and_escaped(context: dict[str, Any]) -> None:
    module = renderers.table("main")
    table = module.build({"metrics": metrics()}, EXPERIMENT, context)
    text = render.latex(module.sheet(table, EXPERIMENT, context))
    check_latex(text)
    assert r"Trees \& 50 \% more\_\{x\}" in text
    assert r"0.1789 $\pm$ 0.0041" in text
    assert text.isascii() or not re.search(r"[±–ρ²−]", text.split("\\toprule")[1])


@pytest.mark.parametrize("character", list("\\&%$#_{}~^[]<>±–ρ²"))
def test_latex_escapes_every_special_character(character: str) -> None:
    block = render.Block("A", ((f"{character}x{character}", "1"),))
    text = render.latex(render.Sheet(("Name", "n"), "lr", (block,), "caption"))
    check_latex(text)


def test_a_row_of_the_wrong_width_is_refused() -> None:
    with pytest.raises(InputError, match="a row of 1"):
        render.Sheet(("a", "b"), "lr", (render.Block("", (("x",),)),), "c")


def test_a_published_table_without_its_columns_is_refused(context: dict[str, Any]) -> None:
    broken = {**context, "published": pd.DataFrame({"cell": ["K562"]})}
    with pytest.raises(InputError, match="found no experiment, model"):
        renderers.table("main").build({"metrics": metrics()}, EXPERIMENT, broken)


def test_no_result_is_one_sentence(context: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="scenario crop_1bp, found none"):
        renderers.table("main").build(
            {"metrics": metrics()}, {**EXPERIMENT, "scenario": "crop_1bp"}, context
        )


@pytest.mark.parametrize(
    ("mean", "sd", "text"),
    [(0.17891, 0.0041, "0.1789 ± 0.0041"), (0.5, np.nan, "0.5000"), (np.nan, np.nan, "–"),
     (-0.25, 0.1, "−0.2500 ± 0.1000")],
)  # fmt: skip
def test_mean_and_sd_print(mean: float, sd: float, text: str) -> None:
    assert render.spread(mean, sd) == text


def comparisons(
    best: str, decided: str = "seeds and genes", p_pearson: float = 0.01
) -> pd.DataFrame:
    """What the comparisons say of simA and simB: ``best`` against every other model."""
    rows = [
        {"family": f"best_{metric}", "cell": cell, "model": best, "reference": other,
         "decided_by": decided, "p_pearson_holm": p_pearson}
        for cell in ("simA", "simB") for metric in ("mse", "pearson")
        for other in ("gbm", "caduceus", "prism") if other != best
    ]  # fmt: skip
    return pd.DataFrame(rows)


def printed(context: dict[str, Any], **data: Any) -> tuple[pd.DataFrame, str]:
    module = renderers.table("main")
    table = module.build({"metrics": metrics(), **data}, EXPERIMENT, context)
    return table, render.markdown(module.sheet(table, EXPERIMENT, context))


def test_the_best_is_bold_only_if_every_difference_is_decided(context: dict[str, Any]) -> None:
    table, text = printed(context, comparisons=comparisons("gbm"))
    assert table.loc[table["mse_decided_best"], "model"].tolist() == ["gbm", "gbm"]
    assert text.count("**0.0200 ± 0.0100**") == 2 and "no model is" not in text
    for broken in ({"decided": "genes only"}, {"decided": "nothing"}):
        table, text = printed(context, comparisons=comparisons("gbm", **broken))
        assert not table["mse_decided_best"].any() and table["pearson_decided_best"].any()
    one_open = comparisons("gbm", p_pearson=0.2)
    one_open.loc[0, "decided_by"] = "nothing"
    table, _ = printed(context, comparisons=one_open)
    assert table["mse_decided_best"].tolist().count(True) == 1
    assert not table["pearson_decided_best"].any()


def test_without_comparisons_nothing_is_bold(context: dict[str, Any]) -> None:
    table, text = printed(context)
    assert not table["mse_decided_best"].any()
    assert "| **" not in text and "no model is" in text


def test_bold_stands_in_every_format(context: dict[str, Any]) -> None:
    module = renderers.table("main")
    data = {"metrics": metrics(), "comparisons": comparisons("gbm")}
    sheet = module.sheet(module.build(data, EXPERIMENT, context), EXPERIMENT, context)
    check_latex(render.latex(sheet))
    assert render.latex(sheet).count(r"\textbf{0.0200 $\pm$ 0.0100}") == 2
    assert render.html(sheet).count("<b>0.0200 ± 0.0100</b>") == 2


def test_published_values_are_compared_with_on_the_same_data_only(context: dict[str, Any]) -> None:
    table, text = printed(context)
    assert "mse_minus_published" not in table and "ours − published" not in text
    module = renderers.table("main")
    ours = {"metrics": metrics(cells=("K562",))}
    real = {**context, "simulated": False, "published_cells": {"K562": "K562"}}
    other = module.build(ours, EXPERIMENT, real)
    assert "mse_minus_published" not in other
    table = module.build(ours, EXPERIMENT, {**real, "published_data": True})
    row = table[table["model"] == "prism"].iloc[0]
    assert row["mse_minus_published"] == pytest.approx(0.22 - 0.1789)
    # The difference 0.0411 is outside our sd of 0.01 and outside the published 0.0041.
    assert row["mse_within_spreads"] is False or not row["mse_within_spreads"]
    text = render.markdown(module.sheet(table, EXPERIMENT, {**real, "published_data": True}))
    assert "0.0411 (no)" in text and "(sd unknown)" in text


@pytest.mark.parametrize(
    ("mean", "sd", "published_sd", "within"),
    [(0.180, 0.004, 0.0041, True), (0.184, 0.006, 0.0041, False), (0.184, 0.004, 0.0061, False),
     (0.184, 0.006, np.nan, None)],
)  # fmt: skip
def test_within_both_spreads_is_within_each(
    mean: float, sd: float, published_sd: float, within: bool | None
) -> None:
    row = {f"{name}_{part}": np.nan for name in METRICS for part in ("mean", "sd")}
    row |= {f"published_{name}{part}": np.nan for name in METRICS for part in ("", "_sd")}
    row |= {"mse_mean": mean, "mse_sd": sd, "published_mse": 0.1789,
            "published_mse_sd": published_sd}  # fmt: skip
    found = renderers.table("main")._against_published(row)
    assert found["mse_within_spreads"] is within


def test_all_tables_have_one_order_of_models(context: dict[str, Any]) -> None:
    order = ["prism", "caduceus", "enformer", "gbm"]
    table, _ = printed({**context, "model_order": order})
    assert table["model"].tolist() == order * 2
    assert render.ordered(["gbm", "other", "prism"], {"model_order": order}) == [
        "prism", "gbm", "other"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("value", "text"),
    [(np.nan, "–"), (0.00004, "<0.0001"), (0.0004, "0.0004"), (0.0123, "0.012"), (1.0, "1")],
)
def test_p_values_print(value: float, text: str) -> None:
    assert render.p_value(value) == text
