"""A whole optimiser step as one CUDA graph.

A 2-kb model keeps a modern GPU busy for a fraction of the time that it takes Python to launch its
kernels. Recording the step once and replaying it removes that cost; the arithmetic is the same.
"""

from __future__ import annotations

import dataclasses
import logging
import math
from collections.abc import Callable

import torch
from torch import Tensor

from prismflow.models.common import ExpressionModel
from prismflow.training.batches import Batch
from prismflow.training.optimiser import clip_gradients

logger = logging.getLogger(__name__)

#: Steps that are taken one kernel at a time before the recording: lazy initialisation (cuBLAS,
#: compiled kernels, optimiser state) must be over by then.
EAGER_STEPS = 3

Gradients = Callable[[ExpressionModel, list[Batch], str], dict[str, Tensor]]


def _tensors(batch: Batch) -> dict[str, Tensor]:
    fields = {f.name: getattr(batch, f.name) for f in dataclasses.fields(batch)}
    named = {name: value for name, value in fields.items() if isinstance(value, Tensor)}
    return named | {f"extras.{name}": value for name, value in batch.extras.items()}


def _layout(batch: Batch) -> dict[str, tuple[torch.Size, torch.dtype]]:
    return {name: (value.shape, value.dtype) for name, value in _tensors(batch).items()}


def make_capturable(optimiser: torch.optim.Optimizer) -> None:
    """Keep step counts and learning rates on the device, where a graph can read them."""
    for group in optimiser.param_groups:
        device = group["params"][0].device
        group["capturable"] = True
        group["lr"] = torch.tensor(float(group["lr"]), device=device)


class CapturedStep:
    """Forward, backward, clipping and update of one batch layout, recorded once and replayed.

    Args:
        model: on a CUDA device, in training mode.
        optimiser: prepared by :func:`make_capturable`.
        gradients: computes the gradients of some batches and returns the loss terms.
        precision: ``fp32`` or ``bf16``.
        clip_norm: global gradient norm, or None.
    """

    def __init__(
        self,
        model: ExpressionModel,
        optimiser: torch.optim.Optimizer,
        gradients: Gradients,
        precision: str,
        clip_norm: float | None,
    ) -> None:
        self.model = model
        self.optimiser = optimiser
        self.gradients = gradients
        self.precision = precision
        self.max_norm = clip_norm or math.inf
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        self.graph: torch.cuda.CUDAGraph | None = None
        self.inputs: Batch | None = None
        self.outputs: dict[str, Tensor] = {}
        self.eager_steps = 0

    def __call__(self, batch: Batch) -> tuple[dict[str, Tensor], Tensor]:
        """Take one step.

        Returns:
            Detached loss terms, and the gradient norm before clipping.
        """
        if self.graph is None and self.eager_steps >= EAGER_STEPS:
            self._record(batch)
        if self.graph is None or self.inputs is None or _layout(batch) != _layout(self.inputs):
            self.eager_steps += 1
            return self._eager([batch])
        for name, value in _tensors(batch).items():
            _tensors(self.inputs)[name].copy_(value, non_blocking=True)
        self.graph.replay()
        terms = {name: value.clone() for name, value in self.outputs.items()}
        return terms, terms.pop("gradient_norm")

    def _eager(self, batches: list[Batch]) -> tuple[dict[str, Tensor], Tensor]:
        self.optimiser.zero_grad(set_to_none=True)
        terms = self.gradients(self.model, batches, self.precision)
        norm = clip_gradients(self.parameters, self.max_norm)
        self.optimiser.step()
        return terms, norm

    def _record(self, batch: Batch) -> None:
        """Record a step on a copy of the batch; recording runs no kernel and changes nothing."""
        fields = {
            f.name: getattr(batch, f.name).clone()
            for f in dataclasses.fields(batch)
            if isinstance(getattr(batch, f.name), Tensor)
        }
        extras = {name: value.clone() for name, value in batch.extras.items()}
        inputs = dataclasses.replace(batch, **fields, extras=extras)
        self.optimiser.zero_grad(set_to_none=True)
        graph = torch.cuda.CUDAGraph()
        torch.cuda.synchronize()
        with torch.cuda.graph(graph):
            terms, norm = self._eager([inputs])
        self.graph, self.inputs = graph, inputs
        self.outputs = {**terms, "gradient_norm": norm}
        logger.info("the training step is replayed as a CUDA graph")
