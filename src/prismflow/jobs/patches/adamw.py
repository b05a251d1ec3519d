"""AdamW of torch without what only its compiler needs."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch

from prismflow.jobs.patches import Patch

PATCHES = (
    Patch(
        package="torch",
        versions="2.13",
        place="torch.optim:AdamW.step.__wrapped__",
        link="https://github.com/pytorch/pytorch/blob/main/torch/optim/adamw.py",
        why="a training job doesn't import the compiler: a second and 100 MB",
        fallback="torch's own methods, with the same arithmetic",
    ),
)

_GUARDED = ("step", "zero_grad", "add_param_group", "state_dict", "load_state_dict")


class EagerAdamW(torch.optim.AdamW):
    """``torch.optim.AdamW`` without its guards for ``torch.compile``, which nothing here calls.

    The guards import the compiler. The arithmetic is torch's own.
    """


def without_guards(optimiser: type[torch.optim.Optimizer]) -> dict[str, Callable[..., Any]]:
    """Methods of an optimiser under their guards; none of those that have no guard."""
    found = {}
    for name in _GUARDED:
        guarded = getattr(optimiser, name, None)
        plain = inspect.unwrap(guarded) if callable(guarded) else guarded
        if plain is not None and plain is not guarded:
            # A step's outer guard is also what keeps it from being differentiated.
            found[name] = torch.no_grad()(plain) if name == "step" else plain
    return found


for _name, _method in without_guards(torch.optim.AdamW).items():
    setattr(EagerAdamW, _name, _method)
