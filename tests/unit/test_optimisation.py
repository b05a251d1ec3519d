"""Parameter groups, schedule and clipping against the released protocol."""

from __future__ import annotations

import json
from collections import Counter

import pytest
import torch
from torch import nn

from prismflow.errors import InputError
from prismflow.models import build
from prismflow.models.common import InputSpec
from prismflow.optimisation import (
    Schedule,
    clip_gradients,
    learning_rate,
    make_optimiser,
    parameter_groups,
    set_learning_rate,
)

PAPER = Schedule(steps=50_000, warmup_steps=5_000)


class RMSNorm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(4))


class Example(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)
        self.tied = self.linear
        self.rms = RMSNorm()
        self.layer_norm = nn.LayerNorm(4)
        self.batch_norm = nn.BatchNorm1d(4)
        self.embedding = nn.Embedding(3, 4)
        self.A_log = nn.Parameter(torch.zeros(4, 2))
        self.A_log._no_weight_decay = True
        self.filter = nn.Linear(4, 4)
        self.filter.weight._optim = {"lr": 1e-3, "weight_decay": 0.0}


def test_which_parameters_decay():
    groups = parameter_groups(Example(), learning_rate=5e-4, weight_decay=1e-6)
    names = {(g["lr"], g["weight_decay"]): set(g["names"]) for g in groups}
    assert names == {
        (5e-4, 1e-6): {"linear.weight", "rms.weight"},
        (5e-4, 0.0): {
            "linear.bias", "layer_norm.weight", "layer_norm.bias", "batch_norm.weight",
            "batch_norm.bias", "embedding.weight", "A_log", "filter.bias",
        },
        (1e-3, 0.0): {"filter.weight"},
    }  # fmt: skip


def test_schedule_equals_the_released_one(golden_dir):
    released = json.loads((golden_dir / "schedule" / "lr.json").read_text())["lr"]
    for step, value in released.items():
        assert learning_rate(int(step), PAPER) == pytest.approx(value, rel=1e-12)


def test_schedule_of_the_four_released_steps(golden_dir):
    run = json.loads((golden_dir / "lightning" / "example_run.json").read_text())
    schedule = Schedule(steps=4, warmup_steps=0.4)
    rates = [learning_rate(step, schedule) for step in range(4)]
    assert rates == pytest.approx(run["lr_per_step"], rel=1e-12)


def test_schedule_ends_and_corners():
    assert learning_rate(0, PAPER) == 1e-5
    assert learning_rate(5_000, PAPER) == pytest.approx(5e-4, rel=1e-15)
    assert learning_rate(50_000, PAPER) == learning_rate(10**9, PAPER) == 1e-4
    assert learning_rate(0, Schedule(steps=10, warmup_steps=0)) == 5e-4
    with pytest.raises(InputError, match="warmup_steps 10 and steps 10"):
        Schedule(steps=10, warmup_steps=10)


def test_a_group_with_its_own_rate_has_its_own_peak():
    optimiser = make_optimiser(Example())
    set_learning_rate(optimiser, 5_000, PAPER)
    assert sorted(g["lr"] for g in optimiser.param_groups) == pytest.approx([5e-4, 5e-4, 1e-3])
    set_learning_rate(optimiser, 60_000, PAPER)
    assert {g["lr"] for g in optimiser.param_groups} == {1e-4}


@pytest.mark.parametrize("largest", [0.5, 100.0])
def test_clipping_is_by_the_global_norm(largest):
    model = Example()
    parameters = list(model.parameters())
    for parameter in parameters:
        parameter.grad = torch.ones_like(parameter)
    norm = clip_gradients(parameters, largest)
    after = sum(float((p.grad**2).sum()) for p in parameters) ** 0.5
    assert float(norm) == pytest.approx(sum(p.numel() for p in parameters) ** 0.5)
    assert after == pytest.approx(min(float(norm), largest), rel=1e-5)


def _shapes(model: nn.Module) -> tuple[Counter, Counter]:
    decayed, undecayed = Counter(), Counter()
    for group in parameter_groups(model):
        chosen = decayed if group["weight_decay"] else undecayed
        chosen.update(tuple(parameter.shape) for parameter in group["params"])
    return decayed, undecayed


def test_groups_of_paper_size_prism_equal_the_released_ones(golden_dir):
    groups = json.loads((golden_dir / "schedule" / "param_groups.json").read_text())["groups"]
    keys = json.loads((golden_dir / "prism_paper" / "keys.json").read_text())["model_state_dict"]
    released = {0.0: Counter(), 1e-6: Counter()}
    for group in groups:
        for name in group["params"]:
            shape = keys[name.removeprefix("model.")]["shape"]
            released[group["hyper"]["weight_decay"]][tuple(shape)] += 1
    inputs = InputSpec(("h3k27ac", "dnase", "hic"), 9, 2000)
    decayed, undecayed = _shapes(build("prism", {}, {}, inputs))
    assert _squeezed(decayed) == _squeezed(released[1e-6])
    assert _squeezed(undecayed) == _squeezed(released[0.0])


def _squeezed(shapes: Counter) -> Counter:
    """Without axes of length 1: a depthwise kernel may be stored with or without one."""
    counts: Counter = Counter()
    for shape, count in shapes.items():
        counts[tuple(size for size in shape if size != 1)] += count
    return counts
