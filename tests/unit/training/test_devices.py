"""Devices, threads and progress."""

from __future__ import annotations

import logging

import pytest
import torch

from prismflow.errors import InputError
from prismflow.training import determinism, progress
from prismflow.training.devices import choose_device, set_threads


def test_auto_says_which_device_and_why(caplog):
    with caplog.at_level(logging.INFO, logger="prismflow"):
        device = choose_device("auto")
    assert device.type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert len(caplog.records) == 1 and "auto:" in caplog.text


@pytest.mark.parametrize("name", ["gpu", "mps", "cuda:", "cuda:x", ""])
def test_unknown_devices_are_refused(name):
    with pytest.raises(InputError, match=r"expected 'auto', 'cpu', 'cuda' or 'cuda:<index>'"):
        choose_device(name)


def test_a_cuda_device_that_is_not_there_is_refused():
    with pytest.raises(InputError, match="expected a CUDA device for 'cuda:99'"):
        choose_device("cuda:99")


def test_threads_are_set_and_checked():
    before = torch.get_num_threads()
    try:
        set_threads(1)
        assert torch.get_num_threads() == 1
        set_threads(None)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)
    with pytest.raises(InputError, match="at least 1, found 0"):
        set_threads(0)


def test_a_network_is_prepared_in_one_step(monkeypatch):
    done = []
    monkeypatch.setattr(determinism, "keep_freed_memory", lambda: done.append("memory"))
    monkeypatch.setattr(determinism, "make_deterministic", lambda device: done.append(device.type))
    assert determinism.prepare_device("cpu", None).type == "cpu"
    assert determinism.prepare_device("cpu", None, keep_freed=False).type == "cpu"
    assert done == ["memory", "cpu", "cpu"]
    with pytest.raises(InputError, match="at least 1, found 0"):
        determinism.prepare_device("cpu", 0)


class Clock:
    """A clock that advances by ``step`` seconds per look."""

    def __init__(self, step: float) -> None:
        self.now, self.step = 0.0, step

    def monotonic(self) -> float:
        self.now += self.step
        return self.now


@pytest.mark.parametrize(("seconds", "lines"), [(0.001, 0), (1.0, 10), (120.0, 100)])
def test_log_lines_come_at_sensible_intervals(monkeypatch, caplog, seconds, lines):
    monkeypatch.setattr(progress, "time", Clock(seconds))
    bar = progress.Progress(100, "training")
    bar.terminal = False
    with caplog.at_level(logging.INFO, logger="prismflow"):
        for step in range(1, 101):
            bar.update(step, "loss 1.0")
    assert len(caplog.records) == lines
    if lines:
        assert "training: step 100/100" in caplog.text and "0:00 left, loss 1.0" in caplog.text


def test_a_terminal_gets_a_bar(monkeypatch, capsys):
    monkeypatch.setattr(progress, "time", Clock(1.0))
    bar = progress.Progress(4, "training")
    bar.terminal = True
    for step in range(1, 5):
        bar.update(step)
    shown = capsys.readouterr().err
    assert "[##########          ] training: step 2/4" in shown and shown.endswith("\n")
