"""Networks on other backbones: Hyena, Enformer and EPInformer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from prismflow.models.common import ExpressionModel, InputSpec, ModelOutput
from prismflow.models.enformer import EnformerSettings, sigmoid_gelu
from prismflow.models.epinformer import DILATIONS
from prismflow.parity.compare import Report
from prismflow.parity.probe import Batch, Probe
from prismflow.parity.subject import (
    FIRST_BASE_TOKEN,
    Subject,
    n_gene_features,
    one_hot,
)

if TYPE_CHECKING:
    from prismflow.parity.networks import Folder


class HyenaSubject(Subject):
    """Hyena: final hidden states, the first operator's output and its implicit filter."""

    def observe(self, model: ExpressionModel, probe: Probe) -> None:
        probe.output("hidden", model.norm_f)
        for i, layer in enumerate(model.layers):
            probe.output(f"mixer{i}_out", layer.mixer)

    def parts(self, model: ExpressionModel, expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
        with torch.no_grad():
            return {
                f"filter{i}": layer.mixer.filter(expected[f"filter{i}"].shape[1]).unsqueeze(0)
                for i, layer in enumerate(model.layers)
                if f"filter{i}" in expected
            }


def hyena(config: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Subject:
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
    window = layer["l_max"] - 2
    return HyenaSubject("hyena", hyper, {}, InputSpec((), n_gene_features(config), window))


class EPInformerSubject(Subject):
    """EPInformer: encoded elements, tokens and the attention of every layer."""

    def batch(self, inputs: Mapping[str, Tensor], dtype: torch.dtype) -> Batch:
        elements = inputs["pe_seq_uint8"].to(dtype)
        extras = {"elements": elements, "element_features": inputs["extraFeat"].to(dtype)}
        return Batch(
            elements[:, 0],
            elements[:, 0, :, :0],
            inputs["rna_feat"][:, : self.inputs.n_gene_features].to(dtype),
            inputs["target"].flatten().to(dtype),
            extras,
        )

    def observe(self, model: ExpressionModel, probe: Probe) -> None:
        probe.output("conv_out", model.encoder.output)
        probe.output("pos_out", model.feature_mixer)
        for i, layer in enumerate(model.layers):
            probe.output(f"attn{i}", layer, lambda pair: pair[1])

    def values(
        self, model: ExpressionModel, output: ModelOutput, seen: dict[str, Tensor], folder: Folder
    ) -> dict[str, Tensor]:
        shape = folder.inputs["pe_seq_uint8"].shape[:2]
        return {
            "conv_out": seen["conv_out"].unflatten(0, shape).transpose(1, 2),
            "pos_out": seen["pos_out"].transpose(1, 2),
            "attn": torch.stack([seen[f"attn{i}"] for i in range(len(model.layers))]),
        }


class EnformerSubject(Subject):
    """Enformer: the stem's output and the bins' embeddings."""

    def batch(self, inputs: Mapping[str, Tensor], dtype: torch.dtype) -> Batch:
        sequence = enformer_one_hot(inputs["tokens"] - FIRST_BASE_TOKEN)
        return super().batch({**inputs, "seqs": sequence}, dtype)

    def observe(self, model: ExpressionModel, probe: Probe) -> None:
        probe.output("stem_out", model.stem)
        probe.output("final", model.output)

    def values(
        self, model: ExpressionModel, output: ModelOutput, seen: dict[str, Tensor], folder: Folder
    ) -> dict[str, Tensor]:
        return {"embeddings": sigmoid_gelu(seen["final"]).transpose(1, 2)}

    def compare_rest(self, report: Report, rest: Mapping[str, Tensor]) -> None:
        for name, reference in rest.items():
            if name == "one_hot_of_0_1_2_3_4_minus1":
                tokens = torch.tensor([[0, 1, 2, 3, 4, -1]])
                report.exact(name, enformer_one_hot(tokens), reference)
            else:
                report.not_compared.append(name)


def enformer_one_hot(indices: Tensor) -> Tensor:
    """0 ... 3 -> one-hot rows, 4 (N) -> a zero row, negative (not a base) -> 1/4 each."""
    rows = one_hot(indices + FIRST_BASE_TOKEN)
    return torch.where((indices < 0).unsqueeze(-1), 0.25, rows)


def enformer(config: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Subject:
    """Enformer with the sizes that its configuration overrides."""
    sizes = config["tiny_hparams"]
    defaults = EnformerSettings()
    hyper = {
        "d_model": sizes.get("dim", defaults.d_model),
        "n_layers": sizes.get("depth", defaults.n_layers),
        "n_heads": sizes.get("heads", defaults.n_heads),
        "n_stages": sum(key.startswith("enformer.conv_tower.") for key in weights) // 15,
        "key_dim": sizes.get("attn_dim_key", defaults.key_dim),
        "target_bins": sizes.get("target_length", defaults.target_bins),
        "channel_multiple": sizes.get("dim_divisible_by", defaults.channel_multiple),
        "input_bp": config["valid_len_enformer"],
        "d_hidden": weights["pToExpr.0.weight"].shape[0],
    }
    wrapper = config["wrapper"]
    inputs = InputSpec((), n_gene_features(wrapper), wrapper["seq_range"])
    return EnformerSubject("enformer", hyper, {}, inputs)


def epinformer(config: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Subject:
    """EPInformer; the widths that its configuration leaves out are read from the weights."""
    output = "conv_out.12.weight"
    stages = sum(key.startswith("seq_encoder.conv_tower") for key in weights) // 9
    tower = [weights[f"seq_encoder.conv_tower.{2 * i}.0.weight"].shape[0] for i in range(stages)]
    channels = weights["conv_out.9.weight"].shape[0]
    halvings = 2 ** len(tower)
    hyper = {
        "n_enhancers": config["n_enhancers"],
        "element_bp": (weights[output].shape[1] + 2 * sum(DILATIONS)) * halvings,
        "d_model": weights[output].shape[0] * channels,
        "n_layers": sum(key.endswith("norm1.weight") for key in weights),
        "n_heads": config.get("head", 4),
        "stem_channels": weights["seq_encoder.stem_conv.0.weight"].shape[0],
        "tower_channels": tuple(tower),
        "output_channels": weights["conv_out.0.weight"].shape[0],
        "element_channels": channels,
        "d_feedforward": weights["attn_encoder.0.ff.0.weight"].shape[0],
        "d_hidden": weights["pToExpr.0.weight"].shape[0],
    }
    inputs = InputSpec((), n_gene_features(config), hyper["element_bp"])
    return EPInformerSubject("epinformer", hyper, {}, inputs)
