"""Weights from which a model starts: the embedding of bases and the backbone of a pretraining."""

from __future__ import annotations

import logging
from pathlib import Path

import torch
from torch import Tensor, nn

from prismflow.arrays import load_arrays
from prismflow.errors import InputError

logger = logging.getLogger(__name__)

N_BASES = 4


def start_from(model: nn.Module, path: str | Path) -> None:
    """Put pretrained weights in the place of those that were drawn at random.

    A model that embeds bases and signals together takes the columns of the four bases; all that a
    pretraining doesn't know (signals, weight generator, head) stays as it was drawn.

    Args:
        model: has ``backbone``, and ``embedding`` or ``sequence_embedding``.
        path: as ``pretrain`` writes it: ``embedding.weight`` (d_model, 4), ``embedding.bias`` and
            the tensors of the backbone.

    Raises:
        InputError: the file is absent or damaged, or has other keys or sizes.
    """
    found = {name: torch.tensor(value) for name, value in load_arrays(path).items()}
    places = _places(model)
    missing = [name for name in places if name not in found]
    unexpected = [name for name in found if name not in places]
    if missing or unexpected:
        raise InputError(
            f"{path}: expected the tensors of a pretrained backbone, found "
            f"{_listed(unexpected)} too many and {_listed(missing)} missing; pretrain a model "
            "with as many layers as the one that starts from it."
        )
    for name in places:
        value = found[name]
        if value.shape != places[name].shape:
            raise InputError(
                f"{path}: expected {name} of shape {tuple(places[name].shape)}, as the model that "
                f"starts from it has, found {tuple(value.shape)}; pretrain a model of the same "
                "sizes (`pretraining` in the configuration)."
            )
    with torch.no_grad():
        for name, value in found.items():
            places[name].copy_(value)
    logger.info("started from the %d tensors of %s", len(found), path)


def _places(model: nn.Module) -> dict[str, Tensor]:
    """Name in the file -> the tensor of the model that it fills."""
    own = model.state_dict()
    first = "sequence_embedding" if "sequence_embedding.weight" in own else "embedding"
    return {
        "embedding.weight": own[f"{first}.weight"][:, :N_BASES],
        "embedding.bias": own[f"{first}.bias"],
        **{name: value for name, value in own.items() if name.startswith("backbone.")},
    }


def _listed(names: list[str], limit: int = 3) -> str:
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return (", ".join(names[:limit]) or "none") + more
