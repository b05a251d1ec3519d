"""The authors' trained models: from a Lightning checkpoint to this package's files.

``python -m prismflow.released CHECKPOINT --out DIR`` writes ``model.safetensors`` and
``model.json``; :func:`adopt_run` does the same for one run of the workflow, in place of training.
Nothing in the checkpoint is executed (see :mod:`prismflow.released.checkpoint_file`), and every key
and shape must be the model's.
"""

from __future__ import annotations

import argparse
import logging
import math
import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from prismflow.errors import InputError
from prismflow.files import write_json, write_tsv
from prismflow.models import build
from prismflow.models.common import parameter_count
from prismflow.released.checkpoint_file import plain_values, read_checkpoint
from prismflow.released.keys import architecture_of, from_released
from prismflow.released.settings import loss_weights, released_settings
from prismflow.settings.architectures import class_of

logger = logging.getLogger(__name__)

PREFIX = "model."
FORMAT_VERSION = 1
PACKAGES = ("prismflow", "numpy", "torch", "safetensors")
GENE_FEATURES = (
    "utr5_length",
    "cds_length",
    "intron_length",
    "utr3_length",
    "utr5_gc",
    "cds_gc",
    "utr3_gc",
    "orf_exon_density",
    "promoter_activity",
)
"""The gene features of the released models, in their order."""
TRANSFORMS = {"h3k27ac": "raw", "dnase": "raw", "hic": "log10p1"}
HISTORY_COLUMNS = ("step", "epoch", "learning_rate", "train_loss", "valid_mse", "valid_pearson")
OWN_SETTINGS = ("reported", "intervention_average")
"""Hyper-parameters that change what is computed from the same weights."""


@dataclass(frozen=True)
class ReleasedModel:
    """A released model in this package's terms.

    Attributes:
        state: state dict with our names.
        settings: resolved model settings, as training writes them.
        cell, fold, seed: as its configuration says, None where it doesn't.
        best: optimiser steps done, and validation MSE if recorded.
        n_parameters: distinct parameters.
        skipped: names in the pickle that were not admitted.
    """

    state: dict[str, Tensor]
    settings: dict[str, Any]
    cell: str | None
    fold: str | None
    seed: int | None
    best: dict[str, Any]
    n_parameters: int
    skipped: tuple[str, ...]


def read_released(path: str | Path) -> ReleasedModel:
    """Read a released checkpoint.

    Raises:
        InputError: the file is no readable checkpoint, holds no known network, lacks its
            configuration, or has other keys or shapes than the configuration implies.
    """
    tree, skipped = read_checkpoint(path)
    tensors = _network_tensors(tree, path)
    config = plain_values(tree.get("hyper_parameters"))
    config = config if isinstance(config, dict) else {}
    model_config = (config.get("model") or {}).get("config")
    if not isinstance(model_config, dict):
        raise InputError(
            f"{path}: expected the model's configuration under hyper_parameters, found none."
        )
    architecture = architecture_of(tensors)
    if architecture is None:
        raise InputError(f"{path}: the weights belong to no network that is known here.")
    found = released_settings(architecture, model_config, tensors)
    task = (config.get("task") or {}).get("loss") or {}
    loss = loss_weights(task) if found.architecture == "prism" else {}
    # On the meta device sizes cost nothing, whatever a configuration claims.
    with torch.device("meta"):
        model = build(class_of(found.architecture), found.hyperparameters, loss, found.inputs)
    state = from_released(model, tensors, str(path))
    if skipped:
        logger.info("%s: not read: %s", path, ", ".join(skipped))
    features = GENE_FEATURES[: found.inputs.n_gene_features]
    settings = {
        "model": found.architecture,
        "architecture": found.architecture,
        "class": class_of(found.architecture),
        "hyperparameters": found.hyperparameters,
        "loss": loss,
        "modalities": list(found.inputs.modalities),
        "window_bp": found.inputs.window_bp,
        "transforms": {name: TRANSFORMS[name] for name in found.inputs.modalities},
        "gene_features": list(features),
    }
    train, data = config.get("train") or {}, config.get("dataset") or {}
    fold = train.get("single_CV")
    return ReleasedModel(
        state=state,
        settings=settings,
        cell=data.get("cell_type"),
        fold=None if fold is None else f"fold{fold}",
        seed=train.get("seed"),
        best=_best(tree),
        n_parameters=parameter_count(model),
        skipped=skipped,
    )


def _network_tensors(tree: Any, path: str | Path) -> dict[str, Tensor]:
    state = tree.get("state_dict") if isinstance(tree, dict) else None
    if not isinstance(state, dict) or not state:
        raise InputError(f"{path}: expected a Lightning checkpoint with a state_dict, found none.")
    odd = [str(key) for key, value in state.items() if not isinstance(value, Tensor)]
    odd += [str(key) for key in state if not str(key).startswith(PREFIX)]
    if odd:
        raise InputError(
            f"{path}: expected tensors named {PREFIX}... in its state_dict, found {odd[0]}"
            f" ({len(odd)} such entries)."
        )
    return {key[len(PREFIX) :]: value for key, value in state.items()}


