"""Folders about training: metrics, schedule and parameter groups, a real run of four steps."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from prismflow.errors import InputError
from prismflow.files import read_json
from prismflow.models import build
from prismflow.models.common import ExpressionModel, InputSpec
from prismflow.models.losses import smooth_l1
from prismflow.released.keys import architecture_of, released_keys
from prismflow.released.parity.compare import Report
from prismflow.released.parity.tensors import read_tensors
from prismflow.released.settings import SIGNALS
from prismflow.settings.architectures import class_of
from prismflow.statistics.agreement import regression_metrics, squared_pearson
from prismflow.training.optimiser import Schedule, learning_rate, make_optimiser, parameter_groups

METRIC_RTOL = 1e-9
METRIC_RTOL_F32 = 1e-6
LR_RTOL = 1e-12
PUBLISHED_NAMES = {"mse": "mse", "mae": "mae", "peasonr": "pearson", "pearson": "pearson"}
WEIGHT_DECIMALS = 3
MASK_COUNTS = ("avg_num_mask", "avg_percent_mask")


def is_metrics(path: Path) -> bool:
    """Whether the folder holds predictions and their metrics."""
    return all((path / n).is_file() for n in ("expected.json", "inputs.safetensors"))


def is_schedule(path: Path) -> bool:
    """Whether the folder holds a learning-rate schedule."""
    return (path / "lr.json").is_file()


def relative(report: Report, name: str, ours: float, reference: float, rtol: float) -> None:
    """Record a number against its reference."""
    scale = abs(reference)
    report.add(name, abs(ours - reference), scale, rtol * scale if scale else 1e-12)


def check_metrics(path: Path) -> Report:
    """Compare metrics of recorded predictions, and losses of recorded outputs.

    Raises:
        InputError: a file cannot be read.
    """
    report = Report(path, "metrics")
    inputs, expected = read_tensors(path / "inputs.safetensors"), read_json(path / "expected.json")
    predicted, observed = (inputs[n].double().flatten().numpy() for n in ("pred", "target"))
    sizes = expected.get("batch_sizes", [len(observed)])
    for key, value in expected.items():
        if key.startswith("official"):
            compare_metrics(report, key, value, observed, predicted, METRIC_RTOL_F32)
        elif isinstance(value, Mapping):
            compare_metrics(report, key, value, observed, predicted, METRIC_RTOL)
        elif key.startswith("mean_of_per_batch_mse"):
            ends = np.cumsum(sizes)
            parts = zip(np.split(observed, ends[:-1]), np.split(predicted, ends[:-1]), strict=True)
            batches = [regression_metrics(o, p)["mse"] for o, p in parts]
            relative(
                report, "mean_of_per_batch_mse", float(np.mean(batches)), value, METRIC_RTOL_F32
            )
        elif key not in ("note", "batch_sizes"):
            report.not_compared.append(key)
    if (path / "loss.safetensors").is_file():
        _check_losses(report, read_tensors(path / "loss.safetensors"))
    return report


def compare_metrics(
    report: Report,
    label: str,
    expected: Mapping[str, float],
    observed: np.ndarray,
    predicted: np.ndarray,
    rtol: float,
) -> None:
    """Metrics of a whole split under the released or our names."""
    found = regression_metrics(observed, predicted)
    for key, reference in expected.items():
        name = key.split("/")[-1]
        full = f"{label}.{key}"
        if name in PUBLISHED_NAMES:
            relative(report, full, found[PUBLISHED_NAMES[name]], reference, rtol)
        elif name == "r_square":
            relative(report, full, squared_pearson(observed, predicted), reference, 2 * rtol)
        elif name in MASK_COUNTS:
            # Of models without a mask the released code logs zero masked positions.
            relative(report, full, 0.0, reference, rtol)
        else:
            report.not_compared.append(full)


def _check_losses(report: Report, tensors: dict[str, Tensor]) -> None:
    target = tensors["target"].flatten()
    outputs = {"loss.pred_loss": "logits", "loss.intervention_loss": "intervention_logits"}
    for name, reference in tensors.items():
        if name in outputs:
            loss = smooth_l1(tensors[outputs[name]].flatten(), target)
            # The terms are recorded times weights that are not; weights have few decimals.
            weight = round(float(reference / loss), WEIGHT_DECIMALS)
            report.float64(name, weight * loss, reference)
        elif name == "loss.uniform_loss":
            # Passed through by the released loss: there are no context weights in this folder.
            report.exact(name, reference, reference)
        elif name.startswith("loss."):
            report.not_compared.append(name)


def released_schedule(scheduler: Mapping[str, Any], peak: float) -> Schedule:
    """Our schedule for a released scheduler's configuration."""
    return Schedule(
        steps=scheduler["warmup_t"] + scheduler["t_initial"],
        warmup_steps=scheduler["warmup_t"],
        initial=scheduler["warmup_lr_init"],
        peak=peak,
        final=scheduler["lr_min"],
    )


