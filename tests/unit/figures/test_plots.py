"""Every renderer draws complete, readable, deterministic figures, also with pieces missing."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import renderers
from matplotlib.colors import to_rgb
from plot_cases import (
    CASES,
    CONTEXT,
    SCENARIOS,
    all_text,
    check_whole,
    draw,
    drawn,
    histories,
    metrics,
    predictions,
    texts,
)

from prismflow import labels
from prismflow.errors import InputError
from prismflow.figures import plots
from prismflow.figures.plots import forest, style
from prismflow.figures.plots.confounder_weights import between_context_distance, kept_share
from prismflow.plan.needs import NEEDS
from prismflow.statistics.seeds import t_interval


def test_every_renderer_has_needs_and_a_case() -> None:
    # Those that need other data than these tables are drawn in test files of their own.
    tests = "".join(path.read_text() for path in Path(__file__).parents[1].rglob("test_*.py"))
    for name in renderers.PLOTS:
        assert f'"{name}"' in tests, name
        assert set(renderers.plot(name).NEEDS) <= set(NEEDS)


def test_planning_needs_no_matplotlib() -> None:
    code = "import sys, prismflow.figures.plots; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", CASES)
def test_figure_is_whole_and_readable(name: str) -> None:
    check_whole(drawn(name))


@pytest.mark.parametrize("name", CASES)
def test_simulated_data_are_marked_and_n_is_stated(name: str) -> None:
    figure = drawn(name)
    simulated = CASES[name][3].get("simulated", True)
    assert ("simulated data" in all_text(figure)) is simulated
    assert re.search(r"\d seeds?\b|seed \d|\d runs?\b|n = \d", all_text(figure))


@pytest.mark.parametrize("name", ["main", "observed_vs_predicted_hexbin", "confounder_weights_one"])
def test_files_are_equal_byte_by_byte_and_carry_true_type(name: str, tmp_path: Path) -> None:
    for copy in ("a", "b"):
        plots.save(draw(name), tmp_path / f"{copy}.pdf", tmp_path / f"{copy}.png")
    pdf = (tmp_path / "a.pdf").read_bytes()
    assert pdf == (tmp_path / "b.pdf").read_bytes()
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert b"CreationDate" not in pdf and b"/FontFile2" in pdf and b"/Type3" not in pdf
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.pdf", "a.png", "b.pdf", "b.png"]


def test_bytes_do_not_depend_on_the_process(tmp_path: Path) -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[2]); import plot_cases as t; "
        "from prismflow.figures import plots; "
        "plots.save(t.draw('main_one_seed'), sys.argv[1] + '.pdf', sys.argv[1] + '.png')"
    )
    here = str(Path(__file__).parent)
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "MPLCONFIGDIR": str(tmp_path)}
        command = [sys.executable, "-c", code, str(tmp_path / seed), here]
        subprocess.run(command, check=True, env=environment)
    for suffix in (".pdf", ".png"):
        assert (tmp_path / f"1{suffix}").read_bytes() == (tmp_path / f"2{suffix}").read_bytes()


def test_a_weak_baseline_does_not_press_all_others_into_one_spot() -> None:
    def estimate(value: float) -> forest.Estimate:
        seeds = (value - 0.001, value + 0.001)
        return forest.Estimate(t_interval(np.array(seeds)), seeds)

    close = [estimate(value) for value in (0.17, 0.19, 0.20, 0.22, 0.21)]
    low, high = forest.limits([*close, estimate(0.54), estimate(0.94)])
    assert 0.1 < low < 0.17 and 0.22 < high < 0.3
    # Where rows are spread out, all of them are shown.
    low, high = forest.limits([estimate(value) for value in (0.1, 0.3, 0.5, 0.6, 0.9)])
    assert low < 0.1 and high > 0.9


def test_colours_are_fixed_distinct_and_dark_enough() -> None:
    colours = [look.colour for look in style.MODEL_STYLE.values()]
    assert len(set(colours)) == len(colours)
    for colour in colours:
        red, green, blue = to_rgb(colour)
        assert 0.2126 * red**2.2 + 0.7152 * green**2.2 + 0.0722 * blue**2.2 < 0.5
    assert style.model_style("prism_n4").colour == style.model_style("prism").colour
    assert style.model_style("caduceus_signals_2kb").colour == style.MODEL_STYLE[
        "caduceus_signals"].colour  # fmt: skip
    assert style.model_style("odd") == style.model_style("odd")
    architectures = {"architectures": {"mine": "prism"}}
    assert style.model_style("mine", architectures).colour == style.model_style("prism").colour


def _seen_without_green(colour: str) -> np.ndarray:
    """Linear RGB as a reader without green receptors sees it (Machado and others, 2009)."""
    linear = np.array([c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
                       for c in to_rgb(colour)])  # fmt: skip
    seen = np.array([[0.367322, 0.860646, -0.227968],
                     [0.280085, 0.672501, 0.047413],
                     [-0.011820, 0.042940, 0.968881]])  # fmt: skip
    return seen @ linear


def test_models_can_be_told_apart_without_green_receptors() -> None:
    for (a, one), (b, two) in itertools.combinations(style.MODEL_STYLE.items(), 2):
        distance = np.abs(_seen_without_green(one.colour) - _seen_without_green(two.colour)).max()
        assert one.marker != two.marker or distance > 0.08, (a, b)


def test_labels_prefer_the_context() -> None:
    assert labels.model_label("prism_n4") == "Prism, n4"
    assert labels.model_label("caduceus_signals_hic") == "Caduceus w/ signals, Hi-C"
    assert labels.model_label("prism_n4", {"model_labels": {"prism_n4": "Prism (n = 4)"}}) == (
        "Prism (n = 4)"
    )


def test_user_settings_do_not_leak_in(tmp_path: Path) -> None:
    import matplotlib as mpl

    plots.save(draw("main_one_seed"), tmp_path / "a.pdf", tmp_path / "a.png")
    with mpl.rc_context({"font.size": 20, "axes.facecolor": "pink", "pdf.fonttype": 3}):
        plots.save(draw("main_one_seed"), tmp_path / "b.pdf", tmp_path / "b.png")
    assert (tmp_path / "a.pdf").read_bytes() == (tmp_path / "b.pdf").read_bytes()


def test_one_seed_is_said() -> None:
    assert "n = 1 seed, no interval" in all_text(drawn("main_one_seed"))
    assert "Arrowheads" not in all_text(drawn("main_one_seed"))


def test_absent_models_are_said() -> None:
    assert "No result: lstm." in all_text(drawn("main"))
    assert "No result: CNN." in all_text(drawn("signal_removal"))
    assert "Not trained by steps: Gradient boosting." in all_text(drawn("training_curves"))
    assert "Not among the test genes: absent." in all_text(drawn("confounder_weights_one"))


def test_models_that_do_not_vary_over_seeds_are_said() -> None:
    table = metrics(["gbm", "prism"])
    table.loc[table["model"] == "gbm", "value"] = 0.4
    figure = renderers.plot("main").draw({"metrics": table}, {"id": "main"}, CONTEXT)
    assert "Equal for all seeds: Gradient boosting." in all_text(figure)


def test_best_model_comes_first_unless_the_order_is_given() -> None:
    table = metrics(["prism", "gbm", "cnn"])
    for order, expected in (("value", ["Prism", "Gradient boosting", "CNN"]),
                            ("given", ["CNN", "Gradient boosting", "Prism"])):  # fmt: skip
        experiment = {"id": "main", "models": ["cnn", "gbm", "prism"], "order": order}
        figure = renderers.plot("main").draw({"metrics": table}, experiment, CONTEXT)
        assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == expected


def test_a_cell_without_a_model_leaves_a_gap_not_a_crash() -> None:
    table = metrics(["gbm", "prism"])
    table = table[~((table["model"] == "prism") & (table["cell"] == "simB"))]
    figure = renderers.plot("main").draw({"metrics": table}, {"id": "main"}, CONTEXT)
    assert "–" in [text.get_text() for text in texts(figure)]


def test_removal_plots_the_paired_change() -> None:
    figure = drawn("signal_removal")
    expected = metrics(["gbm", "caduceus_signals", "prism"], scenarios=SCENARIOS)
    chosen = expected.query("cell == 'simA' and model == 'gbm' and metric == 'mse'")
    wide = chosen.pivot(index="seed", columns="scenario", values="value")
    change = (wide["without_h3k27ac"] - wide["full"]).mean()
    assert f"{change:+.3f}" in all_text(figure)
    assert "Without Hi-C (permuted)" in all_text(figure)


def test_wide_intervals_are_cut_with_arrowheads() -> None:
    estimates = [
        forest.Estimate(t_interval(pair), pair) for pair in ((0.1, 0.3, 0.5), (0.5, 0.5, 0.51))
    ]
    low, high = forest.limits(estimates)
    assert low > estimates[0].interval.low and low < 0.2 and high > 0.51
    table = metrics(["gbm", "prism"])
    table.loc[(table["seed"] == 1) & (table["model"] == "gbm"), "value"] += 0.3
    figure = renderers.plot("main").draw({"metrics": table}, {"id": "main"}, CONTEXT)
    assert "Arrowheads" in all_text(figure)


def test_two_seeds_are_shown_without_an_interval() -> None:
    wide = t_interval((0.2, 0.3))
    low, high = forest.limits([forest.Estimate(wide, (0.2, 0.3))])
    assert wide.low < -0.3 and 0.15 < low < 0.2 and 0.3 < high < 0.35
    table = metrics(["gbm", "prism"], seeds=(1, 2))
    figure = renderers.plot("main").draw({"metrics": table}, {"id": "main"}, CONTEXT)
    text = all_text(figure).replace("\n", " ")
    assert "two seeds give none" in text and "t-interval" not in text


def test_curves_mark_the_lowest_validation_error() -> None:
    table = histories(["cnn"], cells=("simA",), seeds=(1,))
    figure = renderers.plot("training_curves").draw({"histories": table}, {"id": "t"}, CONTEXT)
    best = table.loc[table["valid_mse"].idxmin()]
    marks = [line.get_xydata()[0] for line in figure.axes[1].lines if len(line.get_xydata()) == 1]
    assert len(marks) == 1 and tuple(marks[0]) == (best["step"], best["valid_mse"])


def test_weights_measures() -> None:
    array = np.zeros((2, 4, 3))
    array[1, :, 0] = 1.0
    assert between_context_distance(array) == pytest.approx([0.0, 2 / 3])
    assert kept_share(array) == pytest.approx([0.0, 1 / 3])
    assert np.isnan(between_context_distance(array[:, :, :1])).all()


def test_spread_keeps_order_and_gap() -> None:
    placed = style.spread([0.5, 0.51, 0.1, 0.99], 0.1, 0, 1)
    assert placed.index(max(placed)) == 3 and placed[0] < placed[1]
    assert min(np.diff(sorted(placed))) >= 0.1 - 1e-6
    assert min(placed) >= 0 and max(placed) <= 1


@pytest.mark.parametrize(
    ("renderer", "data", "experiment", "sentence"),
    [
        ("main", {}, {}, "expected the data 'metrics', found nothing"),
        ("main", {"metrics": metrics(["gbm"])}, {"models": ["prism"]},
         "the models prism, found none (models in the table: gbm)"),
        ("main", {"metrics": metrics(["gbm"]).drop(columns="seed")}, {}, "found no seed"),
        ("main", {"metrics": metrics(["gbm"])}, {"scenario": "crop_500bp"}, "crop_500bp, found"),
        ("input_length", {"metrics": metrics(["gbm"])}, {}, "input length of model gbm"),
        ("signal_contribution", {"metrics": metrics(["gbm"])}, {}, "expected 'subsets'"),
        ("signal_removal", {"metrics": metrics(["gbm"])}, {}, "found the scenarios full"),
        ("training_curves", {"histories": histories(["gbm"])}, {}, "at least two steps"),
        ("observed_vs_predicted", {"predictions": predictions(["gbm"])}, {"seed": 9}, "seed 9"),
        ("confounder_weights", {"context_weights": {}}, {}, "n >= 1"),
        ("confounder_weights",
         {"context_weights": {("simA", "prism", "fold11", 1): (["g"], np.zeros((2, 128, 2)))}}, {},
         "for 1 genes of simA prism fold11 seed 1, found the shape (2, 128, 2)"),
    ],
)  # fmt: skip
def test_nothing_to_draw_is_one_sentence(renderer, data, experiment, sentence) -> None:
    with pytest.raises(InputError, match=re.escape(sentence)):
        renderers.plot(renderer).draw(data, {"id": renderer, **experiment}, CONTEXT)
