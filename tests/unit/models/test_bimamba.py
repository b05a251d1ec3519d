"""The fused backbone against two plainly written mixers, the released blocks, and itself."""

from __future__ import annotations

import copy
import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from scan_cases import worst_deviation
from torch import Tensor

from prismflow.models.bimamba import BiMambaBackbone, Mixer, from_released_key, released_keys
from prismflow.models.scan import ENVIRONMENT_VARIABLE, selective_scan

BACKENDS = ("reference", "chunked", "numba")


@pytest.fixture(params=BACKENDS)
def backend(request, monkeypatch) -> str:
    """Each backend in turn, forced as a user would."""
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, request.param)
    return request.param


def varied(model: torch.nn.Module) -> torch.nn.Module:
    """The model with parameters moved off their constant initial values."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if name.endswith(("A_log", ".D")) or "norm" in name:
                parameter += 0.2 * noise
            elif name.endswith("dt_proj.bias"):
                parameter += 2 + 0.5 * noise
            elif "x_proj" in name or "out_proj" in name:
                parameter *= 3
    return model.double()


def plain_mixer(mixer: Mixer, part: int, hidden: Tensor) -> Tensor:
    """One direction as published: length last, grouped convolution, gate inside."""
    shared, own = mixer.mamba_fwd, mixer.directions[part]
    x, z = shared.in_proj(hidden).transpose(1, 2).chunk(2, dim=1)
    length, taps = x.shape[2], own.conv1d.kernel_size[0]
    padded = F.conv1d(x, own.conv1d.weight, own.conv1d.bias, padding=taps - 1, groups=x.shape[1])
    x = F.silu(padded[..., :length])
    dt, B, C = own.x_proj(x.transpose(1, 2)).split([own.dt_rank, own.d_state, own.d_state], dim=-1)
    delta = dt @ own.dt_proj.weight.t()
    y = selective_scan(
        x,
        delta.transpose(1, 2),
        -torch.exp(own.A_log),
        B.transpose(1, 2),
        C.transpose(1, 2),
        own.D,
        z,
        own.dt_proj.bias,
        True,
        backend="reference",
    )
    return shared.out_proj(y.transpose(1, 2))


def plain_backbone(model: BiMambaBackbone, x: Tensor) -> Tensor:
    """The backbone written out with two mixers, flips and a norm in plain operations."""
    hidden, residual = x, 0.0
    for layer in model.layers:
        residual = residual + hidden
        rms = residual.square().mean(-1, keepdim=True).add(1e-5).sqrt()
        normed = residual / rms * layer.norm.weight
        hidden = plain_mixer(layer.mixer, 0, normed)
        if model.bidirectional:
            hidden = hidden + plain_mixer(layer.mixer, 1, normed.flip(1)).flip(1)
    total = hidden + residual
    rms = total.square().mean(-1, keepdim=True).add(1e-5).sqrt()
    return total / rms * model.norm_f.weight


def gradients(model: torch.nn.Module, function, x: Tensor) -> dict[str, Tensor]:
    """Output and all gradients of a weighted sum of it."""
    model.zero_grad()
    x = x.detach().clone().requires_grad_()
    out = function(x)
    (out * torch.linspace(-1, 2, out.numel()).view(out.shape)).sum().backward()
    grads = {name: p.grad.clone() for name, p in model.named_parameters()}
    return {"out": out.detach(), "x": x.grad, **grads}


@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("length", [1, 3, 70])
def test_equals_plain_mixers(backend, bidirectional, length):
    torch.manual_seed(0)
    model = varied(BiMambaBackbone(6, 2, d_state=3, bidirectional=bidirectional))
    x = torch.randn(2, length, 6, dtype=torch.float64)
    expected = gradients(model, lambda v: plain_backbone(model, v), x)
    error, name = worst_deviation(gradients(model, model, x), expected)
    assert error < 1e-11, name


@pytest.mark.parametrize(("d_conv", "expand", "dt_rank"), [(2, 1, 3), (3, 2, "auto"), (6, 3, 1)])
def test_other_sizes(backend, d_conv, expand, dt_rank):
    torch.manual_seed(0)
    model = varied(BiMambaBackbone(5, 1, 2, d_conv, expand, dt_rank))
    x = torch.randn(2, 40, 5, dtype=torch.float64)
    expected = gradients(model, lambda v: plain_backbone(model, v), x)
    error, name = worst_deviation(gradients(model, model, x), expected)
    assert error < 1e-11, name


def test_segments_of_the_fused_convolution(monkeypatch):
    """Longer than the pieces that the compiled convolution is cut into."""
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, "numba")
    torch.manual_seed(0)
    model = varied(BiMambaBackbone(4, 1, d_state=2))
    x = torch.randn(1, 700, 4, dtype=torch.float64)
    expected = gradients(model, lambda v: plain_backbone(model, v), x)
    error, name = worst_deviation(gradients(model, model, x), expected)
    assert error < 1e-11, name


def test_float32(backend):
    torch.manual_seed(0)
    model = varied(BiMambaBackbone(16, 3))
    x = torch.randn(2, 120, 16, dtype=torch.float64)
    expected = gradients(model, lambda v: plain_backbone(model, v), x)
    single = copy.deepcopy(model).float()
    got = gradients(single, single, x.float())
    assert worst_deviation({"out": got["out"]}, {"out": expected["out"]})[0] < 1e-5
    error, name = worst_deviation(got, expected)
    assert error < 1e-4, name


def test_bfloat16_autocast(backend):
    torch.manual_seed(0)
    model = BiMambaBackbone(16, 2)
    x = torch.randn(2, 60, 16)
    expected = gradients(model, model, x)
    with torch.autocast("cpu", torch.bfloat16):
        got = gradients(model, model, x)
    for name, value in expected.items():
        similarity = F.cosine_similarity(got[name].flatten().float(), value.flatten(), dim=0)
        assert similarity > 0.99, name


def test_recomputed_activations(backend):
    torch.manual_seed(0)
    model = varied(BiMambaBackbone(6, 2, d_state=3))
    x = torch.randn(2, 30, 6, dtype=torch.float64)
    expected = gradients(model, model, x)
    model.checkpoint_activations = True
    got = gradients(model, model, x)
    assert all(torch.equal(got[name], value) for name, value in expected.items())


def test_same_bytes_twice():
    results = []
    for _ in range(2):
        torch.manual_seed(0)
        model = BiMambaBackbone(32, 2)
        results.append(gradients(model, model, torch.randn(3, 100, 32)))
    assert all(torch.equal(results[1][name], value) for name, value in results[0].items())


def test_empty_batch(backend):
    model = BiMambaBackbone(6, 1, d_state=3)
    got = gradients(model, model, torch.zeros(0, 20, 6))
    assert got["out"].shape == (0, 20, 6)
    assert not any(value.any() for value in got.values())


def test_one_direction_sees_no_later_position(backend):
    torch.manual_seed(0)
    model = varied(BiMambaBackbone(6, 2, d_state=3, bidirectional=False))
    x = torch.randn(1, 50, 6, dtype=torch.float64)
    changed = x.clone()
    changed[:, 30:] += 1
    with torch.no_grad():
        before, after = model(x), model(changed)
    assert torch.equal(before[:, :30], after[:, :30])
    assert not torch.allclose(before[:, 30:], after[:, 30:])


def test_directions_add_up(backend):
    torch.manual_seed(0)
    mixer = varied(BiMambaBackbone(6, 1, d_state=3)).layers[0].mixer
    x = torch.randn(2, 30, 6, dtype=torch.float64)
    parts = mixer.direction_outputs(x)
    assert len(parts) == 2
    assert torch.allclose(sum(parts), mixer(x), rtol=1e-12, atol=1e-14)
    assert torch.allclose(parts[0], plain_mixer(mixer, 0, x), rtol=1e-12, atol=1e-14)


def test_layer_outputs():
    model = BiMambaBackbone(8, 3)
    x = torch.randn(1, 20, 8)
    hidden, layers = model(x, return_layers=True)
    assert torch.equal(hidden, model(x))
    assert len(layers) == 3
    assert torch.equal(layers[0][1], x)
    assert torch.equal(layers[1][1], layers[0][0] + layers[0][1])


def test_parameters_of_the_paper():
    torch.manual_seed(0)
    model = BiMambaBackbone(128, 4)
    assert sum(p.numel() for p in model.parameters()) == 539_264
    for layer in model.layers:
        for direction in layer.mixer.directions:
            steps = F.softplus(direction.dt_proj.bias)
            assert steps.min() > 1e-3 * 0.99
            assert steps.max() < 1e-1 * 1.01
            assert torch.allclose(direction.state_matrix()[0], -torch.arange(1.0, 17))
            assert (direction.D == 1).all()
        limit = 1 / math.sqrt(256) / math.sqrt(4)
        weight = layer.mixer.mamba_fwd.out_proj.weight
        assert weight.abs().max() <= limit
        assert weight.std().item() == pytest.approx(limit / math.sqrt(3), rel=0.05)


@pytest.mark.parametrize("bidirectional", [True, False])
def test_released_names(bidirectional):
    model = BiMambaBackbone(8, 2, bidirectional=bidirectional)
    mapping = released_keys(model)
    assert set(mapping.values()) == set(model.state_dict())
    assert all(from_released_key(theirs) == ours for theirs, ours in mapping.items())
    if bidirectional:
        tied = "layers.0.mixer.mamba_rev.in_proj.weight"
        assert mapping[tied] == "layers.0.mixer.mamba_fwd.in_proj.weight"
    else:
        assert "layers.0.mixer.in_proj.weight" in mapping


def test_released_blocks(golden_dir: Path, backend):
    files = sorted((golden_dir / "scan").glob("bimamba_block_*.safetensors"))
    assert files
    for path in files:
        data = load_file(path)
        block = BiMambaBackbone(data["weight.norm.weight"].numel(), 1).double().layers[0]
        weights = {k[7:]: v.double() for k, v in data.items() if k.startswith("weight.")}
        block.load_state_dict({from_released_key(f"block.{k}")[6:]: v for k, v in weights.items()})
        hidden = data["in.hidden_states"].double().requires_grad_()
        residual = data["in.residual"].double() if "in.residual" in data else None
        out, total = block(hidden, residual)
        torch.autograd.backward(
            [out, total], [data["in.dhidden_out"].double(), data["in.dresidual_out"].double()]
        )
        normed, _ = block.norm(hidden, residual)
        forward, reverse = block.mixer.direction_outputs(normed)
        got = {
            "hidden_out": out,
            "residual_out": total,
            "normed": normed,
            "mamba_fwd_out": forward,
            "mamba_rev_out_unflipped": reverse.flip(1),
            **{f"grad.{name}": p.grad for name, p in block.named_parameters()},
        }
        for name, value in got.items():
            torch.testing.assert_close(
                value.detach(), data[f"f64.{name}"], rtol=1e-9, atol=1e-12, msg=f"{path} {name}"
            )
