"""Folders that hold one network: configuration, weights, inputs and what the network computed."""

from __future__ import annotations

import re
from pathlib import Path

import torch
from torch import Tensor

from prismflow.errors import InputError
from prismflow.files import read_json
from prismflow.released.keys import architecture_of, load_released
from prismflow.released.parity import mamba_networks, other_networks
from prismflow.released.parity.compare import Report
from prismflow.released.parity.folder import Folder
from prismflow.released.parity.probe import Probe, buffers, common_values
from prismflow.released.parity.subject import Subject, UnknownVariant
from prismflow.released.parity.tensors import DTYPES, read_tensors
from prismflow.released.settings import loss_weights, released_settings

FILES = ("config.json", "weights.safetensors", "inputs.safetensors", "expected.safetensors")
_KEY = re.compile(
    r"(?:extra\.(?P<variant>.+?)\.)?(?P<precision>f32|f64)\.(?:(?P<mode>train|eval)\.)?(?P<name>.+)"
)
_VARIANT_WEIGHT = re.compile(r"extra\.(?P<variant>.+?)\.weight\.(?P<key>.+)")


SUBJECTS: dict[str, type[Subject]] = {
    "prism": mamba_networks.PrismSubject,
    "caduceus": Subject,
    "caduceus_signals": Subject,
    "mamba": mamba_networks.MambaSubject,
    "seq2exp_soft": mamba_networks.Seq2ExpSubject,
    "seq2exp_hard": mamba_networks.Seq2ExpSubject,
    "hyena": other_networks.HyenaSubject,
    "enformer": other_networks.EnformerSubject,
    "epinformer": other_networks.EPInformerSubject,
}


def is_network(path: Path) -> bool:
    """Whether the folder has the files of a network folder."""
    return all((path / name).is_file() for name in FILES)


def read_folder(path: Path) -> Folder:
    """Read a network folder and sort what it expects by run."""
    config = read_json(path / "config.json")
    if not isinstance(config, dict) or not isinstance(config.get("config"), dict):
        raise InputError(f"{path / 'config.json'}: expected an object with the key config.")
    variants: dict[str, dict[str, Tensor]] = {}
    runs: dict[tuple[str, str, str], dict[str, Tensor]] = {}
    rest: dict[str, Tensor] = {}
    for key, value in read_tensors(path / "expected.safetensors").items():
        if changed := _VARIANT_WEIGHT.fullmatch(key):
            variants.setdefault(changed["variant"], {})[changed["key"]] = value
        elif found := _KEY.fullmatch(key):
            run = (found["variant"] or "", found["precision"], found["mode"] or "")
            runs.setdefault(run, {})[found["name"]] = value
        else:
            rest[key] = value
    return Folder(
        path,
        config,
        read_tensors(path / "weights.safetensors"),
        read_tensors(path / "inputs.safetensors"),
        variants,
        runs,
        rest,
    )


def check(path: Path) -> Report:
    """Build the network of a folder, run it as the folder says, and compare everything.

    Raises:
        InputError: the folder cannot be used: unreadable files, an unknown layout or weights that
            do not fit the configuration.
    """
    folder = read_folder(path)
    architecture = architecture_of(folder.weights)
    if architecture is None:
        raise InputError(f"{path}: the keys of weights.safetensors belong to no known network.")
    settings = released_settings(architecture, folder.config["config"], folder.weights)
    loss = loss_weights(folder.config.get("loss_weights") or {})
    subject = SUBJECTS[settings.architecture](
        settings.architecture, settings.hyperparameters, loss, settings.inputs
    )
    report = Report(path, subject.architecture)
    for (variant, precision, mode), expected in sorted(folder.runs.items()):
        label = ".".join(part for part in (variant and f"extra.{variant}", precision, mode) if part)
        try:
            changed = subject.variant(variant, folder) if variant else subject
        except UnknownVariant:
            report.not_compared += [f"{label}.{name}" for name in expected]
            continue
        weights = changed.weights({**folder.weights, **folder.variants.get(variant, {})})
        values = run(changed, folder, weights, DTYPES[precision], mode, expected)
        compare(report, folder, (variant, precision, mode), label, expected, values)
    subject.compare_rest(report, folder.rest)
    return report


def run(
    subject: Subject,
    folder: Folder,
    weights: dict[str, Tensor],
    dtype: torch.dtype,
    mode: str,
    expected: dict[str, Tensor],
) -> dict[str, Tensor]:
    """One forward pass, with a backward pass if gradients are expected; tensors by name."""
    model = subject.build()
    load_released(model, weights, str(folder.path))
    model.to(dtype).train(mode == "train")
    if not mode:
        return subject.parts(model, expected)
    batch = subject.batch(folder.inputs, dtype)
    subject.prepare(model, folder.inputs)
    probe = Probe()
    subject.observe(model, probe)
    backward = any(name.startswith(("grad.", "nograd.")) for name in expected)
    with torch.set_grad_enabled(backward):
        output = model(batch)
    probe.close()
    values = dict(probe.values)
    values |= common_values(model, output, batch.target, backward)
    values |= buffers(model)
    return values | subject.values(model, output, values, folder)


def compare(
    report: Report,
    folder: Folder,
    key: tuple[str, str, str],
    label: str,
    expected: dict[str, Tensor],
    values: dict[str, Tensor],
) -> None:
    """Add one run's tensors to the report; expected names without a value are failures."""
    variant, precision, mode = key
    wide = folder.runs.get((variant, "f64", mode), {})
    for name, reference in expected.items():
        full = f"{label}.{name}"
        if name.startswith("nograd."):
            absent = f"grad.{name.removeprefix('nograd.')}" not in values
            report.exact(full, torch.tensor(float(not absent)), torch.tensor(0.0))
        elif name not in values:
            report.not_compared.append(full)
        elif not reference.is_floating_point():
            report.exact(full, values[name], reference)
        elif precision == "f64" and reference.dtype == torch.float64:
            report.float64(full, values[name], reference)
        elif name in wide:
            report.float32(full, values[name], wide[name], reference, folder.tolerances)
        else:
            report.float32(full, values[name], reference, None, folder.tolerances)
