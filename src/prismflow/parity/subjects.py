"""How each network's folder is read: settings, inputs and the names of what it computes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from prismflow.errors import InputError
from prismflow.losses import context_uniformity
from prismflow.models import build
from prismflow.models.common import ExpressionModel, InputSpec, ModelOutput
from prismflow.parity.compare import Report
from prismflow.parity.probe import Batch, Probe

if TYPE_CHECKING:
    from prismflow.parity.networks import Folder

SIGNALS = ("h3k27ac", "dnase", "hic")
FIRST_BASE_TOKEN = 7
N_BASES = 4


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
        return build(self.architecture, self.hyperparameters, self.loss, self.inputs)

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

    def prepare(self, model: ExpressionModel, inputs: Mapping[str, Tensor]) -> None:
        """Replace random draws by recorded ones."""

    def observe(self, model: ExpressionModel, probe: Probe) -> None:
        """Hook the modules whose values are expected."""
        probe.backbone(model.backbone, "inputs_embeds", "hidden")

    def values(
        self, model: ExpressionModel, output: ModelOutput, seen: dict[str, Tensor], folder: Folder
    ) -> dict[str, Tensor]:
        """Further values by name."""
        hidden = seen["hidden"]
        values = {"hidden_mean_over_L": hidden.mean(dim=-2)}
        return values | at_positions({"hidden": hidden}, folder)

    def parts(self, model: ExpressionModel, expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
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
    bases = torch.arange(N_BASES) + FIRST_BASE_TOKEN
    return (tokens.unsqueeze(-1) == bases).float()


def at_positions(values: dict[str, Tensor], folder: Folder) -> dict[str, Tensor]:
    """Large references keep some positions only: hidden all of them, embeddings every eighth."""
    positions = folder.rest.get("hidden_positions")
    if positions is None:
        return values
    picked = {"hidden": positions, "inputs_embeds": positions[::8], "embedding_out": positions}
    return {name: value[..., picked[name], :] for name, value in values.items()}


class PrismSubject(Subject):
    """Prism: every branch's hidden states, context weights and the three losses."""

    def weights(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        if self.hyperparameters["n_contexts"]:
            return tensors
        return {k: v for k, v in tensors.items() if not k.startswith("weight_generator.")}

    def observe(self, model: ExpressionModel, probe: Probe) -> None:
        super().observe(model, probe)
        if model.weight_generator is not None:
            probe.output("cnn_encoder_out", model.weight_generator.encoder, lambda x: x.mean(-1))

    def values(
        self, model: ExpressionModel, output: ModelOutput, seen: dict[str, Tensor], folder: Folder
    ) -> dict[str, Tensor]:
        branches = 1 + model.settings.n_contexts
        stacked = {
            name: value.unflatten(0, (-1, branches))
            for name, value in seen.items()
            if name in ("inputs_embeds", "hidden") or name.startswith("layer")
        }
        stacked["hidden_mean_over_L"] = stacked["hidden"].mean(dim=-2)
        stacked |= at_positions({k: stacked[k] for k in ("hidden", "inputs_embeds")}, folder)
        if "backdoor" in output.extras:
            weights = output.extras["context_weights"].detach()
            stacked["intervention_logits"] = output.extras["backdoor"].detach().unsqueeze(-1)
            stacked["context_weights"] = weights
            stacked["uniform_loss"] = context_uniformity(weights)
        return stacked

    def variant(self, name: str, folder: Folder) -> Subject:
        hyper, loss, inputs = dict(self.hyperparameters), dict(self.loss), self.inputs
        if name == "softmax":
            hyper["weight_activation"] = "softmax"
        elif name == "no_intervention":
            hyper["n_contexts"] = 0
        elif name == "norna":
            inputs = replace(inputs, n_gene_features=0)
        elif found := re.fullmatch(r"weights_([\d.]+)_([\d.]+)", name):
            loss = {"uniform": float(found[1]), "intervention": float(found[2])}
        elif found := re.fullmatch(r"n_context_(\d+)", name):
            hyper["n_contexts"] = int(found[1])
        else:
            raise UnknownVariant(name)
        return replace(self, hyperparameters=hyper, loss=loss, inputs=inputs)


class MambaSubject(Subject):
    """One direction over embedded tokens."""

    def observe(self, model: ExpressionModel, probe: Probe) -> None:
        super().observe(model, probe)
        probe.output("embedding_out", model.embedding)

    def values(
        self, model: ExpressionModel, output: ModelOutput, seen: dict[str, Tensor], folder: Folder
    ) -> dict[str, Tensor]:
        values = super().values(model, output, seen, folder)
        return values | at_positions({"embedding_out": seen["embedding_out"]}, folder)


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


def _mamba_settings(config: Mapping[str, Any], layers: str = "n_layer") -> dict[str, Any]:
    ssm = config.get("ssm_cfg") or {}
    settings = {
        "d_model": config["d_model"],
        "n_layers": config[layers],
        "d_state": ssm.get("d_state", 16),
        "d_conv": ssm.get("d_conv", 4),
        "expand": ssm.get("expand", 2),
        "center_bp": config["center_len"],
    }
    return settings


def n_gene_features(config: Mapping[str, Any]) -> int:
    """Length of the gene feature vector of a released configuration."""
    return config.get("rna_feat_dim", 9) if config.get("useRNAFeat", True) else 0


def _inputs(config: Mapping[str, Any], signals: int) -> InputSpec:
    window = config.get("seq_range") or 1 << 30
    return InputSpec(SIGNALS[:signals], n_gene_features(config), window)


def _prism(config: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Subject:
    generator = "weight_generator.weight_projector.0.weight" in weights
    hyper = _mamba_settings(config) | {
        "n_contexts": config.get("n_context", 2) if generator else 0,
        "cnn_channels": config.get("cnn_dim", 8),
        "weight_activation": config.get("weight_act", "sigmoid"),
    }
    return PrismSubject("prism", hyper, {}, _inputs(config, config.get("signal_size", 3)))


def _caduceus(config: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Subject:
    signals = weights["input_layer.weight"].shape[1] - N_BASES
    architecture = "caduceus_signals" if signals else "caduceus"
    return Subject(architecture, _mamba_settings(config), {}, _inputs(config, signals))


def _mamba(config: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Subject:
    return MambaSubject("mamba", _mamba_settings(config), {}, _inputs(config, 0))


def _hyena(config: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Subject:
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


Factory = Callable[[Mapping[str, Any], Mapping[str, Tensor]], Subject]
_FACTORIES: dict[str, Factory] = {
    "prism": _prism,
    "caduceus": _caduceus,
    "mamba": _mamba,
    "hyena": _hyena,
}


def subject(
    architecture: str, config: Mapping[str, Any], weights: Mapping[str, Tensor]
) -> Subject:
    """The network that a released configuration and its weights describe.

    Raises:
        InputError: a key of the configuration is missing.
    """
    try:
        return _FACTORIES[architecture](config, weights)
    except KeyError as error:
        raise InputError(
            f"config.json of a {architecture} network: expected the key {error}."
        ) from None