def _best(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Step and validation MSE of the state; NaN where the file doesn't say."""
    callbacks = tree.get("callbacks")
    scores = [
        entry.get("best_model_score")
        for entry in (callbacks.values() if isinstance(callbacks, dict) else ())
        if isinstance(entry, dict) and entry.get("monitor") == "val/mse"
    ]
    numbers = [float(score) for score in scores if isinstance(score, (Tensor, float))]
    step = tree.get("global_step")
    return {
        "step": step if isinstance(step, int) else None,
        "valid_mse": numbers[0] if numbers else math.nan,
    }


def convert(path: str | Path, out: str | Path) -> ReleasedModel:
    """Write ``model.safetensors`` and ``model.json`` for a released checkpoint.

    The data that it was trained on are known by cell and fold only, so ``model.json`` can be
    checked against a store no further than that.

    Raises:
        InputError: see :func:`read_released`.
    """
    from prismflow.training.inference import save_weights

    released, out = read_released(path), Path(out)
    best = {k: v for k, v in released.best.items() if v is not None and v == v}
    record = {
        "format_version": FORMAT_VERSION,
        "settings": released.settings,
        "inputs": {
            "modalities": released.settings["modalities"],
            "gene_features": released.settings["gene_features"],
            "n_gene_features": len(released.settings["gene_features"]),
            "window_bp": released.settings["window_bp"],
        },
        "store": {} if released.cell is None else {"cell": released.cell},
        "fold": released.fold or "fold11",
        "seed": released.seed or 0,
        "best": best,
        "n_parameters": released.n_parameters,
        "released": {"file": Path(path).name, "not_read": list(released.skipped)},
        "versions": {
            "python": platform.python_version(),
            **{package: metadata.version(package) for package in PACKAGES},
        },
    }
    save_weights(released.state, out / "model.safetensors")
    write_json(record, out / "model.json")
    return released


def adopt_run(
    checkpoint: str | Path,
    store_dir: str | Path,
    splits_path: str | Path,
    fold: str,
    seed: int,
    settings: Mapping[str, Any],
    weights_path: str | Path,
    model_json_path: str | Path,
    history_path: str | Path,
) -> None:
    """Put a released checkpoint in the place of a training run; see ``training.train_run``.

    Args:
        checkpoint: the released file; ``{cell}`` and ``{seed}`` in it are replaced.
        settings: resolved model settings; what they say must agree with the checkpoint.

    Raises:
        InputError: the checkpoint can't be read, or is another model, cell, fold or seed than the
            run asks for.
    """
    from prismflow.data.store import Store
    from prismflow.training.inference import save_weights
    from prismflow.training.record import Split, model_record, open_inputs

    store = Store.open(store_dir)
    cell = store.manifest["cell"]
    path = Path(str(checkpoint).replace("{cell}", cell).replace("{seed}", str(seed)))
    released = read_released(path)
    resolved = _agreeing_settings(path, released, settings)
    for what, found, wanted in (
        ("cell", released.cell, cell),
        ("fold", released.fold, fold),
        ("seed", released.seed, seed),
    ):
        if found is not None and found != wanted:
            raise InputError(
                f"{path}: the checkpoint was trained with {what} {found}, the run asks for "
                f"{what} {wanted}."
            )
    open_inputs(store, resolved)
    split = Split.read(splits_path, fold, store)
    record = model_record(
        store,
        split,
        resolved,
        seed,
        best={k: v for k, v in released.best.items() if v is not None and v == v},
        n_parameters=released.n_parameters,
        device="released",
        packages=PACKAGES[1:],
    )
    save_weights(released.state, weights_path)
    row = dict.fromkeys(HISTORY_COLUMNS, math.nan) | released.best
    write_tsv(pd.DataFrame([row])[list(HISTORY_COLUMNS)], history_path)
    write_json(record | {"released": {"file": path.name}}, model_json_path)


def _agreeing_settings(
    path: Path, released: ReleasedModel, settings: Mapping[str, Any]
) -> dict[str, Any]:
    """The run's settings with the checkpoint's hyper-parameters, if they don't contradict it."""
    theirs, wanted = released.settings, dict(settings.get("hyperparameters", {}))
    own = {key: wanted.pop(key) for key in OWN_SETTINGS if key in wanted}
    pairs = [(key, theirs[key], settings[key]) for key in ("architecture", "modalities")]
    pairs.append(("window_bp", theirs["window_bp"], settings["window_bp"]))
    pairs.append(
        ("number of gene features", len(theirs["gene_features"]), len(settings["gene_features"]))
    )
    pairs += [(key, theirs["hyperparameters"].get(key), value) for key, value in wanted.items()]
    for key, found, asked in pairs:
        if found != asked:
            raise InputError(
                f"{path}: the checkpoint's {key} is {found}, the model's settings say {asked}."
            )
    hyperparameters = {**theirs["hyperparameters"], **own}
    return {**settings, "hyperparameters": hyperparameters, "loss": theirs["loss"]}


def main(arguments: list[str] | None = None) -> int:
    """Command line: convert one checkpoint; exit 2 with one sentence if that can't be done."""
    parser = argparse.ArgumentParser(
        prog="python -m prismflow.released",
        description="Convert a released Lightning checkpoint, without executing what it pickles.",
    )
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    options = parser.parse_args(arguments)
    try:
        released = convert(options.checkpoint, options.out)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    print(
        f"{options.out}: {released.settings['architecture']}, {released.n_parameters} parameters, "
        f"cell {released.cell}, {released.fold}, seed {released.seed}; not read: "
        f"{', '.join(released.skipped) or 'nothing'}"
    )
    return 0
