"""Networks on other backbones: Hyena, Enformer and EPInformer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from prismflow.models.common import ModelOutput
from prismflow.models.enformer import sigmoid_gelu
from prismflow.released.parity.compare import Report
from prismflow.released.parity.probe import Batch, Probe
from prismflow.released.parity.subject import FIRST_BASE_TOKEN, Subject, one_hot

if TYPE_CHECKING:
    from prismflow.released.parity.folder import Folder


class HyenaSubject(Subject):
    """Hyena: final hidden states, the first operator's output and its implicit filter."""

    def observe(self, model: Any, probe: Probe) -> None:
        probe.output("hidden", model.norm_f)
        for i, layer in enumerate(model.layers):
            probe.output(f"mixer{i}_out", layer.mixer)

    def parts(self, model: Any, expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
        with torch.no_grad():
            return {
                f"filter{i}": layer.mixer.filter(expected[f"filter{i}"].shape[1]).unsqueeze(0)
                for i, layer in enumerate(model.layers)
                if f"filter{i}" in expected
            }


class EnformerSubject(Subject):
    """Enformer: the stem's output and the bins' embeddings."""

    def batch(self, inputs: Mapping[str, Tensor], dtype: torch.dtype) -> Batch:
        sequence = enformer_one_hot(inputs["tokens"] - FIRST_BASE_TOKEN)
        return super().batch({**inputs, "seqs": sequence}, dtype)

    def observe(self, model: Any, probe: Probe) -> None:
        probe.output("stem_out", model.stem)
        probe.output("final", model.output)

    def values(
        self, model: Any, output: ModelOutput, seen: dict[str, Tensor], folder: Folder
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

    def observe(self, model: Any, probe: Probe) -> None:
        probe.output("conv_out", model.encoder.output)
        probe.output("pos_out", model.feature_mixer)
        for i, layer in enumerate(model.layers):
            probe.output(f"attn{i}", layer, lambda pair: pair[1])

    def values(
        self, model: Any, output: ModelOutput, seen: dict[str, Tensor], folder: Folder
    ) -> dict[str, Tensor]:
        shape = folder.inputs["pe_seq_uint8"].shape[:2]
        return {
            "conv_out": seen["conv_out"].unflatten(0, shape).transpose(1, 2),
            "pos_out": seen["pos_out"].transpose(1, 2),
            "attn": torch.stack([seen[f"attn{i}"] for i in range(len(model.layers))]),
        }
