"""Figures of varied numbers, read-outs, transfer and folds: what is drawn, and what is refused."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pandas as pd
import pytest
import renderers
from plot_cases import LENGTHS, check_whole

from prismflow.errors import InputError
from prismflow.figures import plots
from prismflow.statistics.paired import contrast, replicate
from prismflow.statistics.seeds import METRIC_COLUMNS

CONTEXT = {
    "dataset": "demo", "simulated": True, "cells": ["simA", "simB"],
    "target_label": "log10(CAGE + 1)",
}  # fmt: skip
N_CONTEXTS = {"prism_n0": 0, "prism": 2, "prism_n8": 8}
POINTS = [
    {"base": "prism", "model": model, "scenario": "full", "x": x} for model, x in N_CONTEXTS.items()
]


def metrics(
    models: list[str],
    scenarios: tuple[str, ...] = ("full",),
    cells: tuple[str, ...] = ("simA", "simB"),
    folds: tuple[str, ...] = ("fold11",),
    seeds: tuple[int, ...] = (2, 22),
) -> pd.DataFrame:
    """A long table whose MSE is 1 + 0.1 x number of the model + 0.01 x number of the rest."""
    rows = []
    ways = itertools.product(enumerate(models), enumerate(cells), enumerate(folds), seeds)
    for (m, model), (c, cell), (f, fold), seed in ways:
        for s, scenario in enumerate(scenarios):
            value = 1 + 0.1 * m + 0.01 * c + 0.02 * f + 0.05 * s + 0.001 * seed
            for metric, number in (("mse", value), ("pearson", 1 - value / 2)):
                key = ("demo", cell, model, fold, seed, scenario)
                rows.append((*key, metric, number, 100 + 10 * f))
    return pd.DataFrame(rows, columns=list(METRIC_COLUMNS))


def draw(renderer: str, table: pd.DataFrame, **experiment: Any) -> Any:
    data = {"metrics": table, "cross_cell": observed_elsewhere()}
    return renderers.plot(renderer).draw(data, {"id": "x", **experiment}, CONTEXT)


def observed_elsewhere() -> pd.DataFrame:
    """The other cell's observed value in the place of a prediction."""
    return pd.DataFrame(
        [
            {"part": "level", "cell": cell, "source": "observed", "from_cell": other,
             "metric": metric, "value": value}
            for cell, other in (("simA", "simB"), ("simB", "simA"))
            for metric, value in (("mse", 1.5), ("pearson", 0.6))
        ]
    )  # fmt: skip


def words(figure: Any) -> str:
    import matplotlib.text

    found = figure.findobj(matplotlib.text.Text)
    return " | ".join(text.get_text().replace("\n", " ") for text in found)


def test_sweep_puts_values_at_equal_distances_and_names_references() -> None:
    figure = draw(
        "sweep", metrics([*N_CONTEXTS, "gbm"]), points=POINTS, models=[*N_CONTEXTS, "gbm"],
        x_label="Number of contexts n", scale="steps", reference_labels={"gbm": "trees"},
    )  # fmt: skip
    axes = figure.axes[0]
    assert [tick.get_text() for tick in figure.axes[2].get_xticklabels()] == ["0", "2", "8"]
    line = next(line for line in axes.lines if len(line.get_xdata()) == 3)
    assert list(line.get_xdata()) == [0, 1, 2]
    assert list(line.get_ydata()) == pytest.approx([1.012, 1.112, 1.212])
    dashed = [line for line in axes.lines if len(set(line.get_ydata())) == 1]
    assert any(line.get_ydata()[0] == pytest.approx(1.312) for line in dashed)
    text = words(figure)
    assert "trees" in text and "2 seeds" in text and "t-interval" not in text
    assert "two seeds give none" in text
    assert "Number of contexts n" in text


def test_sweep_takes_crops_of_one_model_apart() -> None:
    points = [
        {"base": "prism", "model": "prism", "scenario": name, "x": x}
        for name, x in (("crop_500bp", 500), ("full", 2000))
    ]
    table = metrics(["prism"], ("full", "crop_500bp"))
    figure = draw("sweep", table, points=points, models=["prism"], scale="log", x_label="bp")
    line = next(line for line in figure.axes[0].lines if len(line.get_xdata()) == 2)
    assert list(line.get_ydata()) == pytest.approx([1.062, 1.012])
    assert figure.axes[0].get_xscale() == "log"


def test_a_second_line_of_one_architecture_has_open_marks() -> None:
    points = [
        {"base": base, "model": f"{base}{end}", "scenario": "full", "x": x}
        for base in ("caduceus", "caduceus_pretrained", "prism")
        for end, x in (("_500bp", 500), ("", 2000))
    ]
    models = [point["model"] for point in points]
    figure = draw("sweep", metrics(models), points=points, models=models, scale="log")
    lines = [line for line in figure.axes[0].lines if len(line.get_xdata()) == 2]
    marked = [line for line in lines if line.get_marker() in ("o", "h", "v", "s", "^", "D")]
    found = [(line.get_markerfacecolor() == "white", line.get_color()) for line in marked]
    first, second, other = [pair for pair in found if pair[1] != "none"][:3]
    assert first[1] == second[1] != other[1]
    assert [first[0], second[0], other[0]] == [False, True, False]


