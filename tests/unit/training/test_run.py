"""The training loop and the files of a run."""

from __future__ import annotations

import json
import logging
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from make_store import make_store, settings
from torch import nn

from prismflow import files
from prismflow.data.store import Store
from prismflow.errors import InputError
from prismflow.files import read_tsv
from prismflow.models.common import ModelOutput
from prismflow.settings.training import TrainingSettings
from prismflow.training import loop
from prismflow.training.batches import Batch, GeneBatches
from prismflow.training.inference import build_model, load_weights, predict, save_weights
from prismflow.training.loop import accumulate_gradients, start_state, validation_is_due
from prismflow.training.optimiser import schedule_of
from prismflow.training.record import Split, open_inputs
from prismflow.training.run import train_run

OUTPUTS = ("model.safetensors", "model.json", "history.tsv")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_store(tmp_path_factory.mktemp("training"))


def train(data, folder, architecture="cnn", seed=2, **changes):
    chosen = settings(architecture, **changes)
    paths = [folder / name for name in OUTPUTS]
    train_run(*data, "fold11", seed, chosen, *paths, device="cpu")
    return paths


def batches_of(data, role, chosen=None):
    store = Store.open(data[0])
    inputs = open_inputs(store, chosen or settings())
    return GeneBatches(inputs, Split.read(data[1], "fold11", store).rows[role])


@pytest.mark.parametrize("architecture", ["cnn", "prism"])
def test_same_seed_same_bytes_other_seed_other_weights(data, tmp_path, architecture):
    first = train(data, tmp_path / "a", architecture)
    again = train(data, tmp_path / "b", architecture)
    other = train(data, tmp_path / "c", architecture, seed=22)
    for path, same in zip(first, again, strict=True):
        assert path.read_bytes() == same.read_bytes(), path.name
    assert first[0].read_bytes() != other[0].read_bytes()


def test_training_learns_and_keeps_the_best_state(data, tmp_path):
    weights, description, history_path = train(data, tmp_path, training={"steps": 120})
    history = read_tsv(history_path)
    record = json.loads(description.read_text())
    best = history["valid_mse"].idxmin()
    assert record["best"]["step"] == history.loc[best, "step"]
    assert record["best"]["valid_mse"] == pytest.approx(history.loc[best, "valid_mse"], rel=1e-8)
    assert history["valid_mse"].min() < 0.5 * history["valid_mse"].iloc[0]
    model = build_model(settings())
    load_weights(model, weights)
    valid = batches_of(data, "valid")
    predicted, _ = predict(model, valid, 16)
    error = np.mean((predicted - valid.inputs.labels(valid.rows)) ** 2)
    assert error == pytest.approx(record["best"]["valid_mse"], rel=1e-5)


def test_files_of_a_run(data, tmp_path):
    _, description, history_path = train(data, tmp_path, "prism")
    history = read_tsv(history_path)
    assert list(history.columns) == [
        "step", "epoch", "learning_rate", "train_loss", "train_prediction", "train_intervention",
        "train_uniform", "valid_mse", "valid_pearson",
    ]  # fmt: skip
    # 35 training genes, batches of 8: 5 steps per epoch, validated after 2 and 4 of each
    assert history["step"].tolist() == [2, 4, 7, 9, 12]
    assert history["epoch"].tolist() == pytest.approx([0.4, 0.8, 1.4, 1.8, 2.4])
    terms = history[["train_prediction", "train_intervention", "train_uniform"]].sum(axis=1)
    np.testing.assert_allclose(terms, history["train_loss"], rtol=1e-5)
    record = json.loads(description.read_text())
    assert record["settings"] == settings("prism")
    assert record["store"]["cell"] == "cellA" and record["fold"] == "fold11"
    assert record["store"]["modalities"]["hic"] == {
        "kind": "contacts", "normalisation": "VC", "resolution_bp": 5000
    }  # fmt: skip
    assert record["split"]["n_train"] == 35 and record["seed"] == 2
    assert record["n_parameters"] > 0 and record["device"] == "cpu"
    assert not [path for path in tmp_path.iterdir() if path.name not in OUTPUTS]


