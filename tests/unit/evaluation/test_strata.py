"""Errors by class of gene, calibration, and gains of averaging."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import renderers
from make_store import make_store

from prismflow.data.store import Store
from prismflow.evaluation.gene_classes import QUARTILES, cpg_classes, gene_classes, quarters
from prismflow.evaluation.pooled import Pooled
from prismflow.evaluation.strata import strata
from prismflow.figures.tables import render

N, S = 300, 4


def arm(predicted: np.ndarray, observed: np.ndarray) -> Pooled:
    genes = np.array([f"g{i}" for i in range(observed.size)], dtype=object)
    return Pooled((2, 22, 222, 2222), ("f1",), genes, np.zeros(observed.size, int), observed,
                  predicted, np.arange(observed.size))  # fmt: skip


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """Predictions twice too wide; silent genes have noise of their own; seeds and strands too."""
    generator = np.random.default_rng(5)
    observed = generator.normal(0, 1, N)
    silent = np.arange(N) % 3 == 0
    base = 2 * observed + np.where(silent, 2.0, 0.2) * generator.normal(0, 1, N)
    seeds = generator.normal(0, 0.5, (2, S, N))
    arms = {"m": (arm(base + seeds[0], observed), arm(base + seeds[1], observed))}
    classes = pd.DataFrame({
        "gene_id": [f"g{i}" for i in range(N)], "all": "all",
        "expression": np.where(silent, "silent", "expressed"),
        "chromosome": ["chr10"] * 5 + ["chr2"] * (N - 5),
    })  # fmt: skip
    return pd.DataFrame(strata(arms, classes))


def value(table: pd.DataFrame, **keys: str) -> pd.Series:
    for name, wanted in keys.items():
        table = table[table[name.rstrip("_")] == wanted]
    (found,) = (item for _, item in table.iterrows())
    return found


def test_classes_differ_where_their_errors_do(table: pd.DataFrame) -> None:
    silent = value(table, class_="silent", metric="mse")
    expressed = value(table, class_="expressed", metric="mse")
    assert silent["low"] > expressed["high"]
    assert (silent["n_genes"], expressed["n_genes"], silent["n_seeds"]) == (100, 200, 4)
    whole = value(table, grouping="all", metric="mse")["value"]
    assert whole == pytest.approx((100 * silent["value"] + 200 * expressed["value"]) / 300)


def test_a_class_with_few_genes_has_a_row_without_numbers(table: pd.DataFrame) -> None:
    few = value(table, class_="chr10")
    assert few["n_genes"] == 5 and np.isnan(few["value"])
    assert table[table["grouping"] == "chromosome"]["class"].tolist()[0] == "chr2"


def test_predictions_that_are_too_wide_have_a_slope_below_one(table: pd.DataFrame) -> None:
    slope = value(table, metric="slope")
    assert 0.2 < slope["low"] < slope["value"] < slope["high"] < 0.5
    tenths = table[table["part"] == "calibration"]
    predicted = tenths[tenths["metric"] == "predicted"]["value"].to_numpy()
    observed = tenths[tenths["metric"] == "observed"]["value"].to_numpy()
    assert len(predicted) == 10 and (np.diff(predicted) > 0).all()
    assert predicted[-1] > observed[-1] > 0 > observed[0] > predicted[0]


def test_averages_gain_what_their_noise_was_worth(table: pd.DataFrame) -> None:
    """A mean over k draws of noise of variance v loses v (1 - 1 / k) of the error."""
    for way, draws in (("seeds averaged", 4), ("strands averaged", 2), ("both averaged", 8)):
        found = value(table, class_=way, metric="mse")
        assert found["gain"] == pytest.approx(-0.25 * (1 - 1 / draws), abs=0.06)
        assert found["gain_low"] < found["gain"] < found["gain_high"] < 0
    assert np.isnan(value(table, class_="one model", metric="mse")["gain"])


def test_bounds_of_sequence_and_signal_classes() -> None:
    codes = np.zeros((4, 100), dtype=np.uint8)
    codes[0] = np.tile([1, 2], 50)
    codes[1] = np.repeat([2, 1], 50)
    codes[2, :] = np.tile([0, 3], 50)
    codes[3, :20] = 4
    assert cpg_classes(codes).tolist() == ["CpG-rich", "CpG-poor", "CpG-poor", "unknown"]
    assert quarters(np.array([0.0, 4, 1, 3, 2])).tolist() == [
        "none", QUARTILES[3], QUARTILES[0], QUARTILES[2], QUARTILES[1]
    ]  # fmt: skip


def test_a_store_gives_every_grouping(tmp_path: object) -> None:
    store = Store.open(make_store(tmp_path)[0])
    rows = np.arange(store.n_genes)
    found = gene_classes(store, rows)
    assert found["gene_id"].tolist() == store.genes["gene_id"].astype(str).tolist()
    assert {"all", "CpG", "strand", "chromosome", "signal h3k27ac"} <= set(found.columns)
    if "expression" in found:
        threshold = np.log10(2.0)
        assert (found["expression"] == "silent").tolist() == (store.labels < threshold).tolist()


def test_the_table_and_the_figure_show_every_part(table: pd.DataFrame) -> None:
    entry = {"id": "strata", "title": "Where", "models": ["m"]}
    context = {"model_labels": {"m": "Model"}, "cells": ["A"]}
    whole = table.assign(cell="A")
    module = renderers.table("strata")
    built = module.build({"strata": whole}, entry, context)
    text = render.markdown(module.sheet(built, entry, context))
    for words in ("A: Silent and expressed genes", "| silent | Model | 100 |", "tenth 10",
                  "strands averaged", "Slope of observed on predicted"):  # fmt: skip
        assert words in text
    figure = renderers.plot("strata").draw({"strata": whole}, entry, context)
    left, above, below = figure.axes
    labels = [text.get_text() for text in left.get_yticklabels()]
    assert labels == ["all test genes (300)", "silent (100)", "expressed (200)", "chr2 (295)",
                      "chr10 (5)"]  # fmt: skip
    assert "slope 0." in above.get_legend().get_texts()[0].get_text()
    assert [text.get_text() for text in below.get_yticklabels()] == ["seeds", "strands", "both"]
