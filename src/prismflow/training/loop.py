"""The training loop: a plain one, with the protocol of the paper (section 3).

Optimiser step k uses the learning rate ``learning_rate(k)``, the genes ``rows_of_step(seed, k)``
and random numbers (dropout, sampled masks) seeded by (seed, k), so a step depends on its number
and on the state before it, and on nothing else.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import math
import time
from collections.abc import Iterator
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from prismflow.errors import InputError
from prismflow.models.common import ExpressionModel
from prismflow.models.together import forward_pass
from prismflow.settings.training import TrainingSettings
from prismflow.statistics.agreement import regression_metrics
from prismflow.training.batches import Batch, GeneBatches
from prismflow.training.cuda_graph import CapturedStep, make_capturable
from prismflow.training.devices import MemoryAdvice
from prismflow.training.inference import autocast, predict
from prismflow.training.optimiser import (
    clip_gradients,
    learning_rate,
    make_optimiser,
    schedule_of,
    set_learning_rate,
)
from prismflow.training.order import batches_per_epoch, rows_of_step
from prismflow.training.progress import Progress
from prismflow.training.state import Keeper, TrainingState

logger = logging.getLogger(__name__)

CUDA_CHECK_STEPS = 50
"""On CUDA the loss is looked at this often, because each look waits for the device."""

TRAINING_MEMORY = (
    "lower run.pass_bp (a step then takes its genes in more passes) or training.batch_size (and "
    "raise training.accumulate_batches as much, which keeps the genes per step), set "
    "training.checkpoint_activations: true, or let fewer runs share the GPU"
)


def start_state(model: ExpressionModel, settings: TrainingSettings) -> TrainingState:
    """State before the first step; models that cannot recompute activations keep them."""
    able = [
        module
        for module in model.modules()
        if isinstance(getattr(module, "checkpoint_activations", None), bool)
    ]
    for module in able:
        setattr(module, "checkpoint_activations", settings.checkpoint_activations)  # noqa: B010
    if settings.checkpoint_activations and not able:
        logger.info("%s keeps its activations: it cannot recompute them", type(model).__name__)
    optimiser = make_optimiser(model, settings.learning_rate, settings.betas, settings.weight_decay)
    return TrainingState(model, optimiser)


def step_seed(seed: int, step: int) -> int:
    """Seed of torch's generator for one step."""
    return int(np.random.SeedSequence([seed, step]).generate_state(1, np.uint64)[0] >> 1)


def validation_is_due(step: int, n_genes: int, settings: TrainingSettings) -> bool:
    """Whether to validate after optimiser step ``step`` (0-based).

    With two validations per epoch of e steps that is after steps floor(e / 2) and 2 floor(e / 2)
    of each epoch, as in the released training, and after the last step.
    """
    if step + 1 == settings.steps:
        return True
    genes_per_step = settings.batch_size * settings.accumulate_batches
    per_epoch = batches_per_epoch(n_genes, genes_per_step)
    interval = max(1, int(per_epoch / settings.validations_per_epoch))
    position = step % per_epoch if settings.validations_per_epoch >= 1 else step
    return (position + 1) % interval == 0


def chosen_rows(
    seed: int, n_genes: int, settings: TrainingSettings, first: int = 0
) -> Iterator[np.ndarray]:
    """Training genes of every forward pass from optimiser step ``first`` on."""
    for passed in range(
        first * settings.accumulate_batches, settings.steps * settings.accumulate_batches
    ):
        yield rows_of_step(seed, passed, n_genes, settings.batch_size)


def train_model(
    state: TrainingState,
    train: GeneBatches,
    valid: GeneBatches,
    settings: TrainingSettings,
    seed: int,
    label: str,
    keeper: Keeper | None = None,
) -> TrainingState:
    """Train from ``state`` to the last step; ``state.best`` is the state to keep.

    Args:
        state: of :func:`start_state`, changed in place.
        train: training genes.
        valid: validation genes, all of them used in every validation.
        seed: of the order of the genes and of the random numbers of each step.
        label: shown with the progress.
        keeper: keeps the state on disk every few minutes and on signals; None for never.

    Raises:
        InputError: a loss, gradient or validation prediction is not finite, or the GPU's memory
            does not suffice.
        SystemExit: a signal asked the run to end; its state is kept.
    """
    started, first_step = time.monotonic(), state.step
    with contextlib.nullcontext() if keeper is None else keeper.watching():
        waited, validating = _train(state, train, valid, settings, seed, label, keeper)
    seconds = max(time.monotonic() - started, 1e-9)
    logger.info(
        "%s: %d steps in %.1f s (%.1f steps/s); %.1f %% of the time waiting for data, %.1f %% "
        "validating; best validation MSE %.6g at step %d",
        label, settings.steps - first_step, seconds, (settings.steps - first_step) / seconds,
        100 * waited / seconds, 100 * validating / seconds, state.best_mse, state.best_step,
    )  # fmt: skip
    return state


