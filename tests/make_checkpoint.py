"""Small checkpoints as the released code writes them."""

from __future__ import annotations

import zipfile
from collections import OrderedDict, defaultdict
from pathlib import Path

import torch
from named import build

from prismflow.models.common import InputSpec
from prismflow.released.keys import released_keys

MODALITIES = ("h3k27ac", "dnase", "hic")


class Leaf:
    """Stands for a value of the released configuration library."""

    def __init__(self, value: object) -> None:
        self._val = value


class Branch:
    """Stands for a container of the released configuration library."""

    def __init__(self, content: object) -> None:
        self._content = content


def tree_of(value: object) -> object:
    if isinstance(value, dict):
        return Branch({key: tree_of(entry) for key, entry in value.items()})
    return Leaf(value)


def small_prism(**changes: object) -> tuple[dict, dict[str, torch.Tensor]]:
    """A configuration as released and a state dict in the released layout."""
    torch.manual_seed(0)
    config = {
        "d_model": 16,
        "n_layer": 1,
        "center_len": 64,
        "cnn_dim": 2,
        "n_context": 2,
        "weight_act": "sigmoid",
        "signal_size": 3,
        "rna_feat_dim": 9,
        "useRNAFeat": True,
        "seq_range": 128,
        "ssm_cfg": {"d_state": 4, "d_conv": 4, "expand": 2},
        **changes,
    }
    hyper = {"d_model": 16, "n_layers": 1, "d_state": 4, "cnn_channels": 2, "center_bp": 64}
    model = build("prism", hyper, {}, InputSpec(MODALITIES, 9, 128))
    state = model.state_dict()
    tensors = {released: state[ours].clone() for released, ours in released_keys(model).items()}
    return config, tensors


def write_checkpoint(
    path: Path, config: dict, tensors: dict[str, torch.Tensor], cell: str = "K562", **more
) -> Path:
    tree = {
        "epoch": 3,
        "global_step": 17,
        "state_dict": OrderedDict((f"model.{name}", value) for name, value in tensors.items()),
        "callbacks": {
            "a": {"monitor": "val/mse", "best_model_score": torch.tensor(0.25)},
            "b": {"monitor": None, "best_model_score": None},
        },
        "hyper_parameters": tree_of(
            {
                "model": {"config": config},
                "task": {
                    "loss": {"uniform_loss_weight": 0.5, "intervention_loss_weight": 2.0},
                },
                "dataset": {"cell_type": cell},
                "train": {"seed": 22, "single_CV": 11},
            }
        ),
        "defaults": defaultdict(dict, {"x": 1}),
        **more,
    }
    torch.save(tree, path)
    return path


def rewrite_pickle(source: Path, target: Path, pickled: bytes) -> Path:
    """A copy of a checkpoint with another pickle in it."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            new.writestr(name, pickled if name.endswith("data.pkl") else old.read(name))
    return target
