"""Loss terms against their formulas."""

from __future__ import annotations

import math

import pytest
import torch

from prismflow.models.losses import (
    beta_kl,
    context_uniformity,
    full_precision,
    mask_continuity,
    sample_beta,
    smooth_l1,
)


def test_smooth_l1_is_quadratic_inside_and_linear_outside() -> None:
    prediction, target = torch.tensor([0.5, 3.0, -2.0]), torch.tensor([0.0, 0.0, 0.0])
    expected = (0.5 * 0.25 + (3 - 0.5) + (2 - 0.5)) / 3
    assert smooth_l1(prediction, target).item() == pytest.approx(expected)


def test_low_precision_is_widened_and_float64_kept() -> None:
    assert full_precision(torch.zeros(1, dtype=torch.bfloat16)).dtype == torch.float32
    assert full_precision(torch.zeros(1, dtype=torch.float64)).dtype == torch.float64
    assert smooth_l1(torch.zeros(2, dtype=torch.bfloat16), torch.ones(2)).dtype == torch.float32


@pytest.mark.parametrize("n", [1, 2, 4])
def test_uniformity_follows_its_formula(n: int) -> None:
    generator = torch.Generator().manual_seed(n)
    weights = torch.rand(3, 5, n, generator=generator, dtype=torch.float64)
    expected = []
    for sample in weights:
        unit = [sample[:, i] / (sample[:, i].norm() + 1e-8) for i in range(n)]
        terms = [math.exp(2 * 2 * float(a @ b) - 2 * 2) for a in unit for b in unit]
        expected.append(math.log(sum(terms)))
    assert context_uniformity(weights).item() == pytest.approx(sum(expected) / 3, abs=1e-12)


@pytest.mark.parametrize(("n", "low", "high"), [(2, 0.711, 1.387), (4, 1.440, 2.773)])
def test_uniformity_of_positive_weights_stays_in_its_range(n: int, low: float, high: float) -> None:
    # Orthogonal and equal weight vectors are the extremes among positive ones.
    orthogonal, equal = torch.eye(n).unsqueeze(0), torch.ones(1, n, n)
    assert context_uniformity(orthogonal).item() == pytest.approx(low, abs=1e-3)
    assert context_uniformity(equal).item() == pytest.approx(high, abs=1e-3)


def test_uniformity_of_one_context_is_zero_up_to_rounding() -> None:
    assert abs(context_uniformity(torch.rand(4, 8, 1)).item()) < 1e-6


def test_beta_kl_is_zero_for_equal_distributions_and_positive_otherwise() -> None:
    alpha, beta = torch.full((2, 3), 10.0), torch.full((2, 3), 90.0)
    prior = torch.tensor([10.0]), torch.tensor([90.0])
    assert beta_kl(alpha, beta, *prior).item() == pytest.approx(0, abs=1e-4)
    assert beta_kl(alpha + 5, beta, *prior).item() > 0.1


def test_mask_continuity_counts_steps() -> None:
    mask = torch.tensor([[0.0, 1.0, 1.0, 0.0], [1.0, 1.0, 1.0, 1.0]])
    assert mask_continuity(mask).item() == pytest.approx((2 / 5 + 0) / 2)


def test_beta_samples_have_the_right_mean_and_gradient() -> None:
    torch.manual_seed(0)
    alpha = torch.full((20_000,), 2.0, requires_grad=True)
    beta = torch.full((20_000,), 3.0)
    draws = sample_beta(alpha, beta)
    draws.mean().backward()
    assert draws.mean().item() == pytest.approx(0.4, abs=0.01)
    # d/da of a / (a + b) at (2, 3)
    assert alpha.grad.sum().item() == pytest.approx(3 / 25, abs=0.01)
