"""The training protocol as a user may set it (paper, section 3)."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic.dataclasses import dataclass

from prismflow.settings.keys import STRICT, Flag, Number, Whole, refuse, setting


@dataclass(frozen=True, config=STRICT)
class TrainingSettings:
    """The training protocol; the defaults are the paper's.

    Attributes:
        steps: optimiser steps.
        batch_size: genes per forward pass.
        accumulate_batches: forward passes per optimiser step; gradients are those of one batch of
            all their genes (batch normalisation still sees each pass alone).
        eval_batch_size: genes per forward pass where no gradient is needed.
        learning_rate: peak, reached after ``warmup_steps`` from ``initial_learning_rate``; a cosine
            leads to ``final_learning_rate`` at ``steps``.
        initial_learning_rate: rate of the first step.
        final_learning_rate: rate of the last step.
        warmup_steps: below ``steps``; may be fractional.
        betas: decay rates of AdamW's two averages.
        weight_decay: AdamW's weight decay.
        clip_norm: largest global norm of the gradients; 0 for no clipping.
        validations_per_epoch: whole-split validations per pass over the training genes; below 1 for
            one every few passes. There is always one after the last step.
        precision: ``fp32``, or ``bf16`` autocast.
        checkpoint_activations: recompute activations in the backward pass to save memory.
        cuda_graph: on a CUDA device, record the step once and replay it, which removes the cost of
            launching its kernels. ``auto``: where the training genes stay on the device (windows of
            2 kb) and a step is one pass without ``checkpoint_activations``; ``true``: also where
            they are streamed; a step that can't be recorded is taken kernel by kernel.
    """

    SPARSE: ClassVar[bool] = True

    steps: Whole = setting(50_000, ge=1)
    batch_size: Whole = setting(8, ge=1)
    accumulate_batches: Whole = setting(1, ge=1)
    eval_batch_size: Whole = setting(64, ge=1)
    learning_rate: Number = setting(0.0005, gt=0)
    initial_learning_rate: Number = setting(1e-05, gt=0)
    final_learning_rate: Number = setting(0.0001, gt=0)
    warmup_steps: Number = setting(5000.0, ge=0)
    betas: tuple[Number, Number] = setting((0.9, 0.95))
    weight_decay: Number = setting(1e-06, ge=0)
    clip_norm: Number = setting(1.0, ge=0)
    validations_per_epoch: Number = setting(2.0, gt=0)
    precision: Literal["fp32", "bf16"] = setting("fp32")
    checkpoint_activations: Flag = setting(False)
    cuda_graph: Literal["auto", True, False] = setting("auto")

    def __post_init__(self) -> None:
        if self.warmup_steps >= self.steps:
            raise refuse(
                "warmup_steps below steps",
                f"warmup_steps {self.warmup_steps:g} and steps {self.steps}",
                "warmup_steps",
            )
