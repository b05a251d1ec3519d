"""AdamW parameter groups, the learning-rate schedule and gradient clipping (paper, section 3).

The released protocol: AdamW with betas (0.9, 0.95) and weight decay 1e-6; a learning rate that
rises linearly from 1e-5 to 5e-4 over the warm-up, then follows a cosine to 1e-4; gradients clipped
to a global norm of 1.0.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from prismflow.errors import InputError
from prismflow.jobs.patches.adamw import EagerAdamW
from prismflow.settings.training import TrainingSettings

_UNDECAYED_MODULES = (
    nn.LayerNorm,
    nn.BatchNorm1d,
    nn.BatchNorm2d,
    nn.BatchNorm3d,
    nn.SyncBatchNorm,
    nn.Embedding,
)


@dataclass(frozen=True)
class Schedule:
    """Learning rate as a function of the optimiser step alone.

    Attributes:
        steps: optimiser steps of the whole run; the final rate is reached at this step.
        warmup_steps: steps of the linear rise (may be fractional; 0 for none).
        initial: rate of step 0.
        peak: rate at the end of the warm-up.
        final: rate at ``steps`` and after.
    """

    steps: float
    warmup_steps: float
    initial: float = 1e-5
    peak: float = 5e-4
    final: float = 1e-4

    def __post_init__(self) -> None:
        if not 0 <= self.warmup_steps < self.steps:
            raise InputError(
                f"training: expected 0 <= warmup_steps < steps, found warmup_steps "
                f"{self.warmup_steps} and steps {self.steps}."
            )


def schedule_of(settings: TrainingSettings) -> Schedule:
    """The learning rate of every step of a run."""
    return Schedule(
        steps=settings.steps,
        warmup_steps=settings.warmup_steps,
        initial=settings.initial_learning_rate,
        peak=settings.learning_rate,
        final=settings.final_learning_rate,
    )


def learning_rate(step: int, schedule: Schedule, peak: float | None = None) -> float:
    """Learning rate used by optimiser step ``step`` (0-based); constant after the last step.

    Args:
        step: optimiser step, 0-based.
        schedule: see :class:`Schedule`.
        peak: rate at the end of the warm-up of a parameter group with its own rate.
    """
    peak = schedule.peak if peak is None else peak
    if step < schedule.warmup_steps:
        return schedule.initial + step * (peak - schedule.initial) / schedule.warmup_steps
    progress = (step - schedule.warmup_steps) / (schedule.steps - schedule.warmup_steps)
    if progress >= 1.0:
        return schedule.final
    return schedule.final + 0.5 * (peak - schedule.final) * (1.0 + math.cos(math.pi * progress))


def _owned_parameters(model: nn.Module) -> Iterator[tuple[str, nn.Module, nn.Parameter]]:
    """Each distinct parameter once, under its first name, with the module that owns it."""
    seen: set[int] = set()
    for prefix, module in model.named_modules():
        for name, parameter in module.named_parameters(recurse=False):
            if id(parameter) not in seen:
                seen.add(id(parameter))
                yield (f"{prefix}.{name}" if prefix else name), module, parameter


def parameter_groups(
    model: nn.Module, learning_rate: float = 5e-4, weight_decay: float = 1e-6
) -> list[dict[str, Any]]:
    """Optimiser groups of the released protocol.

    Not decayed: every parameter whose name ends in ``bias``, parameters flagged with
    ``_no_weight_decay`` (A_log and D of a Mamba block), and weights of LayerNorm, BatchNorm and
    Embedding. RMSNorm weights do decay. A parameter with an ``_optim`` attribute (a dict with
    ``lr`` and ``weight_decay``, as on Hyena's implicit filters) goes into a group with these
    values. Tied parameters count once. Frozen parameters are listed too (AdamW passes over them).

    Returns:
        Groups with ``params``, ``names``, ``lr``, ``initial_lr`` and ``weight_decay``; empty
        groups are left out.
    """
    groups: dict[tuple[str, float, float], dict[str, Any]] = {}

    def add(name: str, parameter: nn.Parameter, rate: float, decay: float, kind: str) -> None:
        group = groups.setdefault(
            (kind, rate, decay),
            {"params": [], "names": [], "lr": rate, "initial_lr": rate, "weight_decay": decay},
        )
        group["params"].append(parameter)
        group["names"].append(name)

    for name, module, parameter in _owned_parameters(model):
        own = getattr(parameter, "_optim", None)
        if name.endswith("bias"):
            add(name, parameter, learning_rate, 0.0, "undecayed")
        elif own is not None:
            rate = learning_rate if own.get("lr") is None else own["lr"]
            add(name, parameter, rate, own.get("weight_decay", weight_decay), "own")
        elif getattr(parameter, "_no_weight_decay", False) or isinstance(
            module, _UNDECAYED_MODULES
        ):
            add(name, parameter, learning_rate, 0.0, "undecayed")
        else:
            add(name, parameter, learning_rate, weight_decay, "decayed")
    return list(groups.values())


def make_optimiser(
    model: nn.Module,
    learning_rate: float = 5e-4,
    betas: tuple[float, float] = (0.9, 0.95),
    weight_decay: float = 1e-6,
) -> EagerAdamW:
    """AdamW over :func:`parameter_groups`; eps 1e-8 as in the released protocol."""
    groups = parameter_groups(model, learning_rate, weight_decay)
    # The fused update does the same arithmetic per element; it saves one Python loop over
    # parameters per step, which is a large share of a small model's step on a CPU.
    fused = all(p.dtype == torch.float32 for group in groups for p in group["params"])
    return EagerAdamW(
        groups,
        lr=learning_rate,
        betas=(betas[0], betas[1]),
        eps=1e-8,
        weight_decay=weight_decay,
        fused=fused or None,
    )


def set_learning_rate(optimiser: torch.optim.Optimizer, step: int, schedule: Schedule) -> float:
    """Set the rate of optimiser step ``step`` in every group; returns the rate of the first."""
    rates = [learning_rate(step, schedule, g["initial_lr"]) for g in optimiser.param_groups]
    for group, rate in zip(optimiser.param_groups, rates, strict=True):
        if isinstance(group["lr"], torch.Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate
    return rates[0]


def clip_gradients(parameters: list[nn.Parameter], max_norm: float) -> torch.Tensor:
    """Scale all gradients together to a global L2 norm of at most ``max_norm``.

    Returns:
        The norm before clipping (a scalar tensor on the gradients' device).
    """
    return nn.utils.clip_grad_norm_(parameters, max_norm)