@pytest.mark.parametrize("reported", ["direct", "backdoor"])
def test_the_short_way_to_the_reported_prediction_gives_the_same(data, reported):
    chosen = settings("prism")
    chosen["hyperparameters"]["reported"] = reported
    torch.manual_seed(2)
    model, valid = build_model(chosen), batches_of(data, "valid")
    short, nothing = predict(model, valid, 16)
    whole, extras = predict(model, valid, 16, keep_extras=True)
    np.testing.assert_allclose(short, whole, rtol=1e-5)
    assert nothing == {} and np.array_equal(whole, extras[reported])


@pytest.mark.parametrize(
    ("per_epoch", "due"),
    [(2, [2, 4, 7, 9, 12]), (1, [5, 10, 12]), (5, list(range(1, 13))), (0.5, [10, 12])],
)
def test_when_validation_is_due(per_epoch, due):
    chosen = TrainingSettings(
        steps=12, batch_size=8, warmup_steps=0, validations_per_epoch=per_epoch
    )
    assert [s + 1 for s in range(12) if validation_is_due(s, 36, chosen)] == due


def test_validation_of_the_released_protocol():
    chosen = TrainingSettings()
    due = [s + 1 for s in range(2_100) if validation_is_due(s, 16_021, chosen)]
    assert due == [1001, 2002]


class Linear(nn.Module):
    """Expression from gene features, without batch normalisation."""

    cast_at_once = ()

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 1)

    def forward(self, batch: Batch) -> ModelOutput:
        return ModelOutput(self.layer(batch.gene_features).squeeze(-1))

    def losses(self, output: ModelOutput, target: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"prediction": ((output.prediction - target) ** 2).mean()}


def test_accumulated_gradients_equal_those_of_one_large_batch(data):
    source = batches_of(data, "train")
    model, gradients, losses = Linear(), [], []
    for parts in ([range(20)], [range(8), range(8, 16), range(16, 20)]):
        model.zero_grad()
        terms = accumulate_gradients(model, [source.batch(list(part)) for part in parts])
        gradients.append(model.layer.weight.grad.clone())
        losses.append(float(terms["loss"]))
    torch.testing.assert_close(*gradients)
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)


def test_accumulation_uses_as_many_batches_per_step(data, tmp_path):
    history = read_tsv(train(data, tmp_path, training={"steps": 6, "accumulate_batches": 2})[2])
    assert history["epoch"].iloc[-1] == pytest.approx(6 * 2 / 5)


def test_bf16_and_checkpointing_train(data, tmp_path):
    changes = {"steps": 3, "precision": "bf16", "checkpoint_activations": True}
    assert len(read_tsv(train(data, tmp_path, "prism", training=changes)[2]))


def test_checkpointing_changes_nothing_but_memory(data, tmp_path):
    plain = train(data, tmp_path / "a", "prism", training={"steps": 3})
    saved = train(data, tmp_path / "b", "prism",
                  training={"steps": 3, "checkpoint_activations": True})  # fmt: skip
    assert plain[0].read_bytes() == saved[0].read_bytes()


def test_streaming_changes_nothing(data, tmp_path, monkeypatch):
    plain = train(data, tmp_path / "a")
    monkeypatch.setattr("prismflow.training.batches.RESIDENT_BYTES", 0)
    monkeypatch.setattr(GeneBatches.__init__, "__defaults__", ("cpu", 0))
    streamed = train(data, tmp_path / "b")
    assert [p.read_bytes() for p in plain] == [p.read_bytes() for p in streamed]


