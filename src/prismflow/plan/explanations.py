"""Which runs are explained, and with which runs variants are scored."""

from __future__ import annotations

from typing import Any

from prismflow.errors import InputError
from prismflow.plan.plain import plain
from prismflow.plan.run import Run
from prismflow.plan.runs import Plan
from prismflow.plan.view import View, Wildcards
from prismflow.settings import yaml_files


def chosen_runs(plan: Plan, section: str) -> list[Run]:
    """Runs of the models that a section (``attributions``, ``variants``) names, of all datasets.

    Raises:
        InputError: a model that no experiment trains, or that is no network.
    """
    names = plan.config.values[section]["models"]
    runs = [run for dataset in plan.config.datasets for run in plan.runs(dataset)]
    trained = sorted({run.model for run in runs} - plan.tabular)
    for position, name in enumerate(names):
        if name not in trained:
            where = yaml_files.where(plan.config.files, (section, "models", position))
            raise InputError(
                f"{where}: expected a network that the experiments train "
                f"({', '.join(trained) or 'there is none'}), found {name!r}; name one of them, or "
                "run an experiment with this model."
            )
    return [run for run in runs if run.model in names]


def attribution_files(plan: Plan) -> list[str]:
    """What the target ``attributions`` makes.

    Raises:
        InputError: see :func:`chosen_runs`.
    """
    runs = chosen_runs(plan, "attributions")
    return [f"results/{run.folder}/attributions" for run in runs]


class Explanations(View):
    """Parameters of the rules that explain."""

    def attributions(self, wildcards: Wildcards) -> dict[str, Any]:
        """Which genes are explained, and how."""
        section = self.plan.config.values["attributions"]
        kept = {name: value for name, value in section.items() if name != "models"}
        kept.pop("figure_genes")
        return plain(kept)
