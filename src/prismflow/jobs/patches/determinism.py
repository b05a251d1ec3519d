"""Torch's switch for equal results on a CPU, without what only its compiler needs."""

from __future__ import annotations

import torch

from prismflow.jobs.patches import Patch

PATCHES = (
    Patch(
        package="torch",
        versions="2.13",
        place="torch:set_deterministic_debug_mode",
        link="https://docs.pytorch.org/docs/stable/generated/torch.set_deterministic_debug_mode.html",
        why="sets the switch of use_deterministic_algorithms(True) without importing the compiler: "
        "over a second for every job",
        fallback="use_deterministic_algorithms(True): the same results, a slower start",
    ),
    Patch(
        package="torch",
        versions="2.13",
        place="torch.utils.deterministic:fill_uninitialized_memory",
        link="https://docs.pytorch.org/docs/stable/deterministic.html",
        why="new tensors aren't first filled with NaN, a tenth of a training step; no model here "
        "reads memory that it has not written",
        fallback="they are filled: the same results, slower",
    ),
)


def make_cpu_deterministic() -> None:
    """Same seed, same bytes on a CPU, whatever this torch calls it."""
    switch = getattr(torch, "set_deterministic_debug_mode", None)
    if switch is None:
        torch.use_deterministic_algorithms(True)
    else:
        switch("error")
    memory = getattr(torch.utils, "deterministic", None)
    if hasattr(memory, "fill_uninitialized_memory"):
        # Not declared in torch's types.
        setattr(memory, "fill_uninitialized_memory", False)  # noqa: B010
