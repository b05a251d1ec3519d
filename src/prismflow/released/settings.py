"""Settings of this package for a configuration of the released code.

A released configuration is a nested mapping as found in a checkpoint. What it leaves to defaults
in the code is read from the shapes of the weights where a shape shows it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from prismflow.errors import InputError
from prismflow.models.common import InputSpec
from prismflow.models.enformer import EnformerSettings
from prismflow.models.epinformer import DILATIONS
from prismflow.models.hyena import EXTRA_POSITIONS

SIGNALS = ("h3k27ac", "dnase", "hic")
N_BASES = 4
UNLIMITED_BP = 1 << 30
Config = Mapping[str, Any]
Weights = Mapping[str, Tensor]


@dataclass(frozen=True)
class ReleasedSettings:
    """Arguments of ``prismflow.models.build`` for a released network, except its loss weights."""

    architecture: str
    hyperparameters: dict[str, Any]
    inputs: InputSpec


def released_settings(architecture: str, config: Config, weights: Weights) -> ReleasedSettings:
    """Settings of a released network.

    Args:
        architecture: of ``prismflow.released.keys.architecture_of``.
        config: the network's own configuration (``model.config`` of the released files).
        weights: released state dict without Lightning's prefix.

    Raises:
        InputError: a key of the configuration is missing or of the wrong type.
    """
    try:
        return _READERS[architecture](config, weights)
    except KeyError as error:
        raise InputError(
            f"the configuration of a released {architecture} network lacks the key {error}."
        ) from None
    except (TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"the configuration of a released {architecture} network has a value of the wrong "
            f"type ({error})."
        ) from None


def n_gene_features(config: Config) -> int:
    """Length of the gene feature vector."""
    return config.get("rna_feat_dim", 9) if config.get("useRNAFeat", True) else 0


def _inputs(config: Config, n_signals: int) -> InputSpec:
    window = config.get("seq_range") or UNLIMITED_BP
    return InputSpec(SIGNALS[:n_signals], n_gene_features(config), window)


def _backbone(config: Config, layers: str = "n_layer") -> dict[str, Any]:
    ssm = config.get("ssm_cfg") or {}
    return {
        "d_model": config["d_model"],
        "n_layers": config[layers],
        "d_state": ssm.get("d_state", 16),
        "d_conv": ssm.get("d_conv", 4),
        "expand": ssm.get("expand", 2),
        "center_bp": config["center_len"],
    }


def _prism(config: Config, weights: Weights) -> ReleasedSettings:
    generator = "weight_generator.weight_projector.0.weight" in weights
    hyper = _backbone(config) | {
        "n_contexts": config.get("n_context", 2) if generator else 0,
        "cnn_channels": config.get("cnn_dim", 8),
        "weight_activation": config.get("weight_act", "sigmoid"),
    }
    return ReleasedSettings("prism", hyper, _inputs(config, config.get("signal_size", 3)))


def _caduceus(config: Config, weights: Weights) -> ReleasedSettings:
    n_signals = weights["input_layer.weight"].shape[1] - N_BASES
    architecture = "caduceus_signals" if n_signals else "caduceus"
    return ReleasedSettings(architecture, _backbone(config), _inputs(config, n_signals))


def _mamba(config: Config, weights: Weights) -> ReleasedSettings:
    return ReleasedSettings("mamba", _backbone(config), _inputs(config, 0))


def _seq2exp(config: Config, weights: Weights) -> ReleasedSettings:
    constants = [float(value) for value in config["prior_beta"].split(",")]
    importance = [float(value) for value in config["prior_weight"].split(",")]
    inputs = _inputs(config, config.get("signal_size", 3))
    hyper = _backbone(config, "enc_n_layer") | {
        "kappa": float(config["prior_scale_factor"]),
        "evidence_floor": float(config["beta_min"]),
        "z_scale": float(config["z_scale"]),
        "prior_mean": float(config["marginal_mean"]),
        "prior_scale": float(config["marginal_scale"]),
        "signal_constants": dict(zip(inputs.modalities, constants, strict=False)),
        "signal_weights": dict(zip(inputs.modalities, importance, strict=False)),
        "test_mask": _test_mask(config),
        "test_fraction": config.get("test_top_percent"),
    }
    architecture = "seq2exp_hard" if "pos_emb" in weights else "seq2exp_soft"
    return ReleasedSettings(architecture, hyper, inputs)


def _test_mask(config: Config) -> str:
    """The flag that is set among those of the evaluation masks."""
    masks = ("soft", "top_soft", "top", "hard")
    return next((mask for mask in masks if config.get(f"test_{mask}")), "hard")


def loss_weights(released: Config) -> dict[str, float]:
    """Prism's loss weights from their released names; unnamed ones keep their defaults."""
    names = {"intervention": "intervention_loss_weight", "uniform": "uniform_loss_weight"}
    return {ours: float(released[theirs]) for ours, theirs in names.items() if theirs in released}


