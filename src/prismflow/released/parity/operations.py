"""Folders of single operations: scans, convolutions, bidirectional blocks, Beta gradients."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from prismflow.errors import InputError
from prismflow.models.bimamba import Block, Mixer, from_released_key
from prismflow.models.losses import beta_kl
from prismflow.models.scan import selective_scan
from prismflow.models.scan.conv import causal_conv
from prismflow.released.parity.compare import Report, Tolerances
from prismflow.released.parity.mamba_networks import FixedBetaSample
from prismflow.released.parity.tensors import DTYPES, prefixed, read_tensors

SCAN_INPUTS = ("u", "delta", "A", "B", "C", "D", "z", "delta_bias")
_KL = re.compile(r"kl_to_beta_([\d.]+)_([\d.]+)")
LEAF_GRADIENTS = ("grad.in.", "dx_")
Operation = Callable[[dict[str, Tensor], dict[str, Tensor]], dict[str, Tensor]]


def is_scan(path: Path) -> bool:
    """Whether the folder holds cases of scans, convolutions or blocks."""
    patterns = ("scan_*.safetensors", "conv_*.safetensors", "bimamba_block_*.safetensors")
    return any(any(path.glob(pattern)) for pattern in patterns)


def is_beta(path: Path) -> bool:
    """Whether the folder holds gradients of Beta draws."""
    return (path / "beta_implicit_grad.safetensors").is_file()


def check_scan(path: Path) -> Report:
    """Compare values and gradients of every case of the folder.

    Raises:
        InputError: a file cannot be read or lacks an input.
    """
    report = Report(path, "scan")
    cases = {}
    if (path / "cases.json").is_file():
        cases = json.loads((path / "cases.json").read_text(encoding="utf-8"))
    for file in sorted(path.glob("*.safetensors")):
        case = read_tensors(file)
        try:
            if file.stem.startswith("scan_"):
                _check(report, file.stem, case, _scan)
            elif file.stem.startswith("conv_"):
                silu = cases.get(file.stem, {}).get("activation", "silu") == "silu"
                _check(report, file.stem, case, functools.partial(_conv_case, silu))
            elif file.stem.startswith("bimamba_block_"):
                _check(report, file.stem, case, _block)
            else:
                report.not_compared.append(file.stem)
        except KeyError as error:
            raise InputError(f"{file}: expected the tensor {error}, found none.") from None
    return report


def shared_leaf(found: dict[str, dict[str, Tensor]], key: str, reference: Tensor) -> Tensor:
    """Our value of a float32 gradient that the reference has in float32 only.

    In the reference data the float32 input is the leaf of both runs (the float64 run upcasts it),
    so its gradient is the sum of both; data from a fresh leaf hold one. The nearer one is meant.
    """
    alone = found["f32"][key]
    both = alone.double() + found["f64"][key]
    distances = [float((value.double() - reference).abs().max()) for value in (alone, both)]
    return both if distances[1] < distances[0] else alone


def _check(report: Report, name: str, case: dict[str, Tensor], operation: Operation) -> None:
    found = {}
    for precision, dtype in DTYPES.items():
        inputs = {
            key: value.to(dtype) if value.is_floating_point() else value
            for key, value in prefixed(case, "in.").items()
        }
        found[precision] = operation(inputs, case)
    _compare(report, f"{name}.", case, found)


def _compare(
    report: Report,
    prefix: str,
    case: dict[str, Tensor],
    found: dict[str, dict[str, Tensor]],
) -> None:
    wide = prefixed(case, "f64.")
    for key, reference in wide.items():
        if key in found["f64"]:
            report.float64(f"{prefix}f64.{key}", found["f64"][key], reference)
        else:
            report.not_compared.append(f"{prefix}f64.{key}")
    for key, reference in prefixed(case, "f32.").items():
        full = f"{prefix}f32.{key}"
        if key not in found["f32"]:
            report.not_compared.append(full)
        elif key in wide:
            report.float32(full, found["f32"][key], wide[key], reference, Tolerances())
        else:
            ours = found["f32"][key]
            if key.startswith(LEAF_GRADIENTS):
                ours = shared_leaf(found, key, reference)
            report.float32(full, ours, reference, None, Tolerances())


def _scan(inputs: dict[str, Tensor], case: dict[str, Tensor]) -> dict[str, Tensor]:
    leaves: dict[str, Any] = {n: inputs[n].requires_grad_() for n in SCAN_INPUTS if n in inputs}
    softplus = bool(case["meta.delta_softplus"])
    out, last = selective_scan(**leaves, delta_softplus=softplus, return_last_state=True)
    out.backward(inputs["dout"])
    return {"out": out.detach(), "last_state": last.detach(), **_gradients(leaves)}


def _conv_case(silu: bool, inputs: dict[str, Tensor], case: dict[str, Tensor]) -> dict[str, Tensor]:
    return _conv(inputs, silu)


def _conv(inputs: dict[str, Tensor], silu: bool) -> dict[str, Tensor]:
    names = [name for name in ("x", "weight", "bias") if name in inputs]
    leaves: dict[str, Tensor] = {name: inputs[name].requires_grad_() for name in names}
    out = causal_conv(leaves["x"].transpose(1, 2), leaves["weight"], leaves.get("bias"), silu)
    out = out.transpose(1, 2)
    out.backward(inputs["dout"])
    return {"out": out.detach(), **_gradients(leaves)}


def _block(inputs: dict[str, Tensor], case: dict[str, Tensor]) -> dict[str, Tensor]:
    weights = prefixed(case, "weight.")
    block = _build_block(weights).to(inputs["hidden_states"].dtype)
    leaves = {
        f"in.{name}": inputs[name].requires_grad_()
        for name in ("hidden_states", "residual")
        if name in inputs
    }
    hidden, residual = block(leaves["in.hidden_states"], leaves.get("in.residual"))
    outputs, gradients = [hidden], [inputs["dhidden_out"]]
    if "dresidual_out" in inputs:
        outputs.append(residual)
        gradients.append(inputs["dresidual_out"])
    torch.autograd.backward(outputs, gradients)
    parameters = dict(block.named_parameters())
    released = {name: parameters[from_released_key(name)] for name in weights}
    found = {"hidden_out": hidden.detach(), "residual_out": residual.detach()}
    with torch.no_grad():
        normed, _ = block.norm(leaves["in.hidden_states"], leaves.get("in.residual"))
        parts = block.mixer.direction_outputs(normed)
    # The reference keeps the reverse mixer's output in its own, flipped order.
    found |= {"mamba_fwd_out": parts[0], "mamba_rev_out_unflipped": parts[1].flip(1)}
    return found | {"normed": normed, **_gradients(leaves), **_gradients(released)}


def _build_block(weights: dict[str, Tensor]) -> Block:
    d_inner, d_state = weights["mixer.mamba_fwd.A_log"].shape
    d_model = weights["norm.weight"].shape[0]
    d_conv = weights["mixer.mamba_fwd.conv1d.weight"].shape[-1]
    rank = weights["mixer.mamba_fwd.dt_proj.weight"].shape[1]
    mixer = Mixer(d_model, d_state, d_conv, d_inner // d_model, rank, bidirectional=True)
    block = Block(d_model, mixer)
    block.load_state_dict({from_released_key(name): value for name, value in weights.items()})
    return block


def _gradients(leaves: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"grad.{name}": leaf.grad for name, leaf in leaves.items() if leaf.grad is not None}


def check_beta(path: Path) -> Report:
    """Compare implicit gradients of Beta draws, and KL divergences from a Beta prior.

    Raises:
        InputError: the file cannot be read or lacks an input.
    """
    report = Report(path, "beta")
    tensors = read_tensors(path / "beta_implicit_grad.safetensors")
    missing = [name for name in ("alpha", "beta", "sample") if name not in tensors]
    if missing:
        raise InputError(f"{path}: expected the tensors {', '.join(missing)}, found none.")
    found: dict[str, dict[str, Tensor]] = {}
    for precision, dtype in DTYPES.items():
        alpha, beta, sample = (tensors[n].to(dtype) for n in ("alpha", "beta", "sample"))
        found[precision] = _beta_gradients(alpha, beta, sample)
        for key in prefixed(tensors, f"{precision}."):
            if divergence := _KL.fullmatch(key):
                prior = [
                    torch.full((1,), float(value), dtype=dtype) for value in divergence.groups()
                ]
                pairs = zip(alpha.split(1), beta.split(1), strict=True)
                found[precision][key] = torch.stack([beta_kl(a, b, *prior) for a, b in pairs])
    _compare(report, "", tensors, found)
    return report


def _beta_gradients(alpha: Tensor, beta: Tensor, sample: Tensor) -> dict[str, Tensor]:
    alpha, beta = alpha.clone().requires_grad_(), beta.clone().requires_grad_()
    pair = torch.stack([sample, 1 - sample], dim=-1)
    FixedBetaSample.apply(alpha, beta, pair).sum().backward()
    gradients = {"dx_dalpha": alpha.grad, "dx_dbeta": beta.grad}
    return {name: value for name, value in gradients.items() if value is not None}
