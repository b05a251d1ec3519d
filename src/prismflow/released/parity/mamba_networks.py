"""Networks on Mamba backbones: Prism, Caduceus, one-directional Mamba and Seq2Exp."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from prismflow.jobs.patches.dirichlet import dirichlet_gradient
from prismflow.models.common import ModelOutput
from prismflow.models.losses import beta_kl, context_uniformity, mask_continuity
from prismflow.released.parity.probe import Batch, Probe
from prismflow.released.parity.subject import Subject, UnknownVariant, at_positions

if TYPE_CHECKING:
    from prismflow.released.parity.folder import Folder


class PrismSubject(Subject):
    """Prism: every branch's hidden states, context weights and the three losses."""

    def weights(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        if self.hyperparameters["n_contexts"]:
            return tensors
        return {k: v for k, v in tensors.items() if not k.startswith("weight_generator.")}

    def observe(self, model: Any, probe: Probe) -> None:
        super().observe(model, probe)
        if model.weight_generator is not None:
            probe.output("cnn_encoder_out", model.weight_generator.encoder, lambda x: x.mean(-1))

    def values(
        self, model: Any, output: ModelOutput, seen: dict[str, Tensor], folder: Folder
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

    def observe(self, model: Any, probe: Probe) -> None:
        super().observe(model, probe)
        probe.output("embedding_out", model.embedding)

    def values(
        self, model: Any, output: ModelOutput, seen: dict[str, Tensor], folder: Folder
    ) -> dict[str, Tensor]:
        values = super().values(model, output, seen, folder)
        return values | at_positions({"embedding_out": seen["embedding_out"]}, folder)


class FixedBetaSample(torch.autograd.Function):
    """A recorded draw of a Beta distribution, with the gradients of implicit reparameterisation.

    A Beta variable is the first component of a two-component Dirichlet one, whose implicit
    gradient torch computes for its own draws; here it is taken at the recorded draw.
    """

    @staticmethod
    def forward(ctx: Any, alpha: Tensor, beta: Tensor, sample: Tensor) -> Tensor:
        shapes = torch.stack([alpha, beta], dim=-1)
        ctx.save_for_backward(sample, shapes)
        return sample[..., 0].clone()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        sample, shapes = ctx.saved_tensors
        total = shapes.sum(dim=-1, keepdim=True).expand_as(shapes)
        implicit = dirichlet_gradient(sample, shapes, total)
        towards = torch.stack([grad, torch.zeros_like(grad)], dim=-1)
        gradients = implicit * (towards - (sample * towards).sum(dim=-1, keepdim=True))
        return gradients[..., 0], gradients[..., 1], None


class Seq2ExpSubject(Subject):
    """Seq2Exp: both backbones' inputs and outputs, the mask and its distribution."""

    def batch(self, inputs: Mapping[str, Tensor], dtype: torch.dtype) -> Batch:
        batch = super().batch(inputs, dtype)
        batch.extras["blacklist"] = inputs["mask_regions"][..., 1]
        return batch

    def prepare(self, model: Any, inputs: Mapping[str, Tensor]) -> None:
        sample = inputs["dirichlet_sample"]
        model.draw = lambda alpha, beta: FixedBetaSample.apply(alpha, beta, sample.to(alpha.dtype))

    def observe(self, model: Any, probe: Probe) -> None:
        # The hard variant calls one backbone twice, first as the generator.
        probe.calls(model.generator, ("generator", "encoder"))
        if self.architecture == "seq2exp_soft":
            probe.calls(model.predictor, ("encoder",))
        probe.output("mask_logits", model.mask_output)

    def values(
        self, model: Any, output: ModelOutput, seen: dict[str, Tensor], folder: Folder
    ) -> dict[str, Tensor]:
        extras = {name: value.detach() for name, value in output.extras.items()}
        alpha, beta = extras["mask_alpha"], extras["mask_beta"]
        own = model.own_evidence(seen["mask_logits"])
        return {
            "post_alpha": own[0],
            "post_beta": own[1],
            "z_alpha": alpha,
            "z_beta": beta,
            "z_mean": alpha / (alpha + beta),
            "marginal_alpha": model.prior()[0],
            "marginal_beta": model.prior()[1],
            "mask": extras["mask"],
            "kl_loss": beta_kl(alpha, beta, *model.prior()),
            "continuity_loss": mask_continuity(extras["mask"]),
            "loss.kl_loss": seen["loss.kl"],
        }

    def variant(self, name: str, folder: Folder) -> Subject:
        found = re.fullmatch(r"test_(soft|hard|top|top_soft)(?:_pool(\d+))?", name)
        if not found:
            raise UnknownVariant(name)
        changes = {"test_mask": found[1], "test_pool_bp": int(found[2] or 0)}
        return replace(self, hyperparameters=self.hyperparameters | changes)
