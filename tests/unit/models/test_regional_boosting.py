"""Boosting on signals relative to their region."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from make_store import make_store

from prismflow.data.inputs import GeneInputs
from prismflow.data.store import Store
from prismflow.errors import InputError
from prismflow.models.regional_boosting import RegionalBoosting

SIGNALS = ("h3k27ac", "dnase")
FEATURES = ("utr5_length", "dnase_regional")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> GeneInputs:
    store_dir, _ = make_store(tmp_path_factory.mktemp("store"), n_genes=260, features=FEATURES)
    raw = GeneInputs(Store.open(store_dir), SIGNALS, dict.fromkeys(SIGNALS, "raw"), FEATURES, 256)
    return RegionalBoosting.inputs(raw)


@pytest.fixture(scope="module")
def fitted(inputs: GeneInputs) -> tuple[RegionalBoosting, np.ndarray]:
    settings = RegionalBoosting.Settings(**RegionalBoosting.TINY)
    x = RegionalBoosting.design(inputs, np.arange(258), settings)
    y = inputs.labels(np.arange(258))
    model, _ = RegionalBoosting.train((x[:150], y[:150]), (x[150:], y[150:]), settings, 2)
    return model, x


def test_a_model_read_back_predicts_the_same(fitted) -> None:
    model, x = fitted
    again = RegionalBoosting.from_tensors(model.tensors())
    for name, values in model.outputs(x).items():
        np.testing.assert_array_equal(again.outputs(x)[name], values)
    np.testing.assert_array_equal(model.outputs(x)["direct"], model.predict(x))


def test_a_region_that_multiplies_the_background_changes_nothing(fitted) -> None:
    model, x = fitted
    moved = x.copy()
    moved[:, 0] += 1.5
    moved[:, 2:] += model.power * 1.5 * model.cleaned
    np.testing.assert_allclose(model.predict(moved), model.predict(x))
    assert model.cleaned.sum() == x[0, 1]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"modalities": ("h3k27ac",)}, r"name dnase in modalities"),
        ({"gene_features": ("utr5_length",)}, r"set regional_bp of dnase"),
    ],
)
def test_what_is_lacking_is_named(inputs, changes: dict, sentence: str) -> None:
    settings = RegionalBoosting.Settings(**RegionalBoosting.TINY)
    with pytest.raises(InputError, match=sentence):
        RegionalBoosting.design(dataclasses.replace(inputs, **changes), np.arange(5), settings)
