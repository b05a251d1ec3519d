"""Other ways to run the same scan, written for comparison: the loops that are in use elsewhere.

All take u, delta (B, L, D), A (D, N), B, C (B, L, N), D (D,), bias (D,) and return (B, L, D).
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from prismflow.models.scan import selective_scan_bld


def indexed_loop(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, bias: Tensor
) -> Tensor:
    """One step per position, indexing the inputs; its backward is quadratic in the length."""
    delta = F.softplus(delta + bias)
    decay = torch.exp(delta[..., None] * A)
    added = (delta * u)[..., None] * B[:, :, None, :]
    h = u.new_zeros(u.shape[0], u.shape[2], A.shape[1])
    outputs = []
    for t in range(u.shape[1]):
        h = decay[:, t] * h + added[:, t]
        outputs.append(torch.einsum("bdn,bn->bd", h, C[:, t]))
    return torch.stack(outputs, dim=1) + u * D


def unbind_loop(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, bias: Tensor
) -> Tensor:
    """The same with the inputs unbound along the length once: linear, and still a loop."""
    delta = F.softplus(delta + bias)
    decay = torch.exp(delta[..., None] * A).unbind(1)
    added = ((delta * u)[..., None] * B[:, :, None, :]).unbind(1)
    h = u.new_zeros(u.shape[0], u.shape[2], A.shape[1])
    outputs = []
    for decay_t, added_t, C_t in zip(decay, added, C.unbind(1), strict=True):
        h = decay_t * h + added_t
        outputs.append((h @ C_t[..., None])[..., 0])
    return torch.stack(outputs, dim=1) + u * D


def mambapy_scan(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, bias: Tensor
) -> Tensor:
    """The parallel scan of the package mambapy."""
    from mambapy.pscan import pscan

    delta = F.softplus(delta + bias)
    decay = torch.exp(delta[..., None] * A)
    added = (delta * u)[..., None] * B[:, :, None, :]
    states = pscan(decay, added)
    return (states @ C[..., None])[..., 0] + u * D


def ours(backend: str) -> Callable[..., Tensor]:
    """A backend of this project with the same arguments."""

    def scan(
        u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, bias: Tensor
    ) -> Tensor:
        return selective_scan_bld(u, delta, A, B, C, D, None, bias, True, backend=backend)

    return scan


def peers() -> dict[str, Callable[..., Tensor]]:
    """By name; mambapy only where it can be imported."""
    found = {
        "numba": ours("numba"),
        "chunked": ours("chunked"),
        "unbind loop": unbind_loop,
        "indexed loop": indexed_loop,
    }
    if importlib.util.find_spec("mambapy") is None:
        print("# mambapy is not installed: its rows are left out")
    else:
        found["mambapy"] = mambapy_scan
    return found
