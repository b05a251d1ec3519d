"""What the rules of pretraining are asked for, and from which file a run starts."""

from __future__ import annotations

from typing import Any

from prismflow.jobs.code_digest import code_digest
from prismflow.plan.model_settings import training_settings
from prismflow.plan.plain import plain
from prismflow.plan.run import Run
from prismflow.plan.runs import Plan
from prismflow.plan.view import View, Wildcards
from prismflow.settings.architectures import class_of, module_of


def initial_weights(plan: Plan, run: Run) -> str | None:
    """The file that a run starts from; None for weights drawn at random."""
    name = plan.models[run.model].get("initial_weights")
    if name is None:
        return None
    released = plan.config.values["pretraining"][name]["released"] is not None
    place = "released" if released else run.fold
    return f"results/{run.dataset}/pretraining/{name}/{place}/model.safetensors"


class Pretrainings(View):
    """Each method gives one parameter or input of a rule."""

    def names(self, released: bool) -> list[str]:
        """Pretrainings that are taken from a released file, or those that are trained here."""
        entries = self.plan.config.values["pretraining"].items()
        return [name for name, entry in entries if (entry["released"] is not None) == released]

    def settings(self, wildcards: Wildcards) -> dict[str, Any]:
        """All that pretrained weights depend on beside the genome and the split."""
        entry = self._entry(wildcards)
        model = self.plan.models[entry["model"]]
        sizes = {**model, "training": entry["training"], "window_bp": entry["window_bp"]}
        # Contexts are branches of a model on genes; here there is one.
        hyperparameters = model.get("hyperparameters", {})
        one_branch = {k: v for k, v in hyperparameters.items() if k != "n_contexts"}
        training = training_settings(
            self.plan.config.values, {**sizes, "hyperparameters": one_branch}
        )
        kept = ("window_bp", "masked_share", "most_unknown", "seed")
        return plain(
            {
                "name": wildcards.pretraining,
                **self.backbone(wildcards),
                **{key: entry[key] for key in kept},
                "training": training,
            }
        )

    def backbone(self, wildcards: Wildcards) -> dict[str, Any]:
        """The model whose backbone it is."""
        name = self._entry(wildcards)["model"]
        model = self.plan.models[name]
        return plain(
            {
                "model": name,
                "class": class_of(model["architecture"]),
                "hyperparameters": model.get("hyperparameters", {}),
            }
        )

    def released(self, wildcards: Wildcards) -> str:
        """The file of released weights."""
        return str(self._entry(wildcards)["released"])

    def digest(self, wildcards: Wildcards) -> str:
        """Code that pretrains."""
        return code_digest("training.pretrain", self._module(wildcards))

    def digest_of_adoption(self, wildcards: Wildcards) -> str:
        """Code that takes over released weights."""
        return code_digest("released.pretrained", self._module(wildcards))

    def _entry(self, wildcards: Wildcards) -> dict[str, Any]:
        found: dict[str, Any] = self.plan.config.values["pretraining"][wildcards.pretraining]
        return found

    def _module(self, wildcards: Wildcards) -> str:
        return module_of(self.plan.models[self._entry(wildcards)["model"]]["architecture"])
