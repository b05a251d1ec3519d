"""Ridge and boosting without pickles and without torch."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from make_store import make_store, settings
from named import TABULAR, class_of, model_class
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import Ridge

from prismflow.data.store import Store
from prismflow.errors import InputError
from prismflow.files import read_tsv
from prismflow.models.tabular import (
    GeneFeatures,
    GeneFeaturesSettings,
    GradientBoosting,
    GradientBoostingSettings,
    load_tabular,
    save_tabular,
    tabular_settings,
)
from prismflow.settings.architectures import hyperparameter_types
from prismflow.training.record import open_inputs


@pytest.fixture
def data():
    rng = np.random.default_rng(5)
    x = rng.normal(size=(150, 7))
    y = x[:, 0] - 0.5 * np.abs(x[:, 1]) + 0.1 * rng.normal(size=150)
    return x, y


def test_ridge_equals_scikit_learn(data):
    x, y = data
    model = GeneFeatures.fit(x, y, alpha=0.3)
    z = (x - x.mean(0)) / x.std(0)
    reference = Ridge(alpha=0.3 * len(y)).fit(z, y)
    np.testing.assert_allclose(model.predict(x), reference.predict(z), rtol=1e-9)


def test_ridge_without_features_predicts_the_training_mean(data):
    y = data[1]
    empty = np.empty((len(y), 0))
    model, history = GeneFeatures.train((empty, y), (empty, y), GeneFeaturesSettings(), seed=2)
    np.testing.assert_allclose(model.predict(empty), y.mean())
    assert len(history) == 1


def test_ridge_passes_over_a_constant_feature(data):
    x, y = data
    with_constant = np.column_stack([x, np.full(len(y), 3.0)])
    expected = GeneFeatures.fit(x, y, 0.1).predict(x)
    np.testing.assert_allclose(GeneFeatures.fit(with_constant, y, 0.1).predict(with_constant),
                               expected, rtol=1e-9)  # fmt: skip


def test_ridge_keeps_the_penalty_with_the_lowest_validation_error(data):
    x, y = data
    chosen = GeneFeaturesSettings()
    model, history = GeneFeatures.train((x[:100], y[:100]), (x[100:], y[100:]), chosen, seed=2)
    errors = [row["valid_mse"] for row in history]
    assert np.mean((model.predict(x[100:]) - y[100:]) ** 2) == pytest.approx(min(errors))


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("n_trees", [1, 30])
def test_exported_trees_predict_like_scikit_learn(data, missing, n_trees):
    x, y = data
    if missing:
        x = np.where(np.random.default_rng(0).random(x.shape) < 0.2, np.nan, x)
    estimator = HistGradientBoostingRegressor(max_iter=30, early_stopping=False, random_state=1)
    estimator.fit(x, y)
    model = GradientBoosting.from_estimator(estimator, n_trees)
    fresh = np.random.default_rng(9).normal(size=(200, x.shape[1]))
    fresh[::7, 0] = np.nan
    expected = list(estimator.staged_predict(fresh))[n_trees - 1]
    np.testing.assert_allclose(model.predict(fresh), expected, rtol=1e-12)


def test_boosting_seeds_differ_and_repeat(data):
    x, y = data

    def predict(seed):
        chosen = GradientBoostingSettings(max_iter=20)
        model, _ = GradientBoosting.train((x[:100], y[:100]), (x[100:], y[100:]), chosen, seed)
        return model.predict(x)

    assert np.array_equal(predict(2), predict(2))
    assert not np.array_equal(predict(2), predict(22))


def test_boosting_keeps_the_best_number_of_trees(data):
    x, y = data
    chosen = GradientBoostingSettings(max_iter=40, learning_rate=0.5)
    model, history = GradientBoosting.train((x[:100], y[:100]), (x[100:], y[100:]), chosen, 2)
    best = min(history, key=lambda row: row["valid_mse"])
    assert len(model.offsets) - 1 == best["step"] < 40
    error = np.mean((model.predict(x[100:]) - y[100:]) ** 2)
    assert error == pytest.approx(best["valid_mse"], rel=1e-9)


def test_design_of_boosting_is_bins_and_means_of_log_signals(tmp_path):
    store = Store.open(make_store(tmp_path)[0])
    inputs = GradientBoosting.inputs(open_inputs(store, settings("gbm")))
    rows = np.array([4, 2])
    x = GradientBoosting.design(inputs, rows, GradientBoostingSettings(bin_bp=50))
    # 3 gene features, then for each of 3 modalities bins of 50, 50 and 28 bp and the mean
    assert x.shape == (2, 3 + 3 * 4)
    np.testing.assert_array_equal(x[:, :3], store.gene_features[rows])
    signal = np.log1p(store.signal("h3k27ac", rows, 128))
    np.testing.assert_allclose(x[:, 3], signal[:, :50].mean(1), rtol=1e-5)
    np.testing.assert_allclose(x[:, 5], signal[:, 100:].mean(1), rtol=1e-5)
    np.testing.assert_allclose(x[:, 6], signal.mean(1), rtol=1e-5)
    contacts = np.log10(store.signal("hic", rows, 128) + 1)
    np.testing.assert_allclose(x[:, 14], contacts.mean(1), rtol=1e-5)


@pytest.mark.parametrize("architecture", sorted(TABULAR))
def test_saved_models_predict_the_same(data, tmp_path, architecture):
    x, y = data
    cls = model_class(architecture)
    model, _ = cls.train((x, y), (x, y), cls.Settings(**cls.TINY), 2)
    save_tabular(model, tmp_path / "model.safetensors")
    loaded = load_tabular(cls, tmp_path / "model.safetensors")
    assert np.array_equal(loaded.predict(x), model.predict(x))
    assert loaded.n_parameters == model.n_parameters > 1


def test_unfit_files_are_refused(data, tmp_path):
    path = tmp_path / "model.safetensors"
    with pytest.raises(InputError, match="no such file"):
        load_tabular(GradientBoosting, path)
    path.write_bytes(b"not tensors")
    with pytest.raises(InputError, match="expected a safetensors file"):
        load_tabular(GradientBoosting, path)
    save_tabular(GeneFeatures.fit(*data, 0.1), path)
    with pytest.raises(InputError, match="arrays of a gbm model"):
        load_tabular(GradientBoosting, path)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"trees": 3}, "unknown key trees; known are bin_bp, max_iter"),
        ({"bin_bp": 0}, "whole number above 0 for bin_bp, found 0"),
        ({"max_iter": 2.5}, "whole number above 0 for max_iter, found 2.5"),
        ({"learning_rate": "1e-2"}, "number above 0 for learning_rate, found '1e-2'"),
        ({"l2_regularization": -1.0}, "at least 0 for l2_regularization"),
        ({"max_iter": True}, "found True"),
    ],
)
def test_wrong_hyperparameters_are_refused(values, sentence):
    with pytest.raises(InputError, match=sentence):
        tabular_settings({"class": class_of("gbm"), "hyperparameters": values})


def test_planning_reads_the_hyperparameters_from_the_source():
    assert set(hyperparameter_types("gbm")) == set(GradientBoostingSettings.__dataclass_fields__)


def test_tabular_jobs_do_not_import_torch(tmp_path):
    store, splits = make_store(tmp_path)
    code = f"""
