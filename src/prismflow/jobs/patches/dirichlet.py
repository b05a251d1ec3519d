"""Torch's gradient of a Dirichlet draw at a draw of somebody else's."""

from __future__ import annotations

import torch
from torch import Tensor

from prismflow.errors import InputError
from prismflow.jobs.patches import Patch

PATCHES = (
    Patch(
        package="torch",
        versions="2.13",
        place="torch:_dirichlet_grad",
        link="https://github.com/pytorch/pytorch/blob/main/torch/distributions/dirichlet.py",
        why="recorded draws of Seq2Exp are replayed with the gradients of the original run",
        fallback="the comparison with recorded runs ends in a sentence; nothing else needs it",
    ),
)


def dirichlet_gradient(sample: Tensor, shapes: Tensor, total: Tensor) -> Tensor:
    """Implicit gradient of a Dirichlet draw with respect to its parameters.

    Args:
        sample, shapes, total: draw, concentrations and their sum, (..., 2) each.

    Raises:
        InputError: this torch has it elsewhere.
    """
    function = getattr(torch, "_dirichlet_grad", None)
    if function is None:
        raise InputError(
            f"replay of Seq2Exp: expected torch {PATCHES[0].versions}, found {torch.__version__}, "
            "which has the gradient of a Dirichlet draw elsewhere; install the locked one."
        )
    gradient: Tensor = function(sample, shapes, total)
    return gradient