def test_a_state_can_be_continued(data, monkeypatch):
    chosen = TrainingSettings(**settings()["training"])
    sources = batches_of(data, "train"), batches_of(data, "valid")

    def fresh():
        torch.manual_seed(2)
        return start_state(build_model(settings()), chosen)

    whole = loop.train_model(fresh(), *sources, chosen, 2, "whole")
    part = fresh()
    # Stopping after a validation leaves nothing half counted.
    stopped = TrainingSettings(**{**settings()["training"], "steps": 7})
    with monkeypatch.context() as patched:
        patched.setattr(loop, "schedule_of", lambda _: schedule_of(chosen))
        loop.train_model(part, *sources, stopped, 2, "first part")
    loop.train_model(part, *sources, chosen, 2, "second part")
    assert part.step == whole.step == 12 and part.history == whole.history
    for name, value in whole.best.items():
        assert torch.equal(value, part.best[name]), name


def test_divergence_stops_with_step_rate_and_genes(tmp_path):
    data = make_store(tmp_path, n_genes=40)
    signal = np.load(data[0] / "h3k27ac.npy")
    signal[11] = np.inf
    np.save(data[0] / "h3k27ac.npy", signal)
    with pytest.raises(InputError, match=r"stopped at step \d+: .*learning rate .*gene011"):
        train(data, tmp_path / "out", "prism")
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


def test_progress_and_device_are_logged(data, tmp_path, caplog):
    with caplog.at_level(logging.INFO, logger="prismflow"):
        train(data, tmp_path)
    assert caplog.text.count("device cpu (asked for)") == 1
    assert "% of the time waiting for data" in caplog.text


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"training": {"step": 3}}, "unknown key 'step': expected only .*mean 'steps'"),
        ({"training": {"steps": 0}}, "steps: expected a number of at least 1, found 0"),
        (
            {"training": {"precision": "fp16"}},
            "precision: expected one of fp32, bf16, found 'fp16'",
        ),
        ({"training": {"warmup_steps": 12}}, "warmup_steps 12.* steps 12"),
        ({"modalities": ["h3k4me3"]}, "needs the modality 'h3k4me3'.*h3k27ac, dnase, hic"),
        ({"gene_features": ["gc"]}, "gene features gc.*utr5_length, cds_gc, promoter_activity"),
        ({"window_bp": 512}, "512 bp.* 256 bp"),
        ({"hyperparameters": {"depth": 3}}, "unknown key depth"),
    ],
)
def test_wrong_settings_are_refused(data, tmp_path, changes, sentence):
    chosen = settings("cnn", **changes)
    with pytest.raises(InputError, match=sentence):
        train_run(*data, "fold11", 2, chosen, *(tmp_path / name for name in OUTPUTS), device="cpu")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("prismflow.models.lstm:LSTM", "expected module:Class.*'prismflow.models.lstm:LSTM'"),
        ("prismflow.models.cnn:LSTM", "found 'prismflow.models.cnn:LSTM', which is not there"),
        ("os:abort", "expected module:Class of prismflow.models, found 'os:abort'"),
        (None, "'cnn_tiny': expected the key class.*from an older version"),
    ],
)
def test_a_class_that_is_not_there_is_refused(data, tmp_path, name, sentence):
    chosen = {**settings(), "class": name}
    with pytest.raises(InputError, match=sentence):
        train_run(*data, "fold11", 2, chosen, *(tmp_path / name for name in OUTPUTS), device="cpu")


def test_checkpointing_is_no_error_where_there_is_nothing_to_recompute(data, tmp_path, caplog):
    with caplog.at_level(logging.INFO, logger="prismflow"):
        train(
            data, tmp_path, training={"steps": 2, "warmup_steps": 0, "checkpoint_activations": True}
        )
    assert "keeps its activations" in caplog.text


def test_wrong_splits_are_refused(tmp_path):
    store, splits = make_store(tmp_path)
    text = splits.read_text()

    def attempt(changed, sentence, fold="fold11"):
        splits.write_text(changed)
        with pytest.raises(InputError, match=sentence):
            Split.read(splits, fold, Store.open(store))

    attempt(text, "columns gene_id and fold3; it has the folds: fold11", fold="fold3")
    attempt(text.replace("valid", "none"), "fold11 has no valid genes")
    attempt(text.replace("gene005", "gene777"), "same genes in the same order")
    attempt(text.replace("test", "Test", 1), "line 5: .*found 'Test'")


