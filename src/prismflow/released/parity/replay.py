"""A folder with a real training run of the released code: its checkpoint, and a replay of it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from prismflow.errors import InputError
from prismflow.files import read_json
from prismflow.models import build
from prismflow.models.common import ExpressionModel
from prismflow.released.adopt import PREFIX, ReleasedModel, read_released
from prismflow.released.checkpoint_file import plain_values, read_checkpoint
from prismflow.released.keys import load_released, released_keys
from prismflow.released.parity.compare import Report
from prismflow.released.parity.probe import LOSS_NAMES, Batch
from prismflow.released.parity.protocol import compare_metrics, relative, released_schedule
from prismflow.released.parity.tensors import read_tensors
from prismflow.released.settings import loss_weights, released_settings
from prismflow.settings.architectures import class_of
from prismflow.training.optimiser import clip_gradients, make_optimiser, set_learning_rate

STATE_ATOL = 5e-6
"""Adam divides by tiny second moments in its first steps and so amplifies rounding."""
LOSS_RTOL = 1e-5
NORM_RTOL = 1e-4
LR_RTOL = 1e-12
METRIC_RTOL = 1e-5
NOISE_FACTOR = 4.0
NOISE_DRIVEN = re.compile(r"weight_generator\.encoder\.\d+\.(0\.bias|1\.running_mean)")
"""Biases in front of a batch norm, and the means that follow them.

