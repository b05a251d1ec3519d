"""Parameter groups, schedule and clipping against the released protocol."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import torch
from named import build
from safetensors.torch import load_file
from torch import nn

from prismflow.errors import InputError
from prismflow.models.common import InputSpec
from prismflow.released.keys import from_released, load_released, released_keys
from prismflow.training.batches import Batch
from prismflow.training.loop import accumulate_gradients
from prismflow.training.optimiser import (
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


def updated(optimiser, model, steps):
    """Train the example on fixed gradients; its parameters' bytes afterwards."""
    generator = torch.Generator().manual_seed(3)
    for _ in range(steps):
        for parameter in model.parameters():
            parameter.grad = torch.randn(parameter.shape, generator=generator)
        optimiser.step()
        optimiser.zero_grad()
        assert all(parameter.grad is None for parameter in model.parameters())
    return b"".join(p.detach().numpy().tobytes() for p in model.parameters())


def test_the_optimiser_is_torchs_own_to_the_byte():
    torch.manual_seed(1)
    initial = Example().state_dict()
    results = []
    for with_guards in (False, True):
        model = Example()
        model.load_state_dict(initial)
        optimiser = make_optimiser(model)
        if with_guards:
            optimiser = torch.optim.AdamW(optimiser.param_groups)
        results.append(updated(optimiser, model, 3))
        # A resumed optimiser goes on with the moments of the stopped one.
        following = make_optimiser(model)
        following.load_state_dict(optimiser.state_dict())
        results.append(updated(following, model, 2))
    assert results[:2] == results[2:]
    assert len(set(results)) == 2


def test_a_step_loads_no_compiler():
    # torch.optim's guards import torch._dynamo, a second of every training job.
    program = (
        "import sys, torch; from prismflow.training.optimiser import make_optimiser\n"
        "model = torch.nn.Linear(2, 1); optimiser = make_optimiser(model)\n"
        "model(torch.ones(1, 2)).sum().backward(); optimiser.step(); optimiser.zero_grad()\n"
        "optimiser.load_state_dict(optimiser.state_dict())\n"
        "print('torch._dynamo' in sys.modules)"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert result.stdout == "False\n"


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


def test_group_names_of_paper_size_prism_equal_the_released_ones(golden_dir):
    groups = json.loads((golden_dir / "schedule" / "param_groups.json").read_text())["groups"]
    model = build("prism", {}, {}, InputSpec(("h3k27ac", "dnase", "hic"), 9, 2000))
    ours = released_keys(model)
    for group in parameter_groups(model):
        released = next(g for g in groups if g["hyper"]["weight_decay"] == group["weight_decay"])
        named = {ours[name.removeprefix("model.")] for name in released["params"]}
        assert named == set(group["names"])


def test_replay_of_four_released_steps(golden_dir):
    """Same data, weights and steps as a run of the released training (fp32, no shuffling)."""
    folder = golden_dir / "lightning"
    run = json.loads((folder / "example_run.json").read_text())
    initial = load_file(folder / "example_initial_state.safetensors")
    initial = {key.removeprefix("model."): value for key, value in initial.items()}
    final = load_file(folder / "example_final_state.safetensors")
    final = {key.removeprefix("model."): value for key, value in final.items()}
    data = load_file(folder / "example_train_data.safetensors")
    backbone = "caduceus.backbone.layers.0.mixer.mamba_fwd"
    hyperparameters = {
        "d_model": initial["signal_input_layer.weight"].shape[0],
        "n_layers": sum(key.endswith("mamba_fwd.A_log") for key in initial),
        "d_state": initial[f"{backbone}.A_log"].shape[1],
        "center_bp": 128,
        "cnn_channels": initial["weight_generator.cnn_encoder.0.weight"].shape[0],
    }
    model = build("prism", hyperparameters, {}, InputSpec(("h3k27ac", "dnase", "hic"), 9, 256))
    load_released(model, initial, "initial state")
    optimiser = make_optimiser(model, run["optimizer"]["lr"], run["optimizer"]["betas"],
                               run["optimizer"]["weight_decay"])  # fmt: skip
    schedule = Schedule(steps=4, warmup_steps=0.4)
    model.train()
    for step in range(4):
        rows = torch.arange(8 * step, 8 * step + 8)
        batch = Batch(data["seqs"][rows], data["signals"][rows], data["rna_feat"][rows],
                      data["target"][rows].flatten(), rows)  # fmt: skip
        set_learning_rate(optimiser, step, schedule)
        terms = accumulate_gradients(model, [batch])
        norm = clip_gradients(list(model.parameters()), 1.0)
        optimiser.step()
        optimiser.zero_grad()
        losses = run["total_loss_per_step (my replay, train mode, before the step)"]
        norms = run["grad_norm_before_clip_per_step"]
        assert float(terms["loss"]) == pytest.approx(losses[step], rel=1e-5)
        assert float(norm) == pytest.approx(norms[step], rel=1e-4)
    expected = from_released(model, final, "final state")
    for name, value in model.state_dict().items():
        # Adam divides by the root of tiny second moments, which amplifies rounding. A convolution's
        # bias before batch normalisation has no gradient but rounding, so it moves by any amount up
        # to the learning rate, and takes the running mean along.
        free = name.startswith("weight_generator.encoder.") and name.endswith(
            (".0.bias", ".1.running_mean")
        )
        torch.testing.assert_close(
            value, expected[name], atol=2e-3 if free else 2e-5, rtol=1e-5, msg=name
        )