def test_labels_that_are_not_numbers_are_refused(tmp_path):
    store, splits = make_store(tmp_path)
    labels = np.load(store / "labels.npy")
    labels[0] = np.nan
    np.save(store / "labels.npy", labels)
    with pytest.raises(
        InputError, match="finite label for every train gene, found nan for gene000"
    ):
        train((store, splits), tmp_path / "out")


@pytest.mark.parametrize("seed", [-1, 2.0, True])
def test_seeds_are_whole_numbers(data, tmp_path, seed):
    with pytest.raises(InputError, match="whole number of at least 0"):
        train(data, tmp_path, seed=seed)


def test_weights_must_fit(tmp_path):
    model = build_model(settings())
    path = tmp_path / "model.safetensors"
    save_weights(model.state_dict(), path)
    wider = build_model(settings(modalities=["dnase"]))
    with pytest.raises(InputError, match=r"do not fit the model.*of shape"):
        load_weights(wider, path)
    with pytest.raises(InputError, match=r"missing .*unexpected"):
        load_weights(Linear(), path)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(InputError, match="expected a safetensors file"):
        load_weights(model, path)
    with pytest.raises(InputError, match="no such file"):
        load_weights(model, tmp_path / "absent.safetensors")


def test_weights_are_written_whole_or_not_at_all(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(files.os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        save_weights({"a": torch.zeros(2)}, tmp_path / "model.safetensors")
    assert not list(tmp_path.iterdir())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_training_on_cuda(data, tmp_path):
    chosen = settings("prism")
    train_run(*data, "fold11", 2, chosen, *(tmp_path / name for name in OUTPUTS), device="cuda")
    assert "cuda" in json.loads((tmp_path / "model.json").read_text())["device"]


@pytest.mark.parametrize(
    ("changes", "resident", "reason"),
    [({"accumulate_batches": 2}, True, "it is taken in 2 passes"),
     ({"checkpoint_activations": True}, True, "it recomputes activations"),
     ({}, False, "its windows are long")],
)  # fmt: skip
@pytest.mark.parametrize("asked", ["auto", True])
def test_a_step_of_no_fixed_shape_is_never_captured_and_never_refused(
    caplog, monkeypatch, changes, resident, reason, asked
):
    monkeypatch.setattr(loop, "make_capturable", lambda optimiser: None)
    monkeypatch.setattr(loop, "CapturedStep", lambda *_: "captured")
    training = TrainingSettings(steps=20, warmup_steps=2, cuda_graph=asked, **changes)
    train = SimpleNamespace(device=torch.device("cuda"), resident=resident)
    with caplog.at_level(logging.INFO, logger="prismflow"):
        step = loop._captured_step(None, None, training, train)
    if asked is True and not changes:
        assert step == "captured"  # asked for by name, streamed windows are captured too
        return
    assert step is None and reason in caplog.text
    assert (caplog.records[0].levelname == "WARNING") == (asked is True)


@pytest.mark.parametrize("asked", ["auto", True, False])
def test_on_a_cpu_no_step_is_captured(asked):
    training = TrainingSettings(steps=20, warmup_steps=2, cuda_graph=asked)
    train = SimpleNamespace(device=torch.device("cpu"), resident=True)
    assert loop._captured_step(None, None, training, train) is None


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_replayed_steps_equal_eager_steps(data, tmp_path):
    histories = []
    for captured in (False, True):
        chosen = settings("prism")
        chosen["training"] = {**chosen["training"], "cuda_graph": captured}
        paths = [tmp_path / f"{captured}_{name}" for name in OUTPUTS]
        train_run(*data, "fold11", 2, chosen, *paths, device="cuda")
        histories.append(read_tsv(paths[2]))
    for column in ("train_loss", "valid_mse"):
        np.testing.assert_allclose(histories[0][column], histories[1][column], rtol=1e-3)
