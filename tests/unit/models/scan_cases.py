"""Inputs and comparisons shared by the tests of the scan; run as a script, checks Triton.

TRITON_INTERPRET=1 python scan_cases.py      # on a CPU, by Triton's interpreter
"""

from __future__ import annotations

import os

import torch
from torch import Tensor

from prismflow.models.bimamba import BiMambaBackbone
from prismflow.models.scan import ENVIRONMENT_VARIABLE, selective_scan_bld

SHIFTS = {"usual": -3.0, "underflow": 8.0, "long": -9.0}


def scan_inputs(
    batch: int, length: int, dim: int, state: int, regime: str = "usual", seed: int = 0
) -> dict[str, Tensor]:
    """Float64 inputs and the gradient ``dout`` of the output; ``underflow`` has decays of 0."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    return {
        "u": draw(batch, length, dim),
        "delta": draw(batch, length, dim) + SHIFTS[regime],
        "A": -torch.arange(1.0, state + 1).repeat(dim, 1) * torch.exp(0.3 * draw(dim, state)),
        "B": draw(batch, length, state),
        "C": draw(batch, length, state),
        "D": draw(dim),
        "z": draw(batch, length, dim),
        "delta_bias": 0.1 * draw(dim),
        "dout": draw(batch, length, dim),
    }


def run_scan(
    inputs: dict[str, Tensor],
    backend: str,
    dtype: torch.dtype = torch.float64,
    device: str = "cpu",
    **options: bool,
) -> dict[str, Tensor]:
    """Output, last state and all gradients."""
    given = {name: x.detach().to(device, dtype, copy=True) for name, x in inputs.items()}
    dout = given.pop("dout")
    for tensor in given.values():
        tensor.requires_grad_()
    options.setdefault("delta_softplus", True)
    out, last = selective_scan_bld(**given, backend=backend, return_last_state=True, **options)
    out.backward(dout)
    grads = {
        f"grad.{name}": torch.zeros_like(tensor) if tensor.grad is None else tensor.grad
        for name, tensor in given.items()
    }
    return {"out": out.detach(), "last": last.detach(), **grads}


def worst_deviation(got: dict[str, Tensor], expected: dict[str, Tensor]) -> tuple[float, str]:
    """Largest max|got - expected| / max|expected| over the tensors, and the tensor's name.

    Tensors that are 0 throughout, such as the gradient of A after one step, compare absolutely.
    """
    worst = (0.0, "")
    for name, reference in expected.items():
        assert got[name].shape == reference.shape, name
        if reference.numel() == 0:
            continue
        error = (got[name].double() - reference.double()).abs().max().item()
        scale = reference.double().abs().max().item()
        worst = max(worst, (error / scale if scale > 0 else error, name))
    return worst


def check_triton() -> None:
    """Compare the Triton kernels with the reference at small sizes, whole and in segments."""
    from prismflow.models.scan import triton_backend, triton_pointwise

    triton_backend.CHANNELS, triton_backend.TILE = 16, 4
    triton_pointwise.CHANNELS, triton_pointwise.ROWS, triton_pointwise.NORM_ROWS = 16, 8, 8
    for batch, length, dim, state, regime, programs in (
        (1, 1, 5, 3, "usual", 1), (2, 7, 3, 2, "usual", 1), (1, 11, 18, 2, "underflow", 64),
    ):  # fmt: skip
        triton_backend.PROGRAMS = programs
        for reverse in (False, True):
            inputs = scan_inputs(batch, length, dim, state, regime)
            expected = run_scan(inputs, "reference", reverse=reverse)
            got = run_scan(inputs, "triton", torch.float32, reverse=reverse)
            error, name = worst_deviation(got, expected)
            assert error < 5e-6, (batch, length, dim, state, programs, reverse, name, error)
    check_triton_block()
    print("triton agrees with the reference")


def check_triton_block() -> None:
    """The whole backbone on Triton kernels against the reference in float64."""
    torch.manual_seed(0)
    model = BiMambaBackbone(4, 2, d_state=2)
    x = torch.randn(2, 9, 4)
    results = {}
    for backend, dtype in (("reference", torch.float64), ("triton", torch.float32)):
        os.environ[ENVIRONMENT_VARIABLE] = backend
        model = model.to(dtype)
        model.zero_grad()
        out = model(x.to(dtype))
        (out * torch.arange(4.0, dtype=dtype)).sum().backward()
        grads = {name: p.grad.clone() for name, p in model.named_parameters()}
        results[backend] = {"out": out.detach(), **grads}
    error, name = worst_deviation(results["triton"], results["reference"])
    assert error < 1e-4, (name, error)


if __name__ == "__main__":
    check_triton()
