"""Forward and backward passes of a model with everything that a reference may hold, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

from torch import Tensor, nn

from prismflow.models.common import ExpressionModel, ModelOutput
from prismflow.released.keys import released_keys


@dataclass(frozen=True)
class Batch:
    """The attributes of a batch that models read; see ``prismflow.training.batches.Batch``."""

    sequence: Tensor
    signals: Tensor
    gene_features: Tensor
    target: Tensor
    extras: dict[str, Tensor] = field(default_factory=dict)


class Probe:
    """Records inputs and outputs of submodules during one forward pass."""

    def __init__(self) -> None:
        self.values: dict[str, Tensor] = {}
        self._handles: list[Any] = []

    def output(
        self, name: str, module: nn.Module, pick: Callable[[Any], Tensor] = lambda x: x
    ) -> None:
        """Record ``pick(output)`` of ``module`` under ``name``."""

        def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
            self.values[name] = pick(output).detach()

        self._handles.append(module.register_forward_hook(hook))

    def input(self, name: str, module: nn.Module) -> None:
        """Record the first argument of ``module`` under ``name``."""

        def hook(_module: nn.Module, inputs: Any) -> None:
            self.values[name] = inputs[0].detach()

        self._handles.append(module.register_forward_pre_hook(hook))

    def calls(self, module: nn.Module, names: tuple[str, ...]) -> None:
        """Record successive calls' inputs and outputs as ``<name>_input`` and ``<name>_hidden``."""
        upcoming = iter(names)

        def hook(_module: nn.Module, inputs: Any, output: Tensor) -> None:
            name = next(upcoming)
            self.values[f"{name}_input"] = inputs[0].detach()
            self.values[f"{name}_hidden"] = output.detach()

        self._handles.append(module.register_forward_hook(hook))

    def backbone(self, backbone: Any, embeds: str, hidden: str) -> None:
        """Record a backbone's input and output, and what each of its blocks gives."""
        self.input(embeds, backbone)
        self.output(hidden, backbone)
        for i, layer in enumerate(backbone.layers):
            self.output(f"layer{i}.hidden", layer, lambda pair: pair[0])
            self.output(f"layer{i}.residual", layer, lambda pair: pair[1])

    def close(self) -> None:
        """Remove the hooks."""
        for handle in self._handles:
            handle.remove()


LOSS_NAMES = {
    "prediction": "pred_loss",
    "intervention": "intervention_loss",
    "uniform": "uniform_loss",
}


def common_values(
    model: ExpressionModel, output: ModelOutput, target: Tensor, backward: bool
) -> dict[str, Tensor]:
    """Logits, losses and, after a backward pass, gradients under the released names."""
    terms = model.losses(output, target)
    total = cast(Tensor, sum(terms.values()))
    values = {"logits": output.prediction.detach().unsqueeze(-1), "loss.total": total.detach()}
    for name, term in terms.items():
        values[f"loss.{LOSS_NAMES.get(name, name)}"] = term.detach()
    if backward:
        total.backward()
        parameters = dict(model.named_parameters(remove_duplicate=False))
        for released, ours in released_keys(model).items():
            gradient = parameters[ours].grad if ours in parameters else None
            if gradient is not None:
                values[f"grad.{released}"] = gradient
    return values


def buffers(model: ExpressionModel) -> dict[str, Tensor]:
    """Buffers under the released names, as ``buffer_after.<key>``."""
    own = dict(model.named_buffers())
    return {
        f"buffer_after.{released}": own[ours].clone()
        for released, ours in released_keys(model).items()
        if ours in own
    }
