"""Released Caduceus language models as the start of ours.

The released networks read tokens: a table of 12 or 16 rows, in which A, C, G, T and N are rows 7 to
11. Ours read one-hot bases, so the map of one-hot to hidden is W = row(base) - row(N) with the bias
row(N): every base, and N, gets exactly the released vector up to rounding. Nothing in a file is
executed: safetensors, or an archive of torch read by :mod:`prismflow.released.checkpoint_file`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from prismflow.arrays import save_arrays
from prismflow.errors import InputError
from prismflow.models.bimamba import BiMambaBackbone, released_keys
from prismflow.models.common import BaseEmbedding
from prismflow.released.checkpoint_file import read_checkpoint
from prismflow.training.masked import network_of

logger = logging.getLogger(__name__)

EMBEDDING = "embeddings.word_embeddings.weight"
UNUSED = ("lm_head.", "score.")
_WRAPPERS = ("state_dict", "model")


def adopt_pretrained(
    path: str | Path, settings: Mapping[str, Any], weights_path: str | Path
) -> None:
    """Write a released Caduceus as the file that ``pretrain`` would have written.

    Args:
        path: the released file.
        settings: ``class`` and ``hyperparameters`` of the model that starts from it.
        weights_path: ``model.safetensors`` to write.

    Raises:
        InputError: the file is absent or unreadable, or has other keys or sizes than the model.
    """
    tensors = _inside_backbone(read_tensors(path), path)
    with torch.device("meta"):
        model = network_of(settings)
    backbone = cast(BiMambaBackbone, model.backbone)
    names = released_keys(backbone)
    unexpected = [key for key in tensors if key not in names and key != EMBEDDING]
    state = {f"backbone.{names[key]}": tensors[key] for key in names if key in tensors}
    wanted = model.kept()
    missing = [name for name in wanted if name.startswith("backbone.") and name not in state]
    missing += [EMBEDDING] if EMBEDDING not in tensors else []
    if unexpected or missing:
        raise InputError(
            f"{path}: expected the tensors of a Caduceus (bidirectional, without rcps) of "
            f"{len(backbone.layers)} layers, found {_listed(unexpected)} too many and "
            f"{_listed(missing)} missing; set `n_layers` of the model to the file's, or name "
            "another file."
        )
    for key, value in tensors.items():
        if key in names and not torch.equal(value, state[f"backbone.{names[key]}"]):
            raise InputError(
                f"{path}: expected one projection for both directions, found {key}, which differs "
                "from its twin; name weights that were trained with tied projections."
            )
    state |= _one_hot_map(tensors[EMBEDDING], path)
    for name, value in wanted.items():
        if state[name].shape != value.shape:
            raise InputError(
                f"{path}: expected {name} of shape {tuple(value.shape)}, as the model's settings "
                f"say, found {tuple(state[name].shape)}; set the model's hyperparameters (d_model, "
                "d_state, d_conv, expand) to the file's."
            )
    save_arrays({name: value.float().numpy() for name, value in state.items()}, weights_path)
    logger.info("%s: %d tensors taken over", path, len(state))


def read_tensors(path: str | Path) -> dict[str, Tensor]:
    """Tensors by name, of a safetensors file or of a torch archive.

    Raises:
        InputError: absent, of neither kind, or without tensors.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: expected released weights, found no such file.")
    if path.suffix == ".safetensors":
        try:
            return load_file(path)
        except (SafetensorError, OSError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise InputError(f"{path}: expected a safetensors file, found {reason}.") from None
    tree, _ = read_checkpoint(path)
    for wrapper in _WRAPPERS:
        if isinstance(tree, dict) and isinstance(tree.get(wrapper), dict):
            tree = tree[wrapper]
    named = tree if isinstance(tree, dict) else {}
    tensors = {str(key): value for key, value in named.items() if isinstance(value, Tensor)}
    if not tensors:
        raise InputError(f"{path}: expected tensors by name, found none.")
    return tensors


def _inside_backbone(tensors: Mapping[str, Tensor], path: str | Path) -> dict[str, Tensor]:
    """Names as they are below the backbone, without what a language model has beside it."""
    used = {name: value for name, value in tensors.items() if not name.startswith(UNUSED)}
    prefixes = {name.partition("layers.0.")[0] for name in used if "layers.0." in name}
    if len(prefixes) != 1:
        raise InputError(
            f"{path}: expected the tensors of one Caduceus (layers.0. ...), found "
            f"{_listed(sorted(used))}; name the file of the language model's weights."
        )
    prefix = prefixes.pop()
    return {name.removeprefix(prefix): value for name, value in used.items()}


def _one_hot_map(table: Tensor, path: str | Path) -> dict[str, Tensor]:
    """Weight (d_model, 4) and bias (d_model,) that give each base its row of the table."""
    first = BaseEmbedding.FIRST_BASE
    if table.dim() != 2 or len(table) <= first + 4:
        raise InputError(
            f"{path}: expected a table of at least {first + 5} tokens, found shape "
            f"{tuple(table.shape)}; name weights with the vocabulary of Caduceus."
        )
    rows = table.float()
    unknown = rows[first + 4]
    return {"embedding.weight": (rows[first : first + 4] - unknown).T, "embedding.bias": unknown}


def _listed(names: list[str], limit: int = 3) -> str:
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return (", ".join(names[:limit]) or "none") + more
