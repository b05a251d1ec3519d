"""Inputs and comparisons shared by the tests of the scan; run as a script, checks Triton.

TRITON_INTERPRET=1 python scan_cases.py      # on a CPU, by Triton's interpreter
"""

from __future__ import annotations

import os
from typing import Any

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

    # Memory that is not written must not be read: it holds NaN here.
    torch.use_deterministic_algorithms(True)
    check_as_shipped()
    triton_backend.LONG = 16_384
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
    check_prepared_block()
    print("triton agrees with the reference")


def check_as_shipped() -> None:
    """The kernels at the tile and channels that are shipped, rows in both precisions.

    In bfloat16 also with the kept states in bfloat16, as in long windows.
    """
    from prismflow.models.scan import scan_groups, triton_backend

    batch, length, dim, state, rank = 1, 11, 70, 3, 2
    generator = torch.Generator().manual_seed(1)
    shapes = ((2, batch, length, dim), (2, batch, length, dim),
              (2, batch, length, rank + 2 * state), (batch, length, dim))  # fmt: skip
    rows = [torch.randn(shape, generator=generator) for shape in shapes]
    A = -torch.arange(1.0, state + 1).repeat(2, dim, 1)
    D, bias = torch.ones(2, dim), torch.full((2, dim), -1.0)
    for dtype, long, tolerance in (
        (torch.float32, 10**9, 5e-6), (torch.bfloat16, 10**9, 0.01), (torch.bfloat16, 1, 0.01),
    ):  # fmt: skip
        triton_backend.LONG = long
        u, delta, proj, dy = (x.to(dtype) for x in rows)
        given = (u, delta, A, proj, D, bias, rank, True, (False, True))
        y, _, bounds = triton_backend.forward(*given, True)
        assert bounds.dtype == (dtype if long == 1 else torch.float32)
        got = triton_backend.backward(*given, bounds, dy)
        exact = [x.detach().double().requires_grad_() for x in (u, delta, A, proj, D, bias)]
        B, C = exact[3][..., rank:].chunk(2, dim=-1)
        out, _ = scan_groups(*exact[:3], B, C, *exact[4:], True, (False, True), "chunked")
        out.backward(dy.double().expand_as(out))
        grads = [x.grad[..., rank:] if i == 3 else x.grad for i, x in enumerate(exact)]
        names = ("u", "delta", "A", "BC", "D", "bias")
        found = {"y": y, **dict(zip(names, got, strict=True))}
        expected = {"y": out.detach(), **dict(zip(names, grads, strict=True))}
        error, name = worst_deviation(found, expected)
        print(f"{dtype}, states in bf16: {long == 1}: {error:.1e} ({name})")
        assert error < tolerance, (dtype, long, name, error)


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


def check_prepared_block() -> None:
    """bfloat16 rows, as on a device: parameters made ready together change no number."""
    from prismflow.models import bimamba
    from prismflow.models.scan import mixer, triton_backend, triton_pointwise

    def on_device(xz: Tensor, *given: Any) -> Tensor:
        # On a CPU ``mix`` widens the rows.
        parameters, matrix = given[:7], (*given, None)[8]
        return mixer._Mix.apply(xz, *parameters, triton_pointwise, triton_backend, matrix)

    os.environ[ENVIRONMENT_VARIABLE] = "triton"
    torch.manual_seed(0)
    model = BiMambaBackbone(4, 2, d_state=2)
    x = torch.randn(2, 9, 4)
    bimamba.mix = on_device
    results = []
    for together in (True, False):
        bimamba.launches_cost = lambda device, on=together: on
        model.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            out = model(x)
        (out * torch.arange(4.0)).sum().backward()
        results.append([out.detach(), *(p.grad.clone() for p in model.parameters())])
    for got, expected in zip(*results, strict=True):
        assert torch.equal(got, expected)


if __name__ == "__main__":
    check_triton()
