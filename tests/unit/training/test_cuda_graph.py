"""Steps as CUDA graphs, with a stand-in for the graph: replays are compared, and given up."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator
from typing import ClassVar

import pytest
import torch
from torch import Tensor, nn

from prismflow.training import cuda_graph
from prismflow.training.batches import Batch
from prismflow.training.cuda_graph import COMPARED_STEPS, EAGER_STEPS, CapturedStep
from prismflow.training.optimiser import make_optimiser

STEPS = EAGER_STEPS + COMPARED_STEPS + 3


class Graph:
    """Stands in for ``torch.cuda.CUDAGraph``: replaying takes the recorded step again."""

    made: ClassVar[list[Graph]] = []
    step: ClassVar[CapturedStep]
    fault: ClassVar[float] = 0.0

    def __init__(self) -> None:
        self.replays = 0
        self.made.append(self)

    def replay(self) -> None:
        self.replays += 1
        terms, norm = self.step._eager(self.step.inputs)
        for name, value in {**terms, "gradient_norm": norm}.items():
            self.step.outputs[name].copy_(value)
        with torch.no_grad():
            self.step.parameters[0].add_(self.fault)


@contextlib.contextmanager
def recording(graph: Graph, capture_error_mode: str) -> Iterator[None]:
    """Stands in for ``torch.cuda.graph``."""
    assert capture_error_mode == "thread_local"
    yield


@pytest.fixture
def graphs(monkeypatch) -> list[Graph]:
    """Every graph that a test makes; the device's functions are those of the CPU."""
    record = CapturedStep._record

    def without_effect(self: CapturedStep, given: Batch) -> None:
        # On a device recording runs no kernel: what the stand-in changes meanwhile is put back.
        kept = {name: value.clone() for name, value in self._state().items()}
        record(self, given)
        for name, value in kept.items():
            self._state()[name].copy_(value)

    monkeypatch.setattr(CapturedStep, "_record", without_effect)
    monkeypatch.setattr(Graph, "made", [])
    for name, stand_in in {
        "CUDAGraph": Graph, "graph": recording, "synchronize": lambda *_: None,
        "get_rng_state": lambda *_: torch.get_rng_state(),
        "set_rng_state": lambda state, *_: torch.set_rng_state(state),
        "current_stream": lambda *_: None, "set_stream": lambda *_: None,
        "get_sync_debug_mode": lambda: 0, "set_sync_debug_mode": lambda *_: None,
    }.items():  # fmt: skip
        monkeypatch.setattr(torch.cuda, name, stand_in)
    monkeypatch.setattr(cuda_graph, "_forget_recording", lambda *_: None)
    return Graph.made


def gradients(model: nn.Module, passes: list[Batch], precision: str) -> dict[str, Tensor]:
    loss = (model(passes[0].signals) - passes[0].target).square().mean()
    loss.backward()
    return {"loss": loss.detach()}


def batch(k: int, size: int = 4) -> Batch:
    generator = torch.Generator().manual_seed(k)
    x = torch.randn(size, 3, generator=generator)
    return Batch(x, x, x, x.sum(1), torch.arange(size))


def new_step(compute=gradients) -> CapturedStep:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Linear(8, 1), nn.Flatten(0))
    Graph.step = CapturedStep(model, make_optimiser(model, 1e-2), compute, "fp32", 1.0)
    return Graph.step


def train(step: CapturedStep, sizes: dict[int, int] | None = None) -> list[float]:
    return [step(batch(k, (sizes or {}).get(k, 4)))[0]["loss"].item() for k in range(STEPS)]


@pytest.fixture
def expected() -> tuple[list[float], dict[str, Tensor]]:
    """Losses and weights without a graph."""
    step = new_step()
    losses = [step._eager(batch(k))[0]["loss"].item() for k in range(STEPS)]
    return losses, {k: v.clone() for k, v in step.model.state_dict().items()}


def test_replays_take_over_after_they_were_compared(graphs, expected):
    step = new_step()
    assert train(step) == expected[0]
    assert all(torch.equal(v, expected[1][k]) for k, v in step.model.state_dict().items())
    assert step.given_up is None and len(graphs) == 1
    assert graphs[0].replays == STEPS - EAGER_STEPS


def test_a_batch_of_another_size_is_taken_kernel_by_kernel(graphs):
    step = new_step()
    train(step, {STEPS - 2: 3})
    assert step.given_up is None and graphs[0].replays == STEPS - EAGER_STEPS - 1


def test_a_replay_that_is_not_the_step_itself_is_given_up(graphs, expected, monkeypatch, caplog):
    monkeypatch.setattr(Graph, "fault", 0.01)
    step = new_step()
    with caplog.at_level(logging.WARNING, logger="prismflow"):
        losses = train(step)
    assert losses == expected[0]
    assert all(torch.equal(v, expected[1][k]) for k, v in step.model.state_dict().items())
    assert graphs[0].replays == 1 and step.graph is None
    assert "a replay is not the step itself: its update is" in caplog.text


def test_a_step_that_waits_for_the_device_is_not_recorded(graphs, expected, caplog):
    def waiting(model, passes, precision):
        warnings.warn("called a synchronizing CUDA operation", stacklevel=1)
        return gradients(model, passes, precision)

    step = new_step(waiting)
    with caplog.at_level(logging.INFO, logger="prismflow"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert train(step) == expected[0]
    assert not graphs and "it waits for the device 1 times" in caplog.text


def test_a_recording_that_fails_leaves_training_as_it_was(graphs, expected, caplog, monkeypatch):
    @contextlib.contextmanager
    def fails(graph, capture_error_mode):
        yield
        raise RuntimeError("operation not permitted when stream is capturing\nmore")

    monkeypatch.setattr(torch.cuda, "graph", fails)
    step = new_step()
    assert train(step) == expected[0]
    assert "recording it failed (operation not permitted" in caplog.text
    assert step.graph is None and step.given_up is not None