import sys
sys.path.insert(0, {str(tmp_path.parent)!r})
from prismflow.training.run import train_run
from prismflow.evaluation.scenarios import evaluate_run
import json
for name in ("gene_features", "kmer_ridge", "gbm"):
    out = {str(tmp_path)!r} + "/" + name + "/"
    settings = json.loads({_json_settings()!r})[name]
    train_run({str(store)!r}, {str(splits)!r}, "fold11", 2, settings, out + "model.safetensors",
              out + "model.json", out + "history.tsv", threads=1)
    evaluate_run({str(store)!r}, {str(splits)!r}, out + "model.safetensors", out + "model.json",
                 {{"full": {{}}}}, out + "predictions.tsv.gz", out + "metrics.tsv",
                 out + "extras.safetensors")
assert "torch" not in sys.modules, "torch was imported"
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
    metrics = {
        name: read_tsv(tmp_path / name / "metrics.tsv").set_index("metric")["value"]
        for name in ("gene_features", "gbm")
    }
    assert metrics["gbm"]["mse"] < metrics["gene_features"]["mse"]


def _json_settings() -> str:
    import json

    ridge = settings("gene_features", modalities=[])
    words = settings("kmer_ridge", modalities=[])
    return json.dumps({"gene_features": ridge, "kmer_ridge": words, "gbm": settings("gbm")})
