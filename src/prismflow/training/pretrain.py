"""Pretrain a backbone on masked bases of the training chromosomes of one fold.

The last state is kept: nothing is validated, because every choice would have to see chromosomes
that do not train. Step k reads the pieces and hides the bases that (seed, k) say, and a killed run
continues from its kept state (:mod:`prismflow.training.state`) and ends with the same bytes.
"""

from __future__ import annotations

import json
import logging
import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from prismflow.arrays import save_arrays
from prismflow.data.genome import Genome
from prismflow.errors import InputError
from prismflow.files import read_tsv, write_json, write_tsv
from prismflow.jobs.code_digest import code_digest
from prismflow.models.common import ExpressionModel, parameter_count
from prismflow.settings.fields import parse_settings
from prismflow.settings.training import TrainingSettings
from prismflow.training.determinism import prepare_device
from prismflow.training.devices import MemoryAdvice, describe_device
from prismflow.training.kept import CHECKPOINT_MINUTES, state_folder
from prismflow.training.masked import MaskedBases, Pieces, hide, network_of, pieces_of
from prismflow.training.optimiser import (
    clip_gradients,
    make_optimiser,
    schedule_of,
    set_learning_rate,
)
from prismflow.training.order import batches_per_epoch, rows_of_step
from prismflow.training.progress import Progress
from prismflow.training.state import Keeper, TrainingState

logger = logging.getLogger(__name__)

FORMAT_VERSION = 1
HISTORY_ROWS = 50
_ADVICE = "lower run.pass_bp or the pretraining's window_bp, or set checkpoint_activations: true"


def training_chromosomes(
    genes_path: str | Path, splits_path: str | Path, fold: str
) -> tuple[str, ...]:
    """Chromosomes whose genes all train in a fold, or are in none of its parts; sorted.

    Raises:
        InputError: there is none.
    """
    genes, splits = read_tsv(genes_path), read_tsv(splits_path)
    role = dict(zip(splits["gene_id"], splits[fold], strict=True))
    roles = genes["gene_id"].map(role)
    trains, held_out = (
        set(genes["chrom"][roles.isin(which)]) for which in (["train"], ["valid", "test"])
    )
    left = tuple(sorted(trains - held_out))
    if not left:
        raise InputError(
            f"{splits_path}: expected chromosomes that only train in {fold}, found none: each has "
            "a validation or test gene; split by chromosome, or train without `initial_weights`."
        )
    return left


def pretrain_run(
    genes_path: str | Path,
    splits_path: str | Path,
    fasta: str | Path,
    index_dir: str | Path | None,
    fold: str,
    settings: Mapping[str, Any],
    weights_path: str | Path,
    record_path: str | Path,
    history_path: str | Path,
    device: str = "auto",
    threads: int | None = None,
    checkpoint_minutes: float = CHECKPOINT_MINUTES,
) -> None:
    """Pretrain and write embedding and backbone.

    On a CPU the same arguments give the same bytes, killed on the way or not.

    Args:
        genes_path, splits_path: ``genes.tsv`` and ``splits.tsv`` of the dataset.
        fasta, index_dir: the genome and where its index lies.
        fold: column of the splits.
        settings: ``name``, ``class`` and ``hyperparameters`` of the model whose backbone it is,
            ``window_bp``, ``masked_share``, ``most_unknown``, ``seed``, ``training``.
        weights_path: ``model.safetensors`` to write.
        record_path: ``pretraining.json`` to write: settings, chromosomes, pieces.
        history_path: ``history.tsv`` to write: step, passes over the pieces, learning_rate, loss
            (nats per hidden base; guessing is 1.386), right (share of right guesses).
        device: ``auto``, ``cpu`` or ``cuda``.
        threads: CPU threads; None leaves them as they are.
        checkpoint_minutes: time between two states on disk.

    Raises:
        InputError: no training chromosome or no piece, wrong settings, a loss that isn't finite.
        SystemExit: a signal asked the run to end (its state is kept).
    """
    where = f"pretraining {settings['name']}"
    training = parse_settings(TrainingSettings, settings["training"], f"training of {where}")
    chosen = prepare_device(device, threads, keep_freed=not training.checkpoint_activations)
    chromosomes = training_chromosomes(genes_path, splits_path, fold)
    with Genome(fasta, index_dir) as genome:
        pieces = pieces_of(
            genome, chromosomes, settings["window_bp"], float(settings["most_unknown"])
        )
        logger.info("%s: %d pieces of %s", where, len(pieces), ", ".join(chromosomes))
        torch.manual_seed(settings["seed"])
        model = network_of(settings, training.checkpoint_activations).to(chosen)
        state = _start(model, training)
        keeper = Keeper(
            state_folder(weights_path), _identity(settings, pieces, fold, chosen),
            checkpoint_minutes,
        )  # fmt: skip
        keeper.load(state)
        with keeper.watching():
            _train(state, model, pieces, training, settings, chosen, keeper)
    kept = {name: value.cpu().numpy() for name, value in model.kept().items()}
    save_arrays(kept, weights_path)
    write_tsv(pd.DataFrame(state.history), history_path)
    record = {
        "format_version": FORMAT_VERSION,
        "settings": dict(settings),
        "fold": fold,
        "chromosomes": list(chromosomes),
        "bases": pieces.digest,
        "n_pieces": len(pieces),
        "n_parameters": parameter_count(model),
        "device": describe_device(chosen),
    }
    write_json(record, record_path)
    # Only now: until the last output is whole, an accident must find the state.
    shutil.rmtree(keeper.folder, ignore_errors=True)


