"""Cases for every renderer, and what is asked of every figure."""

from __future__ import annotations

import functools
import itertools
from typing import Any

import numpy as np
import pandas as pd
import renderers
from matplotlib.figure import Figure
from matplotlib.text import Text

from prismflow.figures.plots import style
from prismflow.statistics.seeds import METRIC_COLUMNS

ALL_MODELS = list(style.MODEL_STYLE)
SCENARIOS = ("full", "without_h3k27ac", "without_dnase", "without_hic_permute")
CONTEXT: dict[str, Any] = {
    "dataset": "demo",
    "simulated": True,
    "target_label": "log10(CAGE + 1)",
    "cells": ["simA", "simB"],
    "model_labels": {},
}
LENGTHS = {
    f"{base}{suffix}": length
    for base in ("caduceus", "caduceus_signals", "prism")
    for suffix, length in (("_500bp", 500), ("", 2000), ("_50kb", 50_000))
}
LONG_TARGET = {"target_label": "log10(TSS-seq in TSS ± 192 bp + 1)"}
SUBSETS = {
    "caduceus": [],
    "caduceus_signals_h3k27ac": ["h3k27ac"],
    "caduceus_signals_dnase": ["dnase"],
    "caduceus_signals": ["h3k27ac", "dnase", "hic"],
    "prism": ["h3k27ac", "dnase", "hic"],
}


def metrics(models, cells=("simA", "simB"), seeds=(1, 2, 3), scenarios=("full",)) -> pd.DataFrame:
    generator = np.random.default_rng(0)
    rows = []
    keys = itertools.product(enumerate(cells), enumerate(models), seeds, enumerate(scenarios))
    for (c, cell), (m, model), seed, (s, scenario) in keys:
        mse = 0.25 + 0.03 * m + 0.05 * c + 0.1 * s + generator.normal(0, 0.01)
        r = float(np.sqrt(max(0.01, 1 - mse)))
        for name, value in {
            "mse": mse,
            "mae": mse**0.5,
            "pearson": r,
            "spearman": r - 0.02,
        }.items():
            rows.append(("demo", cell, model, "fold11", seed, scenario, name, value, 1167 - c))
    return pd.DataFrame(rows, columns=list(METRIC_COLUMNS))


def histories(models, cells=("simA", "simB"), seeds=(1, 2)) -> pd.DataFrame:
    generator = np.random.default_rng(1)
    rows = []
    for cell, model, seed in itertools.product(cells, models, seeds):
        steps = [0] if model == "gbm" else range(100, 1100, 100)
        for step in steps:
            loss, valid = np.exp(-step / 300) + generator.uniform(0.2, 0.3, 2)
            rows.append(("demo", cell, model, "fold11", seed, step, loss, valid))
    names = ["dataset", "cell", "model", "fold", "seed", "step", "train_loss", "valid_mse"]
    return pd.DataFrame(rows, columns=names)


def predictions(models, cells=("simA", "simB"), seeds=(1, 2), n=60) -> pd.DataFrame:
    generator = np.random.default_rng(2)
    observed = np.clip(generator.normal(1, 1, n), 0, None)
    parts = []
    for cell, model, seed in itertools.product(cells, models, seeds):
        part = {"dataset": "demo", "cell": cell, "model": model, "fold": "fold11", "seed": seed,
                "scenario": "full", "gene_id": [f"g{i}" for i in range(n)], "observed": observed,
                "predicted": 0.7 * observed + generator.normal(0, 0.4, n)}  # fmt: skip
        parts.append(pd.DataFrame(part))
    return pd.concat(parts)


def weights(contexts: dict[str, int], cells=("simA", "simB"), seeds=(1, 2), n=40) -> dict:
    generator = np.random.default_rng(3)
    genes = [f"ENSG{i:011d}" for i in range(n)]
    return {
        (cell, model, "fold11", seed): (genes, generator.random((n, 128, k)).astype("float32"))
        for cell, (model, k), seed in itertools.product(cells, contexts.items(), seeds)
    }