def test_comparison_groups_read_outs_by_model() -> None:
    table = metrics(["prism", "prism_n4"], ("full", "backdoor"))
    table = table[~((table["model"] == "prism_n4") & (table["scenario"] == "backdoor"))]
    figure = draw(
        "comparison", table, models=["prism", "prism_n4"], scenarios=["full", "backdoor"],
        scenario_labels={"full": "direct"},
    )  # fmt: skip
    labels = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert labels == ["Prism", "direct", "backdoor", "Prism, n4", "direct"]
    with pytest.raises(InputError, match="results of the scenarios crop, found none"):
        draw("comparison", table, models=["prism"], scenarios=["crop"])


def test_transfer_sorts_by_the_cell_that_was_tested() -> None:
    full = metrics(["prism"])
    moved = full.assign(scenario=full["cell"].map({"simA": "on_simB", "simB": "on_simA"}))
    moved["value"] += 1
    figure = draw("transfer", pd.concat([full, moved]), models=["prism"])
    first = figure.axes[0]
    assert first.get_title(loc="left") == "Tested on simA"
    labels = [text.get_text() for text in first.get_yticklabels()]
    assert labels == [
        "Prism", "trained on simA", "trained on simB",
        "Without a model", "observed in simB", "observed in simA",
    ]  # fmt: skip
    # The number beside a row is its mean: simA by its own model, then by simB's on simA.
    numbers = [text.get_text() for text in first.texts if text.get_text()[:1].isdigit()]
    assert numbers == ["1.012", "2.022", "1.500"]
    with pytest.raises(InputError, match="tested on another cell"):
        draw("transfer", full, models=["prism"])


def test_folds_come_in_their_order_with_a_mean_over_them() -> None:
    table = metrics(["gbm"], folds=("fold11", "fold2", "fold1"))
    figure = draw("folds", table, models=["gbm"])
    axes = figure.axes[0]
    assert [tick.get_text() for tick in figure.axes[2].get_xticklabels()] == ["1", "2", "11", "all"]
    line = next(line for line in axes.lines if len(line.get_xdata()) == 3)
    assert list(line.get_ydata()) == pytest.approx([1.052, 1.032, 1.012])
    text = words(figure)
    assert "3 folds" in text and "100–120 genes" in text
    whole = [line for line in axes.lines if len(line.get_xdata()) == 1]
    assert whole[0].get_ydata()[0] == pytest.approx(1.032)


def test_models_without_promoter_activity_stand_apart() -> None:
    models = ["caduceus", "caduceus_signals", "caduceus_signals_no_activity"]
    context = {
        **CONTEXT,
        "excluded_features": {models[2]: ["promoter_activity"]},
        "model_modalities": {models[0]: [], models[1]: ["dnase"], models[2]: ["dnase"]},
    }
    draw = renderers.plot("signal_contribution").draw
    figure = draw({"metrics": metrics(models)}, {"id": "x", "models": models}, context)
    labels = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert labels == [
        "With promoter activity", "sequence only", "DNase", "Without promoter activity", "DNase",
    ]  # fmt: skip


@pytest.mark.parametrize("renderer", ["sweep", "comparison", "transfer", "folds"])
def test_figures_are_equal_byte_by_byte(renderer: str, tmp_path: Any) -> None:
    scenarios = ("full", "on_simB") if renderer == "transfer" else ("full",)
    table = metrics(list(N_CONTEXTS), scenarios, cells=("simA",))
    given = {"points": POINTS, "models": list(N_CONTEXTS), "scenarios": ["full"]}
    for name in ("a", "b"):
        figure = draw(renderer, table, **given)
        plots.save(figure, tmp_path / f"{name}.pdf", tmp_path / f"{name}.png")
    for suffix in ("pdf", "png"):
        first, second = (tmp_path / f"{name}.{suffix}" for name in ("a", "b"))
        assert first.read_bytes() == second.read_bytes()
    assert b"/Type3" not in (tmp_path / "a.pdf").read_bytes()


def predictions(models: list[str], seeds: tuple[int, ...]) -> pd.DataFrame:
    """Predictions of 40 genes whose errors differ between models, seeds and genes."""
    generator = np.random.default_rng(0)
    observed = generator.normal(size=40)
    parts = [
        pd.DataFrame({"dataset": "demo", "cell": cell, "model": model, "fold": "fold11",
                      "seed": seed, "scenario": "full", "gene_id": [f"g{i}" for i in range(40)],
                      "observed": observed,
                      "predicted": observed + generator.normal(0, 0.5 + 0.1 * m, 40)})
        for cell, (m, model), seed in itertools.product(("simA", "simB"), enumerate(models), seeds)
    ]  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def swept(table: pd.DataFrame, given: pd.DataFrame) -> Any:
    data = {"metrics": table, "predictions": given}
    return renderers.plot("sweep").draw(
        data, {"id": "x", "points": POINTS, "models": list(N_CONTEXTS)}, CONTEXT
    )


