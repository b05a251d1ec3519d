"""The figure of attributions: bases at the places that matter, whatever the model reads."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from plot_cases import check_whole

from prismflow.figures.plots import attributions
from prismflow.figures.plots.attributions import PLACE_BP, highest_places

CONTEXT = {"simulated": True, "modality_labels": {}, "cells": ["K562"]}


def explained(outputs: tuple[str, ...], signals: tuple[str, ...], substituted: bool) -> dict:
    """What a run's attributions hold, for three genes and windows of 400 bp."""
    rng = np.random.default_rng(0)
    shape = (3, 400)
    arrays = {
        "window.codes": rng.integers(0, 5, shape).astype(np.uint8),
        "window.signals": rng.gamma(1, 5, (*shape, len(signals))).astype(np.float32),
    }
    genes = pd.DataFrame(
        {"gene_id": ["ENSG00000000001", "g2", "g3"], "chrom": "chr22", "tss": 50_123_456,
         "strand": ["+", "-", "+"], "observed": [3.0, 2.0, 0.0]}
    )  # fmt: skip
    for output in outputs:
        genes[f"{output}_prediction"] = [1.5, 3.0, 0.5]
        arrays[f"{output}.sequence"] = rng.normal(0, 1e-3, (*shape, 4)).astype(np.float32)
        arrays[f"{output}.signals"] = rng.normal(0, 0.1, (*shape, len(signals)))
        if substituted:
            arrays[f"{output}.substitutions"] = rng.normal(0, 1e-3, (*shape, 4))
    totals = pd.DataFrame(
        [(output, name) for output in outputs for name in ("sequence", *signals)],
        columns=["output", "input"],
    )
    return {"genes": genes, "totals": totals, "arrays": arrays}


@pytest.mark.parametrize(
    ("outputs", "signals", "substituted", "n_genes"),
    [
        (("direct", "backdoor"), ("h3k27ac", "dnase", "hic"), True, 2),
        (("prediction",), (), True, 1),
        (("prediction",), ("dnase",), False, 3),
    ],
)
def test_the_figure_is_whole(outputs, signals, substituted, n_genes) -> None:
    shown = {"model": "prism", "cell": "K562", "run": "fold11_seed2", "figure_genes": n_genes}
    figure = attributions.draw(explained(outputs, signals, substituted), shown, CONTEXT)
    check_whole(figure)
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    named = [title for title in titles if title]
    assert len(named) == n_genes
    assert named[0].startswith("g2")  # predicted highest
    letters = [patch for axes in figure.axes for patch in axes.patches]
    assert len(letters) > 10


def test_highest_places_are_apart_and_in_order() -> None:
    importance = np.zeros(200)
    importance[[20, 60, 62, 150]] = [1.0, -5.0, 4.0, 2.0]
    places = highest_places(importance)
    assert len(places) == 3
    assert (np.diff(places) >= PLACE_BP).all()
    for base in (20, 62, 150):
        assert any(place <= base < place + PLACE_BP for place in places)


@pytest.mark.parametrize("effects", [np.nan, 5e-7])
def test_a_window_whose_bases_are_unknown_or_do_nothing_has_no_letters(effects) -> None:
    data = explained(("prediction",), ("dnase",), True)
    data["arrays"]["prediction.substitutions"][:] = effects
    shown = {"model": "cnn", "cell": "K562", "run": "fold11_seed2", "figure_genes": 1}
    figure = attributions.draw(data, shown, CONTEXT)
    check_whole(figure)
    texts = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert any("no base of this window has" in text for text in texts)
