"""Loss terms of the models, and the Beta distribution that Seq2Exp's mask is drawn from."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import Beta, kl_divergence
from torch.nn import functional

UNIFORMITY_T = 2.0
NORM_FLOOR = 1e-8


def full_precision(x: Tensor) -> Tensor:
    """``x`` in at least float32: half types are widened, float64 stays float64."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def smooth_l1(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean smooth L1 (Huber with beta = 1) between (B,) predictions and (B,) targets.

    The expression loss of every model here (paper, section on training; released code).
    """
    prediction = full_precision(prediction)
    return functional.smooth_l1_loss(prediction, target.to(prediction.dtype))


def context_uniformity(weights: Tensor, t: float = UNIFORMITY_T) -> Tensor:
    r"""Uniformity of the context weights of each sample, a scalar (Prism's third loss).

    .. math:: \mathrm{mean}_b \log \sum_{i,j} \exp(2t\, \tilde a_i \cdot \tilde a_j - 2t), \qquad
              \tilde a = a / (\lVert a \rVert_2 + 10^{-8})

    The pairs i = j are included, as in the released code, so one context gives 0 up to rounding
    and n contexts at least log n.

    Args:
        weights: (B, d_model, n), one column per context.
        t: sharpness of the Gaussian kernel; 2 in the released code.
    """
    weights = full_precision(weights)
    unit = weights / (weights.norm(dim=1, keepdim=True) + NORM_FLOOR)
    gram = unit.transpose(1, 2) @ unit
    return torch.logsumexp((2 * t * gram - 2 * t).flatten(1), dim=1).mean()


def beta_kl(alpha: Tensor, beta: Tensor, prior_alpha: Tensor, prior_beta: Tensor) -> Tensor:
    """Mean KL divergence of Beta(alpha, beta) from Beta(prior_alpha, prior_beta), a scalar.

    The regulariser of Seq2Exp's mask, averaged over batch and positions.
    """
    posterior = Beta(full_precision(alpha), full_precision(beta), validate_args=False)
    prior = Beta(
        prior_alpha.to(posterior.mean.dtype),
        prior_beta.to(posterior.mean.dtype),
        validate_args=False,
    )
    return kl_divergence(posterior, prior).mean()


def mask_continuity(mask: Tensor) -> Tensor:
    """Mean absolute step of (B, L) masks from one position to the next, a scalar.

    The sum over steps is divided by L + 1, as in the released Seq2Exp code.
    """
    mask = full_precision(mask)
    return mask.diff(dim=1).abs().sum(dim=1).mean() / (mask.shape[1] + 1)


def sample_beta(alpha: Tensor, beta: Tensor) -> Tensor:
    """One draw per element of Beta(alpha, beta) with implicitly reparameterised gradients."""
    return Beta(full_precision(alpha), full_precision(beta), validate_args=False).rsample()


def weighed(term: Tensor, weight: float) -> Tensor:
    """weight * term, without launching a product with 1."""
    return term if weight == 1 else weight * term