def bars(figure: Any) -> list[tuple[float, float]]:
    """Ends of the vertical lines of the first panel."""
    return [
        tuple(line.get_ydata())
        for line in figure.axes[0].lines
        if len(line.get_xdata()) == 2 and line.get_xdata()[0] == line.get_xdata()[1]
    ]


def test_two_seeds_have_an_interval_over_genes_and_seeds_where_predictions_are_there() -> None:
    models, seeds = list(N_CONTEXTS), (2, 22)
    given = predictions(models, seeds)
    table = metrics(models, seeds=seeds)
    for (cell, model, seed), rows in given.groupby(["cell", "model", "seed"]):
        same = (table["cell"] == cell) & (table["model"] == model) & (table["seed"] == seed)
        error = ((rows["predicted"] - rows["observed"]) ** 2).mean()
        table.loc[same & (table["metric"] == "mse"), "value"] = error
    figure = swept(table, given)
    drawn = bars(figure)
    assert len(drawn) == len(models)
    own = given[(given["cell"] == "simA") & (given["model"] == "prism")]
    runs = np.stack([own.loc[own["seed"] == seed, "predicted"] for seed in seeds])
    observed = own.loc[own["seed"] == 2, "observed"].to_numpy()
    order = np.argsort([f"g{i}" for i in range(40)])
    expected = contrast([(1.0, replicate([observed[order]], [runs[:, order]])["mse"])])
    assert any(np.allclose(bar, (expected.low, expected.high)) for bar in drawn)
    low, high = figure.axes[0].get_ylim()
    assert all(low < bar[0] < bar[1] < high for bar in drawn)
    assert "interval over test genes and seeds" in words(figure)
    without = draw("sweep", table, points=POINTS, models=models)
    assert not bars(without)
    assert "No interval" in words(without)


def test_one_seed_has_an_interval_over_genes_and_the_note_says_of_what() -> None:
    models = list(N_CONTEXTS)
    figure = swept(metrics(models, seeds=(2,)), predictions(models, (2,)))
    assert len(bars(figure)) == len(models)
    assert "n = 1 seed" in words(figure)
    assert "over test genes, for this trained model" in words(figure)


def test_three_seeds_keep_their_interval_over_seeds() -> None:
    models, seeds = list(N_CONTEXTS), (2, 22, 222)
    figure = swept(metrics(models, seeds=seeds), predictions(models, seeds))
    without = draw("sweep", metrics(models, seeds=seeds), points=POINTS, models=models)
    assert bars(figure) == bars(without) != []
    assert "95 % t-interval" in words(figure)


def test_a_line_far_off_is_marked_at_the_edge_and_leaves_the_others_their_room() -> None:
    models = list(LENGTHS)
    table = metrics(models)
    far = table["model"].isin(models[:3]) & (table["metric"] == "mse")
    table.loc[far, "value"] *= 50
    context = CONTEXT | {"model_lengths": LENGTHS}
    figure = renderers.plot("input_length").draw(
        {"metrics": table}, {"id": "x", "models": models}, context
    )
    check_whole(figure)
    panel = figure.axes[0]
    top = panel.get_ylim()[1]
    assert top < table.loc[far, "value"].min()
    heads = [line for line in panel.lines if line.get_marker() == "^"]
    assert any(np.allclose(line.get_ydata(), top) for line in heads if len(line.get_xdata()))
    assert "a value or its interval lies beyond the axis" in words(figure)
    assert panel.get_position().width > 0.3


@pytest.mark.parametrize(("n", "bars"), [(1, 0), (2, 0), (3, 5)])
def test_worlds_have_an_interval_from_three_on(n: int, bars: int) -> None:
    rows = [{"training": 0.8, "test": 0.8, "model": "prism", "output": "direct", "measure": name,
             "mean": 0.3, "low": 0.2, "high": 0.4, "n_worlds": n, "n_genes": 70}
            for name in ("mse", "reliance", "recovery", "error_c")]  # fmt: skip
    contrasts = pd.DataFrame([{**rows[0], "difference": 0.1}]).drop(columns="mean")
    tables = {"summary": pd.DataFrame(rows), "contrasts": contrasts}
    figure = renderers.plot("confounding").draw({"confounding": tables}, {"id": "x"}, CONTEXT)
    lines = [line for axes in figure.axes for line in axes.lines]
    drawn = [line for line in lines if list(line.get_xdata()) == [0.2, 0.4]]
    assert len(drawn) == bars
    assert ("o interval" in words(figure)) == (bars == 0)
