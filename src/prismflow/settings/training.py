"""The training protocol as a user may set it (paper, section 3)."""

from __future__ import annotations

from dataclasses import dataclass

from prismflow.errors import InputError
from prismflow.settings.fields import require_choice, require_positive


@dataclass(frozen=True)
class TrainingSettings:
    """The training protocol; the defaults are the paper's.

    Attributes:
        steps: optimiser steps.
        batch_size: genes per forward pass.
        accumulate_batches: forward passes per optimiser step; gradients are those of one batch of
            all their genes (batch normalisation still sees each pass alone).
        eval_batch_size: genes per forward pass where no gradient is needed.
        learning_rate: peak, reached after ``warmup_steps`` from ``initial_learning_rate``; a
            cosine leads to ``final_learning_rate`` at ``steps``.
        clip_norm: largest global norm of the gradients; 0 for no clipping.
        validations_per_epoch: whole-split validations per pass over the training genes; below 1
            for one every few passes. There is always one after the last step.
        precision: ``fp32``, or ``bf16`` autocast.
        checkpoint_activations: recompute activations in the backward pass to save memory.
        cuda_graph: on a CUDA device, record the step once and replay it, which removes the cost of
            launching its kernels; for models whose step has one fixed shape.
    """

    steps: int = 50_000
    batch_size: int = 8
    accumulate_batches: int = 1
    eval_batch_size: int = 64
    learning_rate: float = 5e-4
    initial_learning_rate: float = 1e-5
    final_learning_rate: float = 1e-4
    warmup_steps: float = 5_000
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = 1e-6
    clip_norm: float = 1.0
    validations_per_epoch: float = 2
    precision: str = "fp32"
    checkpoint_activations: bool = False
    cuda_graph: bool = False

    def __post_init__(self) -> None:
        require_positive(self, "steps", "batch_size", "accumulate_batches", "eval_batch_size")
        require_positive(self, "learning_rate", "validations_per_epoch")
        require_choice("precision", self.precision, ("fp32", "bf16"))
        if not 0 <= self.warmup_steps < self.steps:
            raise InputError(
                f"training: expected 0 <= warmup_steps < steps, found warmup_steps "
                f"{self.warmup_steps} and steps {self.steps}."
            )