def _hyena(config: Config, weights: Weights) -> ReleasedSettings:
    layer = config["layer"]
    hyper = {
        "d_model": config["d_model"],
        "n_layers": config["n_layer"],
        "d_mlp": config["d_inner"],
        "filter_width": layer["filter_order"],
        "position_features": layer["emb_dim"],
        "sine_frequency": float(layer["w"]),
        "embedding_dropout": config["embed_dropout"],
        "center_bp": config["center_len"],
    }
    window_bp = layer["l_max"] - EXTRA_POSITIONS
    return ReleasedSettings("hyena", hyper, InputSpec((), n_gene_features(config), window_bp))


def _enformer(config: Config, weights: Weights) -> ReleasedSettings:
    sizes, defaults = config.get("tiny_hparams", {}), EnformerSettings()
    wrapper = config.get("wrapper", config)
    hyper = {
        "d_model": sizes.get("dim", defaults.d_model),
        "n_layers": sizes.get("depth", defaults.n_layers),
        "n_heads": sizes.get("heads", defaults.n_heads),
        "n_stages": _count(weights, r"enformer.conv_tower.{}.0.2.weight"),
        "key_dim": sizes.get("attn_dim_key", defaults.key_dim),
        "target_bins": sizes.get("target_length", defaults.target_bins),
        "channel_multiple": sizes.get("dim_divisible_by", defaults.channel_multiple),
        "input_bp": config.get("valid_len_enformer", defaults.input_bp),
        "d_hidden": weights["pToExpr.0.weight"].shape[0],
    }
    inputs = InputSpec((), n_gene_features(wrapper), wrapper["seq_range"])
    return ReleasedSettings("enformer", hyper, inputs)


def _epinformer(config: Config, weights: Weights) -> ReleasedSettings:
    # One module in two is the residual one without a norm.
    stages = _count(weights, "seq_encoder.conv_tower.{}.0.weight") // 2
    tower = [weights[f"seq_encoder.conv_tower.{2 * i}.0.weight"].shape[0] for i in range(stages)]
    channels = weights["conv_out.9.weight"].shape[0]
    tokens, encoded = weights["conv_out.12.weight"].shape
    hyper = {
        "n_enhancers": config["n_enhancers"],
        "element_bp": (encoded + 2 * sum(DILATIONS)) * 2 ** len(tower),
        "d_model": tokens * channels,
        "n_layers": _count(weights, "attn_encoder.{}.norm1.weight"),
        "n_heads": config.get("head", 4),
        "stem_channels": weights["seq_encoder.stem_conv.0.weight"].shape[0],
        "tower_channels": tuple(tower),
        "output_channels": weights["conv_out.0.weight"].shape[0],
        "element_channels": channels,
        "d_feedforward": weights["attn_encoder.0.ff.0.weight"].shape[0],
        "d_hidden": weights["pToExpr.0.weight"].shape[0],
    }
    inputs = InputSpec((), n_gene_features(config), hyper["element_bp"])
    return ReleasedSettings("epinformer", hyper, inputs)


def _count(weights: Weights, pattern: str) -> int:
    """How many of pattern(0), pattern(1), ... there are."""
    number = 0
    while pattern.format(number) in weights:
        number += 1
    return number


_READERS: dict[str, Callable[[Config, Weights], ReleasedSettings]] = {
    "prism": _prism,
    "caduceus": _caduceus,
    "mamba": _mamba,
    "seq2exp_soft": _seq2exp,
    "seq2exp_hard": _seq2exp,
    "hyena": _hyena,
    "enformer": _enformer,
    "epinformer": _epinformer,
}
