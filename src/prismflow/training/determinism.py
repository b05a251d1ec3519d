"""What makes the same seed give the same numbers; an edit here concerns every network."""

from __future__ import annotations

import torch


def make_deterministic(device: torch.device) -> None:
    """Same seed, same bytes on a CPU; on CUDA allow TF32 products, as the released training did."""
    if device.type == "cpu":
        # The same switch as use_deterministic_algorithms(True), which would also import the
        # compiler: over a second for every job.
        torch.set_deterministic_debug_mode("error")
        # Else every new tensor is first filled with NaN, a tenth of a training step; no model
        # here reads memory that it has not written.
        torch.utils.deterministic.fill_uninitialized_memory = False
    else:
        torch.set_float32_matmul_precision("high")