def _train(
    state: TrainingState,
    train: GeneBatches,
    valid: GeneBatches,
    settings: TrainingSettings,
    seed: int,
    label: str,
    keeper: Keeper | None,
) -> tuple[float, float]:
    """The loop itself; returns the seconds it waited for data and those of validation."""
    schedule = schedule_of(settings)
    parameters = [p for p in state.model.parameters() if p.requires_grad]
    check_every = 1 if train.device.type == "cpu" else CUDA_CHECK_STEPS
    progress = Progress(settings.steps, label, first=state.step)
    batches = train.stream(chosen_rows(seed, len(train), settings, state.step))
    captured = _captured_step(state.model, state.optimiser, settings, train)
    waited, validating = 0.0, 0.0
    memory = MemoryAdvice(f"{label}, batch_size {settings.batch_size}", TRAINING_MEMORY)
    running = _running_statistics(state.model) if keeper is not None else []
    first_bad = torch.full((), math.inf, device=train.device)
    state.model.train()
    for step in range(state.step, settings.steps):
        before = time.monotonic()
        passes = [next(batches) for _ in range(settings.accumulate_batches)]
        waited += time.monotonic() - before
        rate = set_learning_rate(state.optimiser, step, schedule)
        torch.manual_seed(step_seed(seed, step))
        may_be_kept = keeper is not None and captured is None
        statistics = [buffer.clone() for buffer in running] if may_be_kept else []
        with memory:
            if captured is not None:
                terms, norm = captured(passes[0])
            else:
                terms = accumulate_gradients(state.model, passes, settings.precision)
                norm = clip_gradients(parameters, settings.clip_norm or math.inf)
        healthy = torch.isfinite(torch.stack([terms["loss"], norm])).all()
        first_bad = torch.where(healthy, first_bad, first_bad.clamp(max=step))
        due = validation_is_due(step, len(train), settings)
        keeping = keeper is not None and keeper.due
        look = due or keeping or (step + 1) % check_every == 0
        if look and math.isfinite(first_bad.item()):
            if keeper is not None and first_bad.item() == step and captured is None:
                _keep_before(state, running, statistics, keeper)
            _refuse_divergence(int(first_bad.item()), seed, train, settings, keeper)
        if captured is None:
            with memory:
                state.optimiser.step()
            state.optimiser.zero_grad(set_to_none=True)
        _count(state, terms)
        if due:
            before = time.monotonic()
            _validate(state, train, valid, settings, rate)
            validating += time.monotonic() - before
        row = state.history[-1] if state.history else None
        progress.update(state.step, f"validation MSE {row['valid_mse']:.4f}" if row else "")
        if keeper is not None and keeping and state.step < settings.steps:
            keeper.keep(state)
    return waited, validating


def _count(state: TrainingState, terms: dict[str, Tensor]) -> None:
    """One step is done, with these loss terms."""
    state.step += 1
    state.summed += 1
    for name, value in terms.items():
        state.sums[name] = state.sums[name] + value if name in state.sums else value


def _running_statistics(model: nn.Module) -> list[Tensor]:
    """Buffers that a forward pass changes: those of batch normalisation."""
    kinds = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
    return [b for module in model.modules() if isinstance(module, kinds) for b in module.buffers()]


def _keep_before(
    state: TrainingState, running: list[Tensor], statistics: list[Tensor], keeper: Keeper
) -> None:
    """Write the state as it was before a step whose forward pass went wrong."""
    for buffer, value in zip(running, statistics, strict=True):
        buffer.copy_(value)
    if state.step:
        keeper.save(state)


