"""Prism on signals relative to their region: what may reach it and what may not."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from make_store import make_store
from named import build
from test_networks import make_batch

from prismflow.data.inputs import GeneInputs
from prismflow.data.store import Store
from prismflow.errors import InputError
from prismflow.models.common import InputSpec
from prismflow.models.prism_regional import PrismRegional

SIGNALS = ("h3k27ac", "dnase")


def network(signals: tuple[str, ...] = SIGNALS, features: int = 3, **changes) -> PrismRegional:
    torch.manual_seed(0)
    spec = InputSpec(signals, features, 128)
    return build("prism_regional", {**PrismRegional.TINY, **changes}, {}, spec).eval()


def test_a_region_that_multiplies_the_background_changes_nothing() -> None:
    model, batch = network(), make_batch(4, 128, 2, 3)
    model.regional[:2] = torch.tensor([0.6, 0.2])
    shift = torch.tensor([0.5, -1.0, 2.0, 0.0])
    features, signals = batch.gene_features.clone(), batch.signals.clone()
    features[:, -1] += shift
    signals[:, :, 1] *= torch.exp(0.6 * shift).unsqueeze(1)
    moved = dataclasses.replace(batch, signals=signals, gene_features=features)
    with torch.no_grad():
        torch.testing.assert_close(model(moved).prediction, model(batch).prediction)
        unlike = dataclasses.replace(batch, signals=signals)
        assert (model(unlike).prediction - model(batch).prediction).abs().max() > 1e-4
        torch.testing.assert_close(model.reported_prediction(moved), model(batch).prediction)


def test_preparing_and_concluding_keep_four_numbers_with_the_weights(tmp_path) -> None:
    store_dir, _ = make_store(tmp_path, n_genes=120, features=("utr5_length", "dnase_regional"))
    store = Store.open(store_dir)
    inputs = GeneInputs(
        store, SIGNALS, dict.fromkeys(SIGNALS, "raw"), ("utr5_length", "dnase_regional"), 128
    )
    model, rows = network(features=2), np.arange(110)
    model.prepare(inputs, rows)
    level = inputs.features(rows)[:, -1]
    assert model.regional[1].item() == pytest.approx(level.mean(), abs=1e-6)
    assert model.regional[0].item() != 0
    model.conclude(inputs.labels(rows) * 0.5, inputs, rows)
    assert model.regional[2].item() == pytest.approx(2.0, rel=1e-3)
    assert "regional" in model.state_dict()
    with pytest.raises(InputError, match="expected the transform raw for dnase"):
        model.prepare(dataclasses.replace(inputs, transforms=dict.fromkeys(SIGNALS, "log1p")), rows)


def test_a_model_without_its_signals_is_refused() -> None:
    with pytest.raises(InputError, match=r"expected the signals h3k27ac \(anchor\) and dnase"):
        network(("h3k27ac",))
    with pytest.raises(InputError, match="regional level as last gene feature"):
        network(features=0)


def test_unknown_removals_are_refused() -> None:
    with pytest.raises(InputError, match="two_stage, residual, unit, none"):
        network(removal="guess")