def check_schedule(path: Path) -> Report:
    """Compare learning rates step by step, and which parameters are decayed.

    Raises:
        InputError: a file cannot be read or lacks a key.
    """
    report = Report(path, "schedule")
    try:
        expected = read_json(path / "lr.json")
        base = expected["optimizer_config"]
        schedule = released_schedule(expected["scheduler_config"], base["lr"])
        for step, rate in expected["lr"].items():
            relative(report, f"lr.{step}", learning_rate(int(step), schedule), rate, LR_RTOL)
        if (path / "param_groups.json").is_file():
            _check_prism_groups(report, read_json(path / "param_groups.json"))
        if (path / "param_groups_baselines.json").is_file():
            for name, groups in read_json(path / "param_groups_baselines.json").items():
                _check_groups(report, name, _network(_all(groups.values())), _keyed(groups, base))
    except KeyError as error:
        raise InputError(f"{path}: expected the key {error}, found none.") from None
    return report


def _all(groups: Iterable[list[str]]) -> list[str]:
    return [name for group in groups for name in group]


def _keyed(groups: Mapping[str, list[str]], base: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Groups with names, rate and decay; their keys are JSON, ``default`` meaning the base's."""
    result = []
    for key, names in groups.items():
        own = json.loads(key)
        rate, decay = own.get("lr", base["lr"]), own.get("weight_decay", base["weight_decay"])
        result.append({"names": names, "lr": rate, "weight_decay": decay})
    return result


def _check_prism_groups(report: Report, expected: Mapping[str, Any]) -> None:
    groups = [
        {
            "names": [name.removeprefix("model.") for name in group["params"]],
            "lr": group["hyper"]["initial_lr"],
            "weight_decay": group["hyper"]["weight_decay"],
        }
        for group in expected["groups"]
    ]
    model = _network(_all(group["names"] for group in groups))
    _check_groups(report, "prism", model, groups)
    defaults = make_optimiser(model).param_groups[0]
    for name in ("betas", "eps", "weight_decay"):
        reference = np.atleast_1d(expected["defaults"][name])
        ours = np.atleast_1d(defaults[name])
        report.exact(f"defaults.{name}", torch.from_numpy(ours), torch.from_numpy(reference))


def _network(names: list[str]) -> ExpressionModel:
    """A small network with the given released parameters."""
    architecture = architecture_of(names)
    if architecture is None:
        raise InputError(f"parameter groups: {names[0]} belongs to no known network.")
    numbers = [int(found[1]) for n in names if (found := re.search(r"layers\.(\d+)\.", n))]
    window = 1024
    hyper: dict[str, Any] = {"d_model": 16, "n_layers": 1 + max(numbers, default=0)}
    if architecture == "epinformer":
        layers = {n.split(".")[1] for n in names if n.startswith("attn_encoder.")}
        hyper = {"d_model": 32, "n_layers": len(layers), "stem_channels": 8}
    signals: tuple[str, ...] = SIGNALS
    if architecture in ("caduceus", "mamba", "hyena"):
        signals = ()
    return build(class_of(architecture), hyper, {}, InputSpec(signals, 9, window))


def _check_groups(
    report: Report, label: str, model: ExpressionModel, expected: list[dict[str, Any]]
) -> None:
    """Number of parameters whose rate or decay differs, per group; none may."""
    first: dict[str, str] = {}
    for released, ours in released_keys(model).items():
        first.setdefault(ours, released)
    found = {
        first[name]: (group["lr"], group["weight_decay"])
        for group in parameter_groups(model)
        for name in group["names"]
    }
    for group in expected:
        wanted = (group["lr"], group["weight_decay"])
        differing = [name for name in group["names"] if found.pop(name, None) != wanted]
        name = f"param_groups.{label}.lr_{wanted[0]:g}_decay_{wanted[1]:g}"
        report.add(name, len(differing), 1.0, 0.0, ", ".join(differing[:3]))
    report.add(f"param_groups.{label}.unlisted", len(found), 1.0, 0.0, ", ".join(list(found)[:3]))
