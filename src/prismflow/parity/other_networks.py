"""Networks on other backbones: Hyena, Enformer and EPInformer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from prismflow.models.common import ExpressionModel, InputSpec
from prismflow.parity.probe import Probe
from prismflow.parity.subject import Subject, n_gene_features

if TYPE_CHECKING:
    pass


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
