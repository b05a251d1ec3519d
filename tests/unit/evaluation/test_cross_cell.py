"""Models across cells: their own, another cell's, and what needs no model."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import renderers

from prismflow.errors import InputError
from prismflow.evaluation.cross_cell import COLUMNS, cross_cell
from prismflow.evaluation.predictions_file import Group, Row
from prismflow.figures.tables import render
from prismflow.plan.run import RunKey

N = 400
SEEDS = (2, 22, 222)
CELLS = ["A", "B", "C"]
EXPERIMENT = {"id": "transfer", "title": "Across", "models": ["keen", "blunt"]}


def world(cells: list[str]) -> tuple[list[Group], list[RunKey]]:
    """Labels share a part over cells. ``keen`` knows the own part too, ``blunt`` only the shared.

    Both see whatever cell they are tested on.
    """
    generator = np.random.default_rng(1)
    shared = generator.normal(0, 1, N)
    own = {cell: generator.normal(0, 0.7, N) for cell in cells}
    labels = {cell: shared + own[cell] + 0.1 * i for i, cell in enumerate(cells)}
    groups, runs = [], []
    for cell in cells:
        rows, predicted = [], []
        for model, seed, tested in (
            (model, seed, tested)
            for model in EXPERIMENT["models"] for seed in SEEDS for tested in cells
        ):  # fmt: skip
            known = shared + (own[tested] if model == "keen" else 0)
            scenario = "full" if tested == cell else f"on_{tested}"
            worse = 0.1 if tested == cell else 0.4
            rows.append(Row(model, seed, scenario, cells.index(tested)))
            predicted.append(known + generator.normal(0, worse, N))
            runs.append(RunKey(cell, model, "f1", seed))
        genes = tuple(f"g{i}" for i in range(N))
        observed = np.float32([labels[name] for name in cells])
        groups.append(Group(cell, "f1", genes, tuple(rows), observed, np.float32(predicted),
                            np.arange(N) // 2))  # fmt: skip
    return groups, list(dict.fromkeys(runs))


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return cross_cell(*world(CELLS), EXPERIMENT, CELLS)


def row(table: pd.DataFrame, **keys: str) -> pd.Series:
    for name, value in keys.items():
        table = table[table[name] == value]
    (found,) = (item for _, item in table.iterrows())
    return found


def test_a_model_of_shared_expression_tells_no_cells_apart(table: pd.DataFrame) -> None:
    assert tuple(table.columns) == COLUMNS
    for model, least, most in (("keen", 0.95, 1.0), ("blunt", -0.15, 0.15)):
        found = row(table, part="difference", cell="A", other_cell="B", source="own", model=model,
                    metric="pearson")  # fmt: skip
        assert least < found["value"] < most
        assert found["low"] < found["value"] < found["high"]
    level = row(table, part="level", cell="A", source="own", model="blunt", metric="pearson")
    assert level["value"] > 0.75
    assert level["n_seeds"] == 3 and level["n_genes"] == N


def test_baselines_are_the_observed_values_of_other_cells(table: pd.DataFrame) -> None:
    groups, _ = world(CELLS)
    labels = groups[0].observed.astype(float)
    found = row(table, part="level", cell="A", source="observed", from_cell="B", metric="pearson")
    assert found["value"] == pytest.approx(np.corrcoef(labels[0], labels[1])[0, 1])
    mean = row(table, part="level", cell="A", source="mean", metric="mse")
    assert mean["value"] == pytest.approx(((labels[0] - labels[1:].mean(axis=0)) ** 2).mean())
    equal = row(table, part="difference", cell="A", other_cell="B", source="equal", metric="mse")
    assert equal["value"] == pytest.approx(((labels[0] - labels[1]) ** 2).mean())
    # The mean over two cells is the better one here, so models are held against it.
    own = row(table, part="level", cell="A", source="own", model="keen", metric="mse")
    assert own["minus_baseline"] == pytest.approx(own["value"] - mean["value"])
    assert own["minus_baseline_high"] < 0


def test_tests_on_another_cell_are_paired_with_the_cells_own_model(table: pd.DataFrame) -> None:
    moved = row(table, part="level", cell="A", source="elsewhere", from_cell="B", model="keen",
                metric="mse")  # fmt: skip
    own = row(table, part="level", cell="A", source="own", model="keen", metric="mse")
    assert moved["minus_own"] == pytest.approx(moved["value"] - own["value"])
    assert 0 < moved["minus_own_low"] < moved["minus_own"] < moved["minus_own_high"]
    assert moved["minus_own_high"] - moved["minus_own_low"] < moved["high"] - moved["low"]
    both = row(table, part="difference", cell="A", other_cell="C", source="elsewhere",
               from_cell="C", model="keen", metric="pearson")  # fmt: skip
    alone = row(table, part="difference", cell="A", other_cell="C", source="own", model="keen",
                metric="pearson")  # fmt: skip
    assert both["minus_own"] == pytest.approx(both["value"] - alone["value"])


def test_one_cell_is_refused_and_so_are_other_genes() -> None:
    groups, runs = world(CELLS)
    with pytest.raises(InputError, match="at least two cells, found A"):
        cross_cell(groups[:1], runs, EXPERIMENT, CELLS)
    last = groups[1]
    other = Group("B", "f1", last.genes[::-1], last.rows, last.observed, last.predicted)
    with pytest.raises(InputError, match="the same test genes"):
        cross_cell([groups[0], other], runs, EXPERIMENT, ["A", "B"])


def test_the_table_names_every_source_in_words(table: pd.DataFrame) -> None:
    module = renderers.table("transfer")
    context = {"cells": CELLS, "model_labels": {"keen": "Keen", "blunt": "Blunt"}}
    built = module.build({"cross_cell": table}, EXPERIMENT, context)
    text = render.markdown(module.sheet(built, EXPERIMENT, context))
    for words in ("Label in A, 400 test genes", "Label in A minus label in B",
                  "observed in B (no model)", "mean over the other cells (no model)",
                  "Keen, trained on B", "Blunt, each cell's own", "no difference (no model)",
                  "Keen, trained on C for both cells"):  # fmt: skip
        assert words in text


def test_the_figure_shows_a_row_per_model_and_source(table: pd.DataFrame) -> None:
    context = {"cells": CELLS, "model_labels": {"keen": "Keen", "blunt": "Blunt"}}
    plot = renderers.plot("cell_specificity")
    figure = plot.draw({"cross_cell": table}, EXPERIMENT, context)
    first = figure.axes[0]
    assert first.get_title(loc="left") == "A minus B"
    labels = [text.get_text() for text in first.get_yticklabels()]
    assert labels == [f"{name}, {where}" for name in ("Keen", "Blunt")
                      for where in ("each cell's own", "trained on A", "trained on B")]  # fmt: skip
    numbers = [float(text.get_text().replace("−", "-")) for text in first.texts]
    assert min(numbers[:3]) > 0.6 and max(map(abs, numbers[3:])) < 0.15
    with pytest.raises(InputError, match="differences between two cells"):
        plot.draw({"cross_cell": table[table["part"] == "level"]}, EXPERIMENT, context)
