"""Torch's own operations behind its Fourier transforms, whose work torch does not count."""

from __future__ import annotations

from typing import Any

import torch

from prismflow.jobs.patches import Patch

_NAMES = ("_fft_r2c", "_fft_c2r")

PATCHES = tuple(
    Patch(
        package="torch",
        versions="2.13",
        place=f"torch.ops.aten:{name}",
        link="https://github.com/pytorch/pytorch/blob/main/aten/src/ATen/native/"
        "native_functions.yaml",
        why="operations of a Fourier transform count as a model's work",
        fallback="they are left out of the count",
    )
    for name in _NAMES
)


def transform_operations() -> list[Any]:
    """Those of the operations that this torch has."""
    found = [getattr(torch.ops.aten, name, None) for name in _NAMES]
    return [operation for operation in found if operation is not None]
