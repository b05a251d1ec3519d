"""The training protocol as a user may set it (paper, section 3)."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic.dataclasses import dataclass

from prismflow.settings.keys import STRICT, Flag, Number, Whole, key, refuse


@dataclass(frozen=True, config=STRICT)
class TrainingSettings:
    """The training protocol; the defaults are the paper's."""

    SPARSE: ClassVar[bool] = True

    steps: Whole = key("Optimiser steps.", 50_000, ge=1)
    batch_size: Whole = key("Genes per forward pass.", 8, ge=1)
    accumulate_batches: Whole = key(
        "Forward passes per optimiser step; gradients are those of one batch of all their genes "
        "(batch normalisation still sees each pass alone).",
        1,
        ge=1,
    )
    eval_batch_size: Whole = key("Genes per forward pass where no gradient is needed.", 64, ge=1)
    learning_rate: Number = key(
        "Peak, reached after `warmup_steps` from `initial_learning_rate`; a cosine leads to "
        "`final_learning_rate` at `steps`.",
        5e-4,
        gt=0,
    )
    initial_learning_rate: Number = key("Rate of the first step.", 1e-5, gt=0)
    final_learning_rate: Number = key("Rate of the last step.", 1e-4, gt=0)
    warmup_steps: Number = key("Below `steps`; may be fractional.", 5_000.0, ge=0)
    betas: tuple[Number, Number] = key("Decay rates of AdamW's two averages.", (0.9, 0.95))
    weight_decay: Number = key("AdamW's weight decay.", 1e-6, ge=0)
    clip_norm: Number = key("Largest global norm of the gradients; 0 for no clipping.", 1.0, ge=0)
    validations_per_epoch: Number = key(
        "Whole-split validations per pass over the training genes; below 1 for one every few "
        "passes. There is always one after the last step.",
        2.0,
        gt=0,
    )
    precision: Literal["fp32", "bf16"] = key("`fp32`, or `bf16` autocast.", "fp32")
    checkpoint_activations: Flag = key(
        "Recompute activations in the backward pass to save memory.", False
    )
    cuda_graph: Flag = key(
        "On a CUDA device, record the step once and replay it, which removes the cost of launching "
        "its kernels; for models whose step has one fixed shape.",
        False,
    )

    def __post_init__(self) -> None:
        if self.warmup_steps >= self.steps:
            raise refuse(
                "warmup_steps below steps",
                f"warmup_steps {self.warmup_steps:g} and steps {self.steps}",
                "warmup_steps",
            )
