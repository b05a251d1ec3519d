"""Killed trainings: continued from their state, with the bytes of an uninterrupted run."""

from __future__ import annotations

import errno
import json
import logging
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from make_store import make_store, settings
from safetensors import safe_open

from prismflow.errors import InputError
from prismflow.training import loop
from prismflow.training import state as states
from prismflow.training.kept import state_folder
from prismflow.training.run import train_run
from prismflow.training.state import Keeper

OUTPUTS = ("model.safetensors", "model.json", "history.tsv")
WORKER = Path(__file__).with_name("resume_worker.py")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_store(tmp_path_factory.mktemp("resume"))


def train(data, folder, chosen=None, seed=2):
    paths = [folder / name for name in OUTPUTS]
    train_run(
        *data, "fold11", seed, chosen or settings(), *paths, device="cpu", checkpoint_minutes=0
    )
    return [path.read_bytes() for path in paths]


@pytest.fixture
def stopping(monkeypatch):
    """A function after which trainings end at a step, with their states on disk."""
    keep = Keeper.keep

    def stop_at(step):
        def keep_and_stop(self, state):
            keep(self, state)
            if state.step == step:
                raise SystemExit(143)

        monkeypatch.setattr(Keeper, "keep", keep_and_stop)

    return stop_at


def stopped(data, folder, stopping, step, chosen=None):
    """Train up to a step; returns the states that it left, newest first."""
    stopping(step)
    with pytest.raises(SystemExit):
        train(data, folder, chosen)
    stopping(None)
    states = Keeper(state_folder(folder / OUTPUTS[0]), {}, 0).generations()
    assert [state.step for state in states] == [step, step - 1]
    return states


def worker(task, tmp_path, **job):
    """Outcome of one task of resume_worker.py."""
    store, splits = make_store(tmp_path)
    described = tmp_path / "job.json"
    described.write_text(json.dumps({"store": str(store), "splits": str(splits), **job}))
    result = subprocess.run(
        [sys.executable, str(WORKER), task, str(described), str(tmp_path / "runs")],
        env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr[-4000:]
    return json.loads(result.stdout)


def test_killed_at_twenty_random_moments(tmp_path):
    chosen = settings(training={"steps": 150, "warmup_steps": 10})
    outcome = worker("random", tmp_path, settings=chosen, kills=20, longest=0.4, seed=6)
    assert outcome["kills"] >= 20
    assert outcome["continued"] >= 10, "most kills must find a state"
    for result in outcome["results"]:
        assert result == outcome["reference"]


def test_killed_inside_the_write_of_a_state(tmp_path):
    outcome = worker("writes", tmp_path, settings=settings(training={"steps": 30}))
    for where, ended, left, result, continued in outcome["results"]:
        assert ended == [-signal.SIGKILL] * 3 and left, where
        assert continued >= 2, where
        assert result == outcome["reference"], where


def test_signals_of_a_cluster(tmp_path):
    chosen = settings(training={"steps": 250, "warmup_steps": 10})
    outcome = worker("signals", tmp_path, settings=chosen, delay=0.15)
    for name, number in (("SIGTERM", 15), ("SIGINT", 2)):
        status, left, log, result, continued = outcome[name]
        assert (status, left, continued) == (128 + number, True, 1)
        assert f"{name} at step " in log and "the state is kept in" in log
        assert result == outcome["reference"]
    status, left, log, result, _ = outcome["SIGUSR1"]
    assert (status, left) == (0, False)
    assert "SIGUSR1 at step " in log
    assert result == outcome["reference"]


@pytest.mark.parametrize("architecture", ["cnn", "prism", "seq2exp_soft"])
def test_continuing_between_two_validations(data, tmp_path, stopping, architecture):
    chosen = settings(architecture)
    whole = train(data, tmp_path / "whole", chosen)
    stopped(data, tmp_path / "parts", stopping, 6, chosen)
    assert train(data, tmp_path / "parts", chosen) == whole


def test_the_state_is_removed_after_success(data, tmp_path, stopping):
    stopped(data, tmp_path / "run", stopping, 6)
    assert state_folder(tmp_path / "run" / OUTPUTS[0]).is_dir()
    train(data, tmp_path / "run")
    assert not state_folder(tmp_path / "run" / OUTPUTS[0]).exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]