def _start(model: MaskedBases, training: TrainingSettings) -> TrainingState:
    optimiser = make_optimiser(model, training.learning_rate, training.betas, training.weight_decay)
    # The state reads and writes parameters only, which any network has.
    return TrainingState(cast(ExpressionModel, model), optimiser)


def _identity(
    settings: Mapping[str, Any], pieces: Pieces, fold: str, device: torch.device
) -> dict[str, Any]:
    """Everything that the numbers depend on, as for a training."""
    module = settings["class"].partition(":")[0]
    return {
        "format": FORMAT_VERSION,
        "settings": json.loads(json.dumps(dict(settings))),
        "bases": pieces.digest,
        "fold": fold,
        "code": code_digest("training.pretrain", module),
        "device": device.type,
        "torch": torch.__version__,
    }


def _train(
    state: TrainingState,
    model: MaskedBases,
    pieces: Pieces,
    training: TrainingSettings,
    settings: Mapping[str, Any],
    device: torch.device,
    keeper: Keeper,
) -> None:
    schedule = schedule_of(training)
    parameters = list(model.parameters())
    label = f"pretraining {settings['name']}"
    progress = Progress(training.steps, label, first=state.step)
    memory = MemoryAdvice(f"{label}, batch_size {training.batch_size}", _ADVICE)
    row_every = max(1, training.steps // HISTORY_ROWS)
    model.train()
    for step in range(state.step, training.steps):
        rate = set_learning_rate(state.optimiser, step, schedule)
        with memory:
            terms = _gradients(model, pieces, training, settings, device, step)
            norm = clip_gradients(parameters, training.clip_norm or math.inf)
        keeping = keeper.due
        due = (step + 1) % row_every == 0 or step + 1 == training.steps
        if (keeping or due or device.type == "cpu") and not math.isfinite(
            float(terms["loss"] + norm)
        ):
            raise InputError(
                f"{label} stopped at step {step}: the loss or its gradient is not finite (learning "
                f"rate {rate:.3g}); lower `learning_rate` of its `training`."
            )
        with memory:
            state.optimiser.step()
        state.optimiser.zero_grad(set_to_none=True)
        state.step += 1
        state.summed += 1
        for name, value in terms.items():
            state.sums[name] = state.sums[name] + value if name in state.sums else value
        if due:
            _write_row(state, len(pieces), training, rate)
        progress.update(state.step, f"loss {state.history[-1]['loss']:.4f}" if due else "")
        if keeping and state.step < training.steps:
            keeper.keep(state)


def _gradients(
    model: MaskedBases,
    pieces: Pieces,
    training: TrainingSettings,
    settings: Mapping[str, Any],
    device: torch.device,
    step: int,
) -> dict[str, Tensor]:
    """Forward and backward over the pieces of one step, ``batch_size`` of them at a time.

    Returns:
        ``loss`` and ``right``, means over all bases of the step that were asked for.
    """
    seed, whole = settings["seed"], training.batch_size * training.accumulate_batches
    rows = rows_of_step(seed, step, len(pieces), whole)
    hidden = hide(pieces.codes(rows), settings["masked_share"], np.random.default_rng([seed, step]))
    n_asked = max(1, int((hidden[1] >= 0).sum()))
    totals: dict[str, Tensor] = {}
    for first in range(0, len(rows), training.batch_size):
        chosen = slice(first, first + training.batch_size)
        seen, targets = (torch.from_numpy(array[chosen]).to(device) for array in hidden)
        bf16 = training.precision == "bf16"
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=bf16):
            terms = model(seen, targets)
        (terms["loss"] / n_asked).backward()
        for name, value in terms.items():
            part = value.detach() / n_asked
            totals[name] = totals[name] + part if name in totals else part
    return totals


def _write_row(
    state: TrainingState, n_pieces: int, training: TrainingSettings, rate: float
) -> None:
    """Means since the last row, which begin anew."""
    means = {name: float(value) / state.summed for name, value in state.sums.items()}
    per_epoch = batches_per_epoch(n_pieces, training.batch_size * training.accumulate_batches)
    row = {"step": state.step, "passes": state.step / per_epoch, "learning_rate": rate}
    state.history.append({**row, **means})
    state.sums, state.summed = {}, 0
