"""The selective scan of Mamba (state-space model with input-dependent steps), in four backends.

With a_t = exp(delta_t A) and the Euler step for B (paper, section on the backbone; the released
models use the same discretisation):

    h_t = a_t * h_{t-1} + delta_t u_t B_t          y_t = C_t . h_t + D u_t          h_0 = 0

``reference`` is a loop (any device, float64 truth of the tests), ``chunked`` is plain torch for
anywhere, ``numba`` is compiled for CPUs and ``triton`` for CUDA devices.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import logging
import os
from types import ModuleType

import torch
import torch.nn.functional as F
from torch import Tensor

from prismflow.errors import InputError

logger = logging.getLogger(__name__)

ENVIRONMENT_VARIABLE = "PRISMFLOW_SCAN_BACKEND"
_MODULES = {
    "reference": "prismflow.models.scan.reference",
    "chunked": "prismflow.models.scan.chunked",
    "numba": "prismflow.models.scan.numba_backend",
    "triton": "prismflow.models.scan.triton_backend",
}
BACKENDS = tuple(_MODULES)
_announced: set[tuple[str, str]] = set()


def selective_scan(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None = None,
    z: Tensor | None = None,
    delta_bias: Tensor | None = None,
    delta_softplus: bool = False,
    reverse: bool = False,
    backend: str = "auto",
    return_last_state: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """Selective scan in the published layout, length last.

    Args:
        u, delta: (B, D, L) input and step sizes.
        A: (D, N) state matrix, negative for a stable scan.
        B, C: (B, N, L) input and output matrices.
        D: (D,) skip connection.
        z: (B, D, L) gate; the output is multiplied by silu(z).
        delta_bias: (D,) added to delta before the softplus.
        delta_softplus: apply softplus to delta.
        reverse: scan from the last position to the first; equal to flipping u, delta, B, C, z and
            the result along the length.
        backend: ``auto`` or one of :data:`BACKENDS`; the environment variable
            PRISMFLOW_SCAN_BACKEND overrides ``auto``.
        return_last_state: also return the final state (B, D, N), without gradient except in the
            reference.

    Returns:
        (B, D, L) in the dtype of u; computed in float64 if u or delta are, else in float32.

    Raises:
        InputError: shapes that do not fit, or a backend that is unknown or cannot do this.
    """
    result = selective_scan_bld(
        u.transpose(1, 2),
        delta.transpose(1, 2),
        A,
        B.transpose(1, 2),
        C.transpose(1, 2),
        D,
        None if z is None else z.transpose(1, 2),
        delta_bias,
        delta_softplus,
        reverse,
        backend,
        return_last_state,
    )
    if isinstance(result, tuple):
        return result[0].transpose(1, 2), result[1]
    return result.transpose(1, 2)


def selective_scan_bld(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None = None,
    z: Tensor | None = None,
    delta_bias: Tensor | None = None,
    delta_softplus: bool = False,
    reverse: bool = False,
    backend: str = "auto",
    return_last_state: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """Selective scan with channels last, the layout that every backend works in.

    As :func:`selective_scan`, with u, delta, z (B, L, D) and B, C (B, L, N); returns (B, L, D).
    """
    _check_shapes(u, delta, A, B, C, D, z, delta_bias)
    y, last = scan_groups(
        u[None],
        delta[None],
        A[None],
        B[None],
        C[None],
        None if D is None else D[None],
        None if delta_bias is None else delta_bias[None],
        delta_softplus,
        (reverse,),
        backend,
    )
    out = y[0]
    if z is not None:
        out = out * F.silu(z.to(out.dtype))
    out = out.to(u.dtype)
    return (out, last[0]) if return_last_state else out


def scan_groups(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    delta_bias: Tensor | None,
    delta_softplus: bool,
    reverse: tuple[bool, ...],
    backend: str = "auto",
) -> tuple[Tensor, Tensor]:
    """Scan G groups with parameters of their own, such as the two directions of a block.

    Args:
        u, delta: (G, B, L, D).
        A: (G, D, N).
        B, C: (G, B, L, N).
        D, delta_bias: (G, D) or None.
        delta_softplus: apply softplus to delta (+ bias).
        reverse: for each group whether it is scanned from the end.
        backend: as in :func:`selective_scan`.

    Returns:
        y (G, B, L, D) and the last states (G, B, D, N), in the dtype of the computation.
    """
    dtype = torch.float64 if torch.float64 in (u.dtype, delta.dtype) else torch.float32
    module = load_backend(choose_backend(u.device, dtype, backend))
    tensors = [None if x is None else x.to(dtype) for x in (u, delta, A, B, C, D, delta_bias)]
    return module.scan(*tensors, delta_softplus, reverse)


def choose_backend(device: torch.device, dtype: torch.dtype, requested: str = "auto") -> str:
    """The backend for tensors on ``device``, computed in ``dtype``; logs each new choice once.

    Raises:
        InputError: an unknown backend, or one that is not installed here or cannot work on this
            device or with this dtype.
    """
    source = "asked for"
    if requested == "auto":
        requested = os.environ.get(ENVIRONMENT_VARIABLE, "auto") or "auto"
        source = f"environment variable {ENVIRONMENT_VARIABLE}"
    if requested == "auto":
        name, reason = _automatic(device, dtype)
    elif requested in BACKENDS:
        name, reason = requested, source
        problem = _problem(name, device, dtype)
        if problem is not None:
            raise InputError(f"selective scan backend {name!r} ({source}): {problem}.")
    else:
        raise InputError(
            f"selective scan backend {requested!r} ({source}) is unknown: expected auto or one of "
            f"{', '.join(BACKENDS)}."
        )
    if (name, device.type) not in _announced:
        _announced.add((name, device.type))
        logger.info("selective scan on %s: %s (%s)", device.type, name, reason)
    return name


def load_backend(name: str) -> ModuleType:
    """The module of a backend."""
    return importlib.import_module(_MODULES[name])


def _automatic(device: torch.device, dtype: torch.dtype) -> tuple[str, str]:
    preferred = {"cpu": "numba", "cuda": "triton"}.get(device.type)
    if preferred is None:
        return "chunked", f"no compiled backend for {device.type}"
    problem = _problem(preferred, device, dtype)
    tried = device.type == "cuda" and dtype == torch.float32 and _is_installed(preferred)
    if problem is not None and tried:
        # A training that crawls for days is worse than one that says at once what it lacks.
        raise InputError(
            f"selective scan on cuda: {problem}; {ENVIRONMENT_VARIABLE}=chunked goes on without, "
            "about 80 times slower."
        )
    if problem is None:
        return preferred, f"the fastest for {device.type}"
    return "chunked", f"{preferred} was passed over: {problem}"


def _problem(name: str, device: torch.device, dtype: torch.dtype) -> str | None:
    """Why the backend cannot serve here, or None."""
    if name not in ("numba", "triton"):
        return None
    if not _is_installed(name):
        return f"the package {name} is not installed"
    return load_backend(name).problem(device, dtype)


@functools.cache
def _is_installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def _check_shapes(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    z: Tensor | None,
    delta_bias: Tensor | None,
) -> None:
    if u.dim() != 3 or A.dim() != 2:
        raise InputError(
            "selective scan: expected u with 3 and A with 2 dimensions, found shapes "
            f"{tuple(u.shape)} and {tuple(A.shape)}."
        )
    batch, length, dim = u.shape
    state = A.shape[1]
    expected = {
        "delta": (delta, (batch, length, dim)),
        "A": (A, (dim, state)),
        "B": (B, (batch, length, state)),
        "C": (C, (batch, length, state)),
        "D": (D, (dim,)),
        "z": (z, (batch, length, dim)),
        "delta_bias": (delta_bias, (dim,)),
    }
    for name, (tensor, shape) in expected.items():
        if tensor is not None and tuple(tensor.shape) != shape:
            raise InputError(
                f"selective scan: {name} does not fit u: expected {shape} (batch, length and dim "
                f"of u, state size of A; length last in selective_scan), found "
                f"{tuple(tensor.shape)}."
            )
        if tensor is not None and tensor.device != u.device:
            raise InputError(
                f"selective scan: {name} is on {tensor.device}, but u is on {u.device}."
            )
