"""What makes the same seed give the same numbers; an edit here concerns every network."""

from __future__ import annotations

import torch

from prismflow.jobs.patches.determinism import make_cpu_deterministic
from prismflow.training.devices import choose_device, keep_freed_memory, set_threads


def prepare_device(device: str, threads: int | None, keep_freed: bool = True) -> torch.device:
    """Set up the process for a network: threads, memory, device, equal results.

    Args:
        device: see :func:`~prismflow.training.devices.choose_device`.
        threads: see :func:`~prismflow.training.devices.set_threads`.
        keep_freed: False where memory is short.

    Raises:
        InputError: a device that is not there, or fewer than one thread.
    """
    set_threads(threads)
    if keep_freed:
        keep_freed_memory()
    chosen = choose_device(device)
    make_deterministic(chosen)
    return chosen


def make_deterministic(device: torch.device) -> None:
    """Same seed, same bytes on a CPU; on CUDA allow TF32 products, as the released training did."""
    if device.type == "cpu":
        make_cpu_deterministic()
    else:
        torch.set_float32_matmul_precision("high")
