"""Digests of the code that a rule's results depend on, where this depends on its wildcards."""

from __future__ import annotations

from prismflow.jobs.code_digest import code_digest
from prismflow.plan.needs import loader_modules, needs_of
from prismflow.plan.view import View, Wildcards
from prismflow.plan.worlds import worlds_of
from prismflow.settings import kinds
from prismflow.settings.architectures import module_of
from prismflow.settings.simulation import SIMULATED_NAMES


class Digests(View):
    """Each method gives the parameter ``code`` of a rule."""

    def training(self, wildcards: Wildcards) -> str:
        """Code that trains a model."""
        architecture = self.plan.models[wildcards.model]["architecture"]
        # Which of the two ways a run takes is no import: an edit of one doesn't concern the other.
        way = "training.table" if wildcards.model in self.plan.tabular else "training.network"
        return code_digest("training.run", way, module_of(architecture))

    def adoption(self, wildcards: Wildcards) -> str:
        """Code that takes over a released checkpoint."""
        architecture = self.plan.models[wildcards.model]["architecture"]
        return code_digest("released.adopt", module_of(architecture))

    def world(self, wildcards: Wildcards) -> str:
        """Code that simulates a world and trains its models in it."""
        models = worlds_of(self.plan, wildcards.dataset)[wildcards.world]["models"]
        architectures = {self.plan.models[model]["architecture"] for model in models}
        ways = (
            "training.network",
            "training.table",
            *map(kinds.module_of, sorted(SIMULATED_NAMES)),
        )
        return code_digest("evaluation.worlds", *ways, *sorted(map(module_of, architectures)))

    def inspection(self, wildcards: Wildcards) -> str:
        """Code that inspects a track."""
        fitted = ["data.s3norm"] if self.s3norm_reference_of(wildcards) else []
        return code_digest("data.tracks", kinds.module_of(self.track(wildcards).kind), *fitted)

    def checks(self, wildcards: Wildcards) -> str:
        """Code that checks a dataset's tracks, genes and labels."""
        cells = self.dataset(wildcards)["cells"]
        found = sorted({track.kind for cell in cells for track in self.tracks_of(cell)})
        ways = map(kinds.module_of, found)
        return code_digest("evaluation.data_checks", "evaluation.input_summary", *ways)

    def store(self, wildcards: Wildcards) -> str:
        """Code that builds a cell's store."""
        found = sorted({track.kind for track in self.tracks_of(wildcards.cell)})
        return code_digest("data.store_builder", *map(kinds.module_of, found))

    def figure(self, wildcards: Wildcards) -> str:
        """Code that draws an experiment's figure."""
        name = self.experiment(wildcards).entry["renderer"]
        return self._written_by("figures.draw_figure", "plots", name)

    def table(self, wildcards: Wildcards) -> str:
        """Code that writes an experiment's table."""
        name = self.experiment(wildcards).entry["table"]
        return self._written_by("figures.write_table", "tables", name)

    def _written_by(self, writer: str, package: str, name: str) -> str:
        loaders = loader_modules(needs_of(package, name))
        return code_digest(writer, f"figures.{package}.{name}", *loaders)