def test_the_state_stays_until_the_last_output_is_written(data, tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("prismflow.training.run.write_json", fail)
    with pytest.raises(OSError, match="No space"):
        train(data, tmp_path / "run")
    states = Keeper(state_folder(tmp_path / "run" / OUTPUTS[0]), {}, 0).generations()
    assert states[0].step == 11
    monkeypatch.undo()
    assert train(data, tmp_path / "run") == train(data, tmp_path / "whole")


def changed_setting(store, monkeypatch):
    return settings(training={"learning_rate": 4e-3}), "settings.training.learning_rate"


def changed_data(store, monkeypatch):
    manifest = json.loads((store / "store.json").read_text())
    manifest["digests"] = {"notes": "0"}
    (store / "store.json").write_text(json.dumps(manifest))
    return settings(), r"data \("


def changed_code(store, monkeypatch):
    monkeypatch.setattr(states, "code_digest", lambda *_: "edited")
    return settings(), r"code \("


@pytest.mark.parametrize("change", [changed_setting, changed_data, changed_code])
def test_a_state_of_another_run_is_refused(tmp_path, stopping, monkeypatch, caplog, change):
    data = make_store(tmp_path)
    stopped(data, tmp_path / "run", stopping, 6)
    chosen, named = change(data[0], monkeypatch)
    with caplog.at_level(logging.WARNING, logger="prismflow"):
        found = train(data, tmp_path / "run", chosen)
    assert [r.levelno for r in caplog.records].count(logging.WARNING) == 1
    assert "is not used: training starts anew" in caplog.text
    assert re.search(rf"what differs: {named}", caplog.text)
    assert found == train(data, tmp_path / "fresh", chosen)


def flip_a_byte(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut_off(path):
    path.write_bytes(path.read_bytes()[:-100])


def empty(path):
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [flip_a_byte, cut_off, empty])
def test_a_damaged_state_falls_back_to_the_older(data, tmp_path, stopping, caplog, damage):
    states = stopped(data, tmp_path / "run", stopping, 6)
    damage(states[0].path)
    with caplog.at_level(logging.INFO, logger="prismflow"):
        found = train(data, tmp_path / "run")
    assert "is no whole state and is not used" in caplog.text
    assert "continued after step 5 " in caplog.text
    assert found == train(data, tmp_path / "whole")


def test_without_a_whole_state_training_starts_anew_with_a_warning(
    data, tmp_path, stopping, caplog
):
    for state in stopped(data, tmp_path / "run", stopping, 6):
        flip_a_byte(state.path)
    with caplog.at_level(logging.WARNING, logger="prismflow"):
        found = train(data, tmp_path / "run")
    assert "no kept state of this run can be read: training starts anew" in caplog.messages
    assert found == train(data, tmp_path / "whole")


def test_states_go_by_their_steps_and_not_by_the_clock(data, tmp_path, stopping, caplog):
    states = stopped(data, tmp_path / "run", stopping, 6)
    os.utime(states[0].path, (0, 0))
    os.utime(states[1].path, (2**32, 2**32))
    with caplog.at_level(logging.INFO, logger="prismflow"):
        train(data, tmp_path / "run")
    assert "continued after step 6 " in caplog.text


def test_a_state_is_no_pickle_and_names_what_it_belongs_to(data, tmp_path, stopping):
    state = stopped(data, tmp_path / "run", stopping, 6)[0]
    with safe_open(state.path, "pt") as file:
        content = json.loads(file.metadata()["content"])
        names = {name.split("/")[0].split(".")[0] for name in file.keys()}  # noqa: SIM118
    assert names == {"model", "best", "optimiser", "sums", "random"}
    assert content["step"] == 6 and content["summed"] == 2 and len(content["history"]) == 2
    assert content["identity"]["settings"] == settings()
    assert content["identity"]["fold"] == "fold11" and content["identity"]["seed"] == 2


def test_states_are_written_when_the_time_has_come(data, tmp_path, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(states.time, "monotonic", lambda: clock[0])
    keeper = Keeper(tmp_path / "state", {}, minutes=10)
    clock[0] = 599.0
    assert not keeper.due
    clock[0] = 600.0
    assert keeper.due
    keeper.save(loop.start_state(torch.nn.Linear(2, 1), loop.TrainingSettings()))
    assert not keeper.due and len(keeper.generations()) == 1


def test_a_full_disk_stops_no_training(data, tmp_path, monkeypatch, caplog):
    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    whole = train(data, tmp_path / "whole")
    monkeypatch.setattr(states, "write_bytes", fail)
    with caplog.at_level(logging.WARNING, logger="prismflow"):
        assert train(data, tmp_path / "run") == whole
    assert "the state after step 3 can't be kept" in caplog.text


def test_divergence_keeps_the_last_good_state(tmp_path):
    data = make_store(tmp_path, n_genes=40)
    signal_file = data[0] / "h3k27ac.npy"
    values = np.load(signal_file)
    values[11] = np.inf
    np.save(signal_file, values)
    paths = [tmp_path / "run" / name for name in OUTPUTS]
    sentence = (
        r"stopped at step (\d): .*learning rate 0\.0.*gene011.*The state after step \1 is kept"
    )
    with pytest.raises(InputError, match=sentence):
        train_run(*data, "fold11", 3, settings(), *paths, device="cpu")
    states = Keeper(state_folder(paths[0]), {}, 0).generations()
    assert [state.step for state in states] == [2]
    with safe_open(states[0].path, "pt") as file:
        for name in file.keys():  # noqa: SIM118
            assert torch.isfinite(file.get_tensor(name).float()).all(), name
    assert not any(path.exists() for path in paths)


@pytest.mark.parametrize(
    ("where", "advice"),
    [("accumulate_gradients", "batch_size 8.*lower run.pass_bp .* or training.batch_size"),
     ("predict", "eval_batch_size 16.*lower training.eval_batch_size")],
)  # fmt: skip
def test_a_full_gpu_says_what_to_lower(data, tmp_path, monkeypatch, where, advice):
    def fail(*_):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nmore")

    monkeypatch.setattr(loop, where, fail)
    with pytest.raises(InputError, match=rf"{advice}.*Tried to allocate 2.00 GiB\.\)"):
        train(data, tmp_path / "run")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("captured", [False, True])
def test_continuing_on_cuda(data, tmp_path, stopping, captured):
    chosen = settings("prism", training={"cuda_graph": captured})
    histories = []
    for name, step in (("whole", None), ("parts", 6)):
        paths = [tmp_path / name / output for output in OUTPUTS]
        run = (*data, "fold11", 2, chosen, *paths)
        if step is not None:
            stopping(step)
            with pytest.raises(SystemExit):
                train_run(*run, device="cuda", checkpoint_minutes=0)
            stopping(None)
        train_run(*run, device="cuda", checkpoint_minutes=0)
        histories.append(np.genfromtxt(paths[2], names=True))
    np.testing.assert_allclose(histories[0]["valid_mse"], histories[1]["valid_mse"], rtol=1e-3)
