"""Parameters made ready together give what they give one by one."""

from __future__ import annotations

import copy

import pytest
import torch
from named import build
from scan_cases import worst_deviation
from torch import Tensor

from prismflow.models import bimamba, prism, together
from prismflow.models.bimamba import BiMambaBackbone
from prismflow.models.common import ExpressionModel, InputSpec
from prismflow.training.batches import Batch
from prismflow.training.loop import accumulate_gradients
from prismflow.training.optimiser import clip_gradients, make_optimiser

MODULES = (bimamba, prism, together)


@pytest.fixture
def switch(monkeypatch):
    """Turns it on or off; on a CPU it is off."""

    def turn(on: bool) -> None:
        for module in MODULES:
            monkeypatch.setattr(module, "launches_cost", lambda device: on)

    return turn


def network(name: str = "prism", dtype: torch.dtype = torch.float64, **hyper) -> ExpressionModel:
    torch.manual_seed(0)
    spec = InputSpec(("a", "b") if name == "prism" else (), 3, 128)
    sizes = {"d_model": 8, "n_layers": 3, "d_state": 3, "center_bp": 50}
    model = build(name, sizes | hyper, {}, spec).to(dtype)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        # Directions that start alike would hide that they were exchanged.
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter += 0.1 * noise.to(dtype)
    return model


def genes(model: ExpressionModel, dtype: torch.dtype, seed: int = 0, n: int = 4) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    bases = torch.randint(4, (n, 128), generator=generator)
    signals = torch.rand(n, 128, len(model.inputs.modalities), generator=generator)
    features, target = (torch.rand(*shape, generator=generator) for shape in ((n, 3), (n,)))
    given = (torch.eye(4)[bases], signals, features, target)
    return Batch(*(x.to(dtype) for x in given), torch.arange(n))


def step(model: ExpressionModel, precision: str = "fp32", passes: int = 1) -> dict[str, Tensor]:
    """Loss terms and gradients."""
    dtype = next(model.parameters()).dtype
    batches = [genes(model, dtype, seed, 4 - seed) for seed in range(passes)]
    terms = accumulate_gradients(model, batches, precision)
    grads = {f"grad.{name}": p.grad.clone() for name, p in model.named_parameters()}
    # What isn't so is copied once more by the fused optimiser's step.
    assert all(parameter.grad.is_contiguous() for parameter in model.parameters())
    return {**terms, **grads}


@pytest.mark.parametrize("passes", [1, 2])
@pytest.mark.parametrize(
    ("name", "hyper"),
    [
        ("prism", {}), ("prism", {"n_contexts": 3, "intervention_average": "prediction"}),
        ("prism", {"n_contexts": 0}), ("caduceus", {}), ("caduceus", {"d_conv": 1, "d_model": 6}),
        ("mamba", {}),
    ],
)  # fmt: skip
def test_losses_and_gradients_are_those_of_one_by_one(switch, name, hyper, passes):
    model = network(name, **hyper)
    switch(False)
    expected = step(copy.deepcopy(model), passes=passes)
    switch(True)
    error, where = worst_deviation(step(model, passes=passes), expected)
    assert error < 1e-11, where


def test_recomputed_activations_have_the_same_gradients(switch):
    torch.manual_seed(0)
    model = BiMambaBackbone(6, 2, d_state=3).double()
    x = torch.randn(2, 40, 6, dtype=torch.float64)
    found = []
    switch(True)
    for recompute in (False, True):
        model.zero_grad()
        model.checkpoint_activations = recompute
        model(x).square().sum().backward()
        found.append({name: p.grad.clone() for name, p in model.named_parameters()})
    assert worst_deviation(*found)[0] < 1e-13


def test_low_precision_is_as_near_to_full_precision_as_one_by_one(switch):
    model = network(dtype=torch.float32)
    exact = step(copy.deepcopy(model).double())
    errors = {}
    for on in (False, True):
        switch(on)
        got = step(copy.deepcopy(model), "bf16")
        errors[on] = {k: ((v - exact[k]).norm() / exact[k].norm()).item() for k, v in got.items()}
    mean = {on: sum(found.values()) / len(found) for on, found in errors.items()}
    assert mean[True] < 1.25 * mean[False], mean


def test_weights_that_are_cast_at_once_are_those_that_autocast_would_cast(switch):
    model = network(dtype=torch.float32)
    batch = genes(model, torch.float32)
    seen = []
    model.head.layers[0].register_forward_pre_hook(
        lambda part, given: seen.append((part.weight.dtype, part.weight.float().clone()))
    )
    for on in (False, True):
        switch(on)
        with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
            together.forward_pass(model, batch)
    (one, weights), *_, (other, cast) = seen
    assert (one, other) == (torch.float32, torch.bfloat16)
    assert torch.equal(weights.bfloat16().float(), cast)
    norms = [n for n, p in model.named_parameters() if p.dtype != torch.float32]
    assert not norms, "the model's own weights stay in full precision"


def test_a_training_goes_on_from_a_state_as_if_it_had_not_stopped(switch):
    """What is handed out are views of memory that each step makes anew."""
    switch(True)

    def steps(model, optimiser, first, last):
        for number in range(first, last):
            optimiser.zero_grad(set_to_none=True)
            accumulate_gradients(model, [genes(model, torch.float32, number)], "fp32")
            clip_gradients(list(model.parameters()), 1.0)
            optimiser.step()
        return {name: value.clone() for name, value in model.state_dict().items()}

    whole = network(dtype=torch.float32)
    keys = list(whole.state_dict())
    optimiser = make_optimiser(whole)
    half = steps(whole, optimiser, 0, 3)
    moments = copy.deepcopy(optimiser.state_dict())
    expected = steps(whole, optimiser, 3, 6)
    other = network(dtype=torch.float32)
    other.load_state_dict(half)
    resumed = make_optimiser(other)
    resumed.load_state_dict(moments)
    found = steps(other, resumed, 3, 6)
    assert list(found) == keys
    assert all(torch.equal(found[name], value) for name, value in expected.items())
