"""What makes the same seed give the same numbers; an edit here concerns every network."""

from __future__ import annotations

import torch

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
        # The same switch as use_deterministic_algorithms(True), which would also import the
        # compiler: over a second for every job.
        torch.set_deterministic_debug_mode("error")
        # Else every new tensor is first filled with NaN, a tenth of a training step; no model
        # here reads memory that it has not written.
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    else:
        torch.set_float32_matmul_precision("high")
