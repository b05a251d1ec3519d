"""What a network's folder describes: settings, inputs and the names of what it computes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from prismflow.models import build
from prismflow.models.common import ExpressionModel, InputSpec, ModelOutput
from prismflow.released.parity.compare import Report
from prismflow.released.parity.probe import Batch, Probe
from prismflow.settings.architectures import class_of

if TYPE_CHECKING:
    from prismflow.released.parity.folder import Folder

FIRST_BASE_TOKEN = 7


class UnknownVariant(Exception):
    """An ``extra`` variant whose meaning is not known here."""


@dataclass(frozen=True)
class Subject:
    """A network as a folder describes it.

    Attributes:
        hyperparameters, loss, inputs: as for ``prismflow.models.build``.
    """

    architecture: str
    hyperparameters: dict[str, Any]
    loss: dict[str, Any]
    inputs: InputSpec

    def build(self) -> ExpressionModel:
        """The network with fresh weights."""
        return build(class_of(self.architecture), self.hyperparameters, self.loss, self.inputs)

    def batch(self, inputs: Mapping[str, Tensor], dtype: torch.dtype) -> Batch:
        """Inputs in the network's precision; tokens become one-hot rows."""
        sequence = inputs["seqs"] if "seqs" in inputs else one_hot(inputs["tokens"])
        signals = inputs.get("signals", sequence[..., :0])
        return Batch(
            sequence.to(dtype),
            signals[..., : len(self.inputs.modalities)].to(dtype),
            inputs["rna_feat"][:, : self.inputs.n_gene_features].to(dtype),
            inputs["target"].flatten().to(dtype),
        )

    def weights(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """The folder's weights without those that a variant has no module for."""
        return tensors

    def prepare(self, model: Any, inputs: Mapping[str, Tensor]) -> None:
        """Replace random draws by recorded ones."""

    def observe(self, model: Any, probe: Probe) -> None:
        """Hook the modules whose values are expected."""
        probe.backbone(model.backbone, "inputs_embeds", "hidden")

    def values(
        self, model: Any, output: ModelOutput, seen: dict[str, Tensor], folder: Folder
    ) -> dict[str, Tensor]:
        """Further values by name."""
        hidden = seen["hidden"]
        values = {"hidden_mean_over_L": hidden.mean(dim=-2)}
        return values | at_positions({"hidden": hidden}, folder)

    def parts(self, model: Any, expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Values that need no input."""
        return {}

    def variant(self, name: str, folder: Folder) -> Subject:
        """The same network with one thing changed.

        Raises:
            UnknownVariant: the name says nothing to us.
        """
        raise UnknownVariant(name)

    def compare_rest(self, report: Report, rest: Mapping[str, Tensor]) -> None:
        """Compare expected tensors that belong to no run."""
        report.not_compared += [name for name in rest if name != "hidden_positions"]


def one_hot(tokens: Tensor) -> Tensor:
    """Tokens A7 C8 G9 T10 (N11 and others: zero row) -> one-hot (B, L, 4)."""
    bases = torch.arange(4) + FIRST_BASE_TOKEN
    return (tokens.unsqueeze(-1) == bases).float()


def at_positions(values: dict[str, Tensor], folder: Folder) -> dict[str, Tensor]:
    """Large references keep some positions only: hidden all of them, embeddings every eighth."""
    positions = folder.rest.get("hidden_positions")
    if positions is None:
        return values
    picked = {"hidden": positions, "inputs_embeds": positions[::8], "embedding_out": positions}
    return {name: value[..., picked[name], :] for name, value in values.items()}