def gene_signals(cells=("simA", "simB"), n=40) -> pd.DataFrame:
    generator = np.random.default_rng(4)
    genes = [f"ENSG{i:011d}" for i in range(n)]
    parts = [
        pd.DataFrame({"cell": cell, "gene_id": genes, "h3k27ac": generator.random(n),
                      "dnase": generator.random(n), "hic": np.ones(n),
                      "promoter_activity": generator.random(n)})
        for cell in cells
    ]  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def cases() -> dict[str, tuple[str, dict, dict, dict]]:
    """Name -> renderer, data, experiment, changes to the context."""
    long = {"gbm": "A very long name of a gradient boosting model with nine features and logs"}
    one = {"cells": ("simA",), "seeds": (1,)}
    removal = ["gbm", "caduceus_signals", "prism"]
    return {
        "main": ("main", {"metrics": metrics(ALL_MODELS)}, {"models": [*ALL_MODELS, "lstm"]}, {}),
        "main_one_seed": ("main", {"metrics": metrics(["gbm", "prism", "odd_model"], **one)},
                          {"metrics": ["mse", "pearson", "spearman"]},
                          {"model_labels": long, "simulated": False}),
        "main_three_cells": ("main", {"metrics": metrics(["gbm", "prism"], ("a", "b", "c"))}, {},
                             {}),
        "main_long_target": ("main", {"metrics": metrics(["gbm", "prism"])}, {}, LONG_TARGET),
        "input_length_long_target": (
            "input_length", {"metrics": metrics(["prism_500bp", "prism"])}, {},
            {"model_lengths": LENGTHS, **LONG_TARGET}),
        "observed_vs_predicted_long_target": (
            "observed_vs_predicted", {"predictions": predictions(ALL_MODELS[:5])},
            {"bootstrap_resamples": 20}, LONG_TARGET),
        "input_length": ("input_length", {"metrics": metrics(LENGTHS)}, {"models": list(LENGTHS)},
                         {"model_lengths": LENGTHS}),
        "input_length_one": (
            "input_length",
            {"metrics": metrics(["prism_500bp", "prism", "caduceus"], **one),
             "families": {"Prism of a family with a long name": ["prism_500bp", "prism"],
                          "caduceus": ["caduceus"]}},
            {}, {"model_lengths": LENGTHS}),
        "signal_contribution": ("signal_contribution", {"metrics": metrics(SUBSETS)},
                                {"subsets": SUBSETS}, {}),
        "signal_contribution_one": ("signal_contribution", {"metrics": metrics(["prism"], **one)},
                                    {"subsets": SUBSETS}, {}),
        "signal_removal": ("signal_removal", {"metrics": metrics(removal, scenarios=SCENARIOS)},
                           {"models": [*removal, "cnn"]}, {}),
        "signal_removal_one": (
            "signal_removal", {"metrics": metrics(["gbm"], scenarios=SCENARIOS, **one)},
            {"scenarios": {"full": {}, "without_dnase": {"remove": ["dnase"], "how": "mean"}}}, {}),
        "training_curves": ("training_curves", {"histories": histories(ALL_MODELS)},
                            {"models": ALL_MODELS}, {}),
        "training_curves_one": ("training_curves", {"histories": histories(["cnn"], **one)}, {},
                                {}),
        "observed_vs_predicted": ("observed_vs_predicted", {"predictions": predictions(ALL_MODELS)},
                                  {"models": ALL_MODELS, "bootstrap_resamples": 50}, {}),
        "observed_vs_predicted_hexbin": (
            "observed_vs_predicted", {"predictions": predictions(["gbm"], n=3200, **one)},
            {"bootstrap_resamples": 20}, {"model_labels": long}),
        "confounder_weights": (
            "confounder_weights",
            {"context_weights": weights({"prism_n1": 1, "prism": 2, "prism_n4": 4}),
             "gene_signals": gene_signals()}, {}, {}),
        "confounder_weights_one": (
            "confounder_weights",
            {"context_weights": weights({"prism_n1": 1}, **one), "gene_signals": gene_signals()},
            {"genes": ["ENSG00000000003", "absent"]}, {"simulated": False}),
    }  # fmt: skip


CASES = cases()


@functools.cache
def drawn(name: str) -> Figure:
    """A case's figure, drawn once for the tests that only read it."""
    return draw(name)


def draw(name: str) -> Figure:
    renderer, data, experiment, changes = CASES[name]
    return renderers.plot(renderer).draw(data, {"id": renderer, **experiment}, CONTEXT | changes)


def texts(figure: Figure) -> list[Text]:
    found = figure.findobj(lambda artist: isinstance(artist, Text) and artist.get_visible())
    return [text for text in found if text.get_text().strip()]


def all_text(figure: Figure) -> str:
    return " ".join(text.get_text() for text in texts(figure))


def drawn_texts(figure: Figure) -> list[Text]:
    """Texts that reach the page: a tick label outside the axis limits is made but not drawn."""
    hidden = set()
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            margin = 1e-6 * (high - low)
            shown = axes.get_visible()
            for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
                if not shown or not low - margin <= tick.get_loc() <= high + margin:
                    hidden |= {id(tick.label1), id(tick.label2)}
    return [text for text in texts(figure) if id(text) not in hidden]


def check_whole(figure: Figure) -> None:
    """Every text lies inside the page, is large enough and does not overlap another."""
    style.arrange(figure)
    width = figure.get_size_inches()[0]
    assert width in (style.COLUMN_WIDTH, style.FULL_WIDTH)
    page = figure.bbox
    upright, edges = [], []
    for text in drawn_texts(figure):
        assert text.get_fontsize() >= 6.5
        box = text.get_window_extent()
        inside = box.x0 >= -1 and box.y0 >= -1 and box.x1 <= page.x1 + 1 and box.y1 <= page.y1 + 1
        assert inside, f"{text.get_text()!r} is cut off at the edge of the figure"
        if not text.get_rotation() % 90:
            upright.append(text.get_text())
            # Of the letters: an annotation's own extent holds its leader line as well.
            edges.append(Text.get_window_extent(text).extents)
    left, low, right, high = np.array(edges).reshape(-1, 4).T
    for one in range(len(upright)):
        others = slice(one + 1, None)
        across = np.minimum(right[one], right[others]) - np.maximum(left[one], left[others])
        up = np.minimum(high[one], high[others]) - np.maximum(low[one], low[others])
        met = np.flatnonzero((across > 4) & (up > 6))
        two = upright[one + 1 + met[0]] if met.size else ""
        assert not met.size, f"{upright[one]!r} overlaps {two!r}"
