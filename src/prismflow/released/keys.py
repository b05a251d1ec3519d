"""State-dict layouts of the released code: which of its keys is which tensor of ours.

Only names and shapes are known here. The released models of one family differ in prefixes, keep
tied tensors under several keys, and carry no list of settings, so the settings that fix a shape
are read from the shapes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from prismflow.errors import InputError
from prismflow.models import bimamba
from prismflow.models.common import ExpressionModel

HEAD = {f"head.layers.{i}.": f"pToExpr.{i}." for i in (0, 2, 4)}
_EMBEDDINGS = {
    "sequence_embedding.": "seq_input_layer.",
    "signal_embedding.": "signal_input_layer.",
}
_PRISM = {
    **_EMBEDDINGS,
    **{
        f"weight_generator.encoder.{i // 4}.{i % 4}.": f"weight_generator.cnn_encoder.{i}."
        for i in (0, 1, 4, 5, 8, 9)
    },
    "weight_generator.projection.": "weight_generator.weight_projector.0.",
}
_SEQ2EXP = {
    **_EMBEDDINGS,
    "signal_constants": "signal_betas",
    "log_signal_weights": "prior_weights",
    "positions": "pos_emb",
}
_HYENA = {
    "embedding.": "model.embeddings.word_embeddings.",
    "norm_f.": "model.ln_f.",
}
_HYENA_LAYER = {
    "mixer.filter.network.": "mixer.filter_fn.implicit_filter.",
    "mixer.filter.bias": "mixer.filter_fn.bias",
    "mixer.filter.positions": "mixer.filter_fn.pos_emb.t",
    "mixer.filter.features": "mixer.filter_fn.pos_emb.z",
    "mixer.filter.decay": "mixer.filter_fn.modulation.deltas",
    "mlp.0.": "mlp.fc1.",
    "mlp.2.": "mlp.fc2.",
}
_EPINFORMER = {
    "encoder.stem.": "seq_encoder.stem_conv.0.",
    **{
        f"encoder.stages.{i}.{part}.": f"seq_encoder.conv_tower.{2 * i}.{part}."
        for i in range(8)
        for part in (0, 1)
    },
    **{f"encoder.mixers.{i}.0.": f"seq_encoder.conv_tower.{2 * i + 1}.0." for i in range(8)},
    "encoder.output.": "conv_out.",
    "feature_mixer.": "add_pos_conv.",
}
_EPINFORMER_LAYER = {"attention.": "self_attn.", "mlp.": "ff."}
_ENFORMER = {
    "stem.conv.": "stem.0.",
    "stem.residual.norm.": "stem.1.fn.0.",
    "stem.residual.conv.": "stem.1.fn.2.",
    "stem.pool.logits.": "stem.2.to_attn_logits.",
    "output.norm.": "final_pointwise.1.0.",
    "output.conv.": "final_pointwise.1.2.",
}
_ENFORMER_STAGE = {
    "conv.norm.": "0.0.",
    "conv.conv.": "0.2.",
    "residual.norm.": "1.fn.0.",
    "residual.conv.": "1.fn.2.",
    "pool.logits.": "2.to_attn_logits.",
}
_ENFORMER_LAYER = {
    "norm1.": "0.fn.0.",
    "attention.query.": "0.fn.1.to_q.",
    "attention.key.": "0.fn.1.to_k.",
    "attention.value.": "0.fn.1.to_v.",
    "attention.position_key.": "0.fn.1.to_rel_k.",
    "attention.content_bias": "0.fn.1.rel_content_bias",
    "attention.position_bias": "0.fn.1.rel_pos_bias",
    "attention.output.": "0.fn.1.to_out.",
    "norm2.": "1.fn.0.",
    "mlp.0.": "1.fn.1.",
    "mlp.3.": "1.fn.4.",
}
# The library behind the released Enformer lists its parts a second time, as one sequence.
_ENFORMER_TRUNK = {
    "stem.": "_trunk.1.",
    "conv_tower.": "_trunk.2.",
    "transformer.": "_trunk.4.",
    "final_pointwise.": "_trunk.6.",
}
_PREFIXES: dict[str, dict[str, str]] = {
    "prism": _PRISM,
    "caduceus": {"embedding.": "input_layer."},
    "caduceus_signals": {"embedding.": "input_layer."},
    "mamba": {"embedding.": "model.embedding."},
    "hyena": _HYENA,
    "epinformer": _EPINFORMER,
    "enformer": _ENFORMER,
    "seq2exp_soft": _SEQ2EXP,
    "seq2exp_hard": _SEQ2EXP,
    "peak_mask": _EMBEDDINGS,
}
_NUMBERED: dict[tuple[str, str], tuple[str, dict[str, str]]] = {
    ("hyena", "layers"): ("model.layers", _HYENA_LAYER),
    ("epinformer", "layers"): ("attn_encoder", _EPINFORMER_LAYER),
    ("enformer", "layers"): ("transformer", _ENFORMER_LAYER),
    ("enformer", "stages"): ("conv_tower", _ENFORMER_STAGE),
}
_UNUSED = {"enformer": ("enformer._heads.",)}
"""Prefixes of released tensors that take no part in the prediction."""
_BACKBONES: dict[str, dict[str, tuple[str, ...]]] = {
    "prism": {"backbone": ("caduceus.backbone.",)},
    "caduceus": {"backbone": ("caduceus.backbone.",)},
    "caduceus_signals": {"backbone": ("caduceus.backbone.",)},
    "mamba": {"backbone": ("model.",)},
    "seq2exp_soft": {"generator": ("generator.backbone.",), "predictor": ("encoder.backbone.",)},
    "seq2exp_hard": {"generator": ("generator.backbone.", "encoder.backbone.")},
}
_SIGNATURES: tuple[tuple[str, str], ...] = (
    (r"weight_generator\.", "prism"),
    (r"mask_output\.", "seq2exp"),
    (r"enformer\.", "enformer"),
    (r"seq_encoder\.", "epinformer"),
    (r"model\.embeddings\.word_embeddings\.", "hyena"),
    (r"model\.embedding\.", "mamba"),
    (r"signal_input_layer\.", "prism"),
    (r"input_layer\.", "caduceus"),
)


def architecture_of(keys: Iterable[str]) -> str | None:
    """The architecture that released keys belong to, or None if they are no known layout."""
    keys = list(keys)
    for pattern, architecture in _SIGNATURES:
        if any(re.match(pattern, key) for key in keys):
            if architecture == "seq2exp":
                return "seq2exp_hard" if "pos_emb" in keys else "seq2exp_soft"
            return architecture
    return None


def released_keys(model: ExpressionModel) -> dict[str, str]:
    """Released key -> our state-dict name, for every tensor; tied tensors appear repeatedly."""
    mapping: dict[str, str] = {}
    own = list(model.state_dict())
    for name, prefixes in _BACKBONES.get(model.architecture, {}).items():
        keys = bimamba.released_keys(getattr(model, name))
        for prefix in prefixes:
            mapping |= {prefix + released: f"{name}.{ours}" for released, ours in keys.items()}
        own = [key for key in own if not key.startswith(f"{name}.")]
    for ours in own:
        for released in _released_names(model.architecture, ours):
            mapping[released] = ours
    return mapping


def _released_names(architecture: str, ours: str) -> tuple[str, ...]:
    if ours.startswith("head."):
        return (_renamed(ours, HEAD),)
    parts = ours.split(".", 2)
    if (architecture, parts[0]) in _NUMBERED:
        stem, names = _NUMBERED[architecture, parts[0]]
        name = f"{stem}.{parts[1]}.{_renamed(parts[2], names)}"
    else:
        name = _renamed(ours, _PREFIXES.get(architecture, {}))
    if architecture != "enformer":
        return (name,)
    return (f"enformer.{name}", f"enformer.{_renamed(name, _ENFORMER_TRUNK)}")


def _renamed(name: str, prefixes: Mapping[str, str]) -> str:
    for mine, theirs in prefixes.items():
        if name.startswith(mine):
            return theirs + name[len(mine) :]
    return name


def from_released(
    model: ExpressionModel, tensors: Mapping[str, Tensor], where: str
) -> dict[str, Tensor]:
    """State dict of ``model`` from a released one, with strict checks.

    Args:
        model: gives the expected names and shapes.
        tensors: released keys without Lightning's ``model.`` prefix.
        where: file or folder, named in errors.

    Raises:
        InputError: missing or unexpected keys, other shapes, or tied keys that differ.
    """
    mapping = released_keys(model)
    missing = [key for key in mapping if key not in tensors]
    unused = _UNUSED.get(model.architecture, ())
    unexpected = [key for key in tensors if key not in mapping and not key.startswith(unused)]
    if missing or unexpected:
        raise InputError(
            f"{where}: the tensors are not those of {model.architecture}: "
            f"missing {_listed(missing)}; unexpected {_listed(unexpected)}."
        )
    wanted = model.state_dict()
    state: dict[str, Tensor] = {}
    for released, ours in mapping.items():
        value = tensors[released]
        if _extents(value) != _extents(wanted[ours]):
            raise InputError(
                f"{where}: {released} has shape {tuple(value.shape)}, but a {model.architecture} "
                f"of these settings has {tuple(wanted[ours].shape)}."
            )
        value = value.reshape(wanted[ours].shape)
        if ours in state and not torch.equal(state[ours], value):
            raise InputError(
                f"{where}: {released} is a second copy of a tied tensor and differs from the first."
            )
        state.setdefault(ours, value)
    return state


def load_released(model: ExpressionModel, tensors: Mapping[str, Tensor], where: str) -> None:
    """Load a released state dict into ``model``; see :func:`from_released` for the errors."""
    model.load_state_dict(from_released(model, tensors, where))


def _extents(value: Tensor) -> list[int]:
    """Shape without axes of length one, in which some released buffers differ from ours."""
    return [n for n in value.shape if n != 1]


def _listed(keys: list[str], limit: int = 6) -> str:
    if not keys:
        return "none"
    more = f" and {len(keys) - limit} more" if len(keys) > limit else ""
    return ", ".join(keys[:limit]) + more
