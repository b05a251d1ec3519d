"""Residual sum and RMSNorm: the compiled loops against plain operations."""

from __future__ import annotations

import pytest
import torch

from prismflow.models.scan.norm import add_norm

EPS = 1e-5


def outputs(backend, hidden, residual, weight, weights):
    leaves = [x.clone().requires_grad_() for x in (hidden, residual, weight) if x is not None]
    given = leaves if residual is not None else [leaves[0], None, leaves[1]]
    normed, total = add_norm(*given, EPS, backend)
    (normed * weights[0] + total * weights[1]).sum().backward()
    return [normed.detach(), total.detach(), *(leaf.grad for leaf in leaves)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["f32", "f64"])
@pytest.mark.parametrize("shape", [(3, 7, 5), (2, 300, 128), (1, 1, 16), (0, 4, 8), (2, 600, 37)])
@pytest.mark.parametrize("has_residual", [True, False])
def test_compiled_loops_agree_with_plain_operations(shape, dtype, has_residual):
    generator = torch.Generator().manual_seed(1)
    hidden, residual, *weights = (
        torch.randn(shape, generator=generator, dtype=dtype) for _ in range(4)
    )
    weight = torch.randn(shape[-1], generator=generator, dtype=dtype)
    other = residual if has_residual else None
    truth = outputs("chunked", *(x if x is None else x.double() for x in (hidden, other, weight)),
                    [w.double() for w in weights])  # fmt: skip
    found = outputs("numba", hidden, other, weight, weights)
    for mine, true in zip(found, truth, strict=True):
        assert mine.dtype == dtype
        scale = max(1.0, float(true.abs().max())) if true.numel() else 1.0
        bound = scale * (5e-6 if dtype == torch.float32 else 1e-13)
        torch.testing.assert_close(mine.double(), true, rtol=0, atol=bound)


def test_threads_do_not_change_a_bit():
    hidden = torch.randn(4, 700, 64, generator=torch.Generator().manual_seed(2))
    weight = torch.ones(64)
    before, results = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            results.append(outputs("numba", hidden, hidden.flip(1), weight, [hidden, hidden]))
    finally:
        torch.set_num_threads(before)
    for one, two in zip(*results, strict=True):
        assert torch.equal(one, two)


def test_a_row_of_zeros_and_non_contiguous_input():
    hidden = torch.zeros(2, 8, 16).transpose(0, 1)
    for backend in ("chunked", "numba"):
        normed, total = add_norm(hidden, None, torch.ones(16), EPS, backend)
        assert torch.equal(normed, torch.zeros(8, 2, 16)) and torch.equal(total, hidden)


def test_mixed_and_half_precision_take_the_plain_operations():
    hidden = torch.randn(2, 5, 16, generator=torch.Generator().manual_seed(3))
    for low, residual in ((hidden.bfloat16(), hidden.bfloat16()), (hidden, hidden.bfloat16())):
        normed, _ = add_norm(low, residual, torch.ones(16), EPS, "numba")
        plain, _ = add_norm(low, residual, torch.ones(16), EPS, "chunked")
        assert torch.equal(normed, plain)