def _captured_step(
    model: ExpressionModel,
    optimiser: torch.optim.Optimizer,
    settings: TrainingSettings,
    train: GeneBatches,
) -> CapturedStep | None:
    """The step as a CUDA graph, where the device is one and the step has one fixed shape."""
    if settings.cuda_graph is False or train.device.type != "cuda":
        return None
    reason = None
    if settings.accumulate_batches > 1:
        reason = f"it is taken in {settings.accumulate_batches} passes"
    elif settings.checkpoint_activations:
        reason = "it recomputes activations"
    elif settings.cuda_graph == "auto" and not train.resident:
        # Kernels of long windows run longer than launching them takes.
        reason = "its windows are long"
    if reason is not None:
        level = logging.INFO if settings.cuda_graph == "auto" else logging.WARNING
        logger.log(level, "the training step is not replayed as a CUDA graph: %s", reason)
        return None
    make_capturable(optimiser)
    return CapturedStep(
        model, optimiser, accumulate_gradients, settings.precision, settings.clip_norm
    )


def accumulate_gradients(
    model: ExpressionModel, passes: list[Batch], precision: str = "fp32"
) -> dict[str, Tensor]:
    """Forward and backward over the batches of one optimiser step.

    Each batch weighs as much as its share of the step's genes.

    Returns:
        Detached ``loss`` (the total) and the model's terms by name, averaged over the genes.
    """
    n_genes = sum(batch.rows.numel() for batch in passes)
    totals: dict[str, Tensor] = {}
    for batch in passes:
        share = batch.rows.numel() / n_genes
        with autocast(batch.rows.device, precision):
            terms = model.losses(forward_pass(model, batch), cast(Tensor, batch.target))
            loss = functools.reduce(torch.add, terms.values())
        (loss if len(passes) == 1 else loss * share).backward()
        for name, value in {"loss": loss, **terms}.items():
            part = value.detach() if share == 1 else value.detach() * share
            totals[name] = totals[name] + part if name in totals else part
    return totals


def _validate(
    state: TrainingState,
    train: GeneBatches,
    valid: GeneBatches,
    settings: TrainingSettings,
    rate: float,
) -> None:
    with MemoryAdvice(
        f"validation, eval_batch_size {settings.eval_batch_size}", "lower training.eval_batch_size"
    ):
        predicted, _ = predict(state.model, valid, settings.eval_batch_size, settings.precision)
    if not np.isfinite(predicted).all():
        raise InputError(
            f"training stopped after step {state.step}: validation predictions are not finite "
            f"(learning rate {rate:.3g}); lower the learning rate or look for extreme signals."
        )
    metrics = regression_metrics(valid.inputs.labels(valid.rows), predicted)
    means = {name: float(value) / state.summed for name, value in state.sums.items()}
    total = means.pop("loss")
    per_epoch = batches_per_epoch(len(train), settings.batch_size)
    state.history.append(
        {
            "step": state.step,
            "epoch": state.step * settings.accumulate_batches / per_epoch,
            "learning_rate": rate,
            "train_loss": total,
            **{f"train_{name}": value for name, value in means.items()},
            "valid_mse": metrics["mse"],
            "valid_pearson": metrics["pearson"],
        }
    )
    state.sums, state.summed = {}, 0
    if metrics["mse"] < state.best_mse:
        state.best_mse, state.best_step = metrics["mse"], state.step
        state.best = {k: v.detach().clone() for k, v in state.model.state_dict().items()}


def _refuse_divergence(
    step: int, seed: int, train: GeneBatches, settings: TrainingSettings, keeper: Keeper | None
) -> None:
    kept = [g for g in keeper.generations() if g.run == keeper.run] if keeper is not None else []
    genes = train.inputs.store.genes["gene_id"].to_numpy()
    first = step * settings.accumulate_batches
    chosen = [
        genes[train.rows[i]]
        for passed in range(first, first + settings.accumulate_batches)
        for i in rows_of_step(seed, passed, len(train), settings.batch_size)
    ]
    rate = learning_rate(step, schedule_of(settings))
    shown = ", ".join(map(str, chosen[:16])) + (", ..." if len(chosen) > 16 else "")
    where = ""
    if keeper is not None and kept:
        where = f" The state after step {kept[0].step} is kept in {keeper.folder}."
    raise InputError(
        f"training stopped at step {step}: the loss or its gradient is not finite (learning rate "
        f"{rate:.3g}, genes of the batch: {shown}); lower the learning rate, or look for extreme "
        f"signals of these genes.{where}"
    )