They do not change what the network computes, and their gradients are mathematically zero: Adam
turns the rounding noise of either side into steps of its own. They are held to a multiple of the
distance that they moved in the reference.
"""
DATA = ("seqs", "signals", "rna_feat", "target")


def is_replay(path: Path) -> bool:
    """Whether the folder holds a recorded training run."""
    return (path / "example_run.json").is_file()


def check_replay(path: Path) -> Report:
    """Read the folder's checkpoint, then repeat its training steps from the initial state.

    Raises:
        InputError: a file cannot be read, or the checkpoint holds another model than the states.
    """
    report = Report(path, "lightning")
    checkpoints = sorted(path.glob("*.ckpt"))
    if not checkpoints:
        raise InputError(f"{path}: expected a checkpoint (*.ckpt), found none.")
    final = read_tensors(path / "example_final_state.safetensors")
    tree, skipped = read_checkpoint(checkpoints[0])
    released = read_released(checkpoints[0])
    _compare_checkpoint(report, path, tree, skipped, final)
    run = read_json(path / "example_run.json")
    initial = _without_prefix(read_tensors(path / "example_initial_state.safetensors"))
    model = _model(tree, initial)
    load_released(model, initial, str(path))
    data = read_tensors(path / "example_train_data.safetensors")
    _replay(report, model, data, run, tree)
    _compare_state(report, model, initial, _without_prefix(final), released)
    _compare_validation(report, model, data, run)
    return report


def _without_prefix(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(PREFIX): value for name, value in tensors.items()}


def _compare_checkpoint(
    report: Report, path: Path, tree: dict[str, Any], skipped: tuple[str, ...], final: dict
) -> None:
    """The state in the checkpoint is the final one; its layout is the documented one."""
    state = tree["state_dict"]
    for name, reference in final.items():
        if name in state:
            report.exact(f"checkpoint.{name}", state[name], reference)
        else:
            report.not_compared.append(f"checkpoint.{name}")
    if not (path / "checkpoint_layout.json").is_file():
        return
    layout = read_json(path / "checkpoint_layout.json")
    shapes = {k: [list(v.shape), str(v.dtype)] for k, v in state.items()}
    differing = [k for k, v in layout["state_dict_keys"].items() if shapes.get(k) != v]
    differing += [k for k in shapes if k not in layout["state_dict_keys"]]
    report.add("layout.state_dict_keys", len(differing), 1.0, 0.0, ", ".join(differing[:3]))
    differing = sorted(set(layout["top_level_keys"]) ^ set(tree))
    report.add("layout.top_level_keys", len(differing), 1.0, 0.0, ", ".join(differing[:3]))
    named = {name.replace(" ", ".") for name in layout["pickle_globals"]}
    unlisted = [name for name in skipped if name not in named]
    report.add("layout.pickle_globals", len(unlisted), 1.0, 0.0, ", ".join(unlisted[:3]))


def _model(tree: dict[str, Any], initial: dict[str, Tensor]) -> ExpressionModel:
    config = plain_values(tree["hyper_parameters"])
    found = released_settings("prism", config["model"]["config"], initial)
    loss = loss_weights(config["task"]["loss"])
    return build(class_of(found.architecture), found.hyperparameters, loss, found.inputs)


def _batch(data: dict[str, Tensor], rows: slice) -> Batch:
    seqs, signals, features, target = (data[name][rows] for name in DATA)
    return Batch(seqs, signals, features, target.flatten())


def _replay(
    report: Report,
    model: ExpressionModel,
    data: dict[str, Tensor],
    run: dict[str, Any],
    tree: dict[str, Any],
) -> None:
    """Repeat the steps; rates, losses and gradient norms of each are compared."""
    config = plain_values(tree["hyper_parameters"])
    steps, options = run["global_step"], run["optimizer"]
    schedule = released_schedule(run["scheduler"], options["lr"])
    optimiser = make_optimiser(
        model, options["lr"], tuple(options["betas"]), options["weight_decay"]
    )
    size = config["dataset"]["batch_size"]
    expected_losses: list[float] = next(
        (v for k, v in run.items() if k.startswith("total_loss_per_step")), []
    )
    model.train()
    terms: dict[str, Tensor] = {}
    for step in range(steps):
        rate = set_learning_rate(optimiser, step, schedule)
        batch = _batch(data, slice(step * size, (step + 1) * size))
        terms = model.losses(model(batch), batch.target)
        total = cast(Tensor, sum(terms.values()))
        optimiser.zero_grad()
        total.backward()
        norm = clip_gradients(list(model.parameters()), config["trainer"]["gradient_clip_val"])
        optimiser.step()
        relative(report, f"step{step}.lr", rate, run["lr_per_step"][step], LR_RTOL)
        norms = run["grad_norm_before_clip_per_step"]
        relative(report, f"step{step}.grad_norm", norm.item(), norms[step], NORM_RTOL)
        if step < len(expected_losses):
            loss = total.item()
            relative(report, f"step{step}.loss", loss, expected_losses[step], LOSS_RTOL)
    _compare_losses(report, "train", terms, run)


def _compare_losses(
    report: Report, split: str, terms: dict[str, Tensor], run: dict[str, Any]
) -> None:
    for name, term in terms.items():
        key = f"{split}/{LOSS_NAMES[name]}"
        if key in run["logged"]:
            relative(report, f"logged.{key}", term.item(), run["logged"][key], LOSS_RTOL)


def _compare_state(
    report: Report,
    model: ExpressionModel,
    initial: dict[str, Tensor],
    final: dict[str, Tensor],
    released: ReleasedModel,
) -> None:
    """Parameters and buffers after the last step against the official final state."""
    own = model.state_dict()
    biases = [
        float((final[name] - initial[name]).abs().max())
        for name, ours in released_keys(model).items()
        if NOISE_DRIVEN.fullmatch(ours) and ours.endswith("bias")
    ]
    noise = NOISE_FACTOR * max(biases, default=0.0)
    for released_name, ours in released_keys(model).items():
        reference = final[released_name]
        if not reference.is_floating_point():
            report.exact(f"final.{released_name}", own[ours], reference)
            continue
        difference = float((own[ours].reshape(reference.shape) - reference).abs().max())
        scale = float(reference.abs().max())
        noisy = NOISE_DRIVEN.fullmatch(ours) is not None
        allowed = STATE_ATOL + (noise if noisy else 0.0)
        report.add(f"final.{released_name}", difference, scale, allowed)
        again = released.state[ours].reshape(reference.shape)
        report.exact(f"converted.{released_name}", again, reference)


@torch.no_grad()
def _compare_validation(
    report: Report, model: ExpressionModel, data: dict[str, Tensor], run: dict[str, Any]
) -> None:
    """Metrics of the validation set, where it is the training data of the folder."""
    model.eval()
    batch = _batch(data, slice(None))
    predicted = model(batch).prediction.double().numpy()
    logged = {k: v for k, v in run["logged"].items() if k.startswith("val/")}
    metrics = {k: v for k, v in logged.items() if "loss" not in k}
    compare_metrics(
        report, "logged", metrics, batch.target.double().numpy(), predicted, METRIC_RTOL
    )
