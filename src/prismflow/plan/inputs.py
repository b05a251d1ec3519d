"""Input files of rules, by their wildcards."""

from __future__ import annotations

from prismflow.plan.explanations import shown_in_report
from prismflow.plan.needs import needed_files, needs_of
from prismflow.plan.own_genes import inputs_beside, made_for
from prismflow.plan.predictions import prediction_files
from prismflow.plan.pretraining import initial_weights
from prismflow.plan.results import figure_files, table_files
from prismflow.plan.runs import Experiment
from prismflow.plan.view import View, Wildcards
from prismflow.plan.worlds import worlds_of


class Inputs(View):
    """Each method gives one input of a rule; an empty list where a dataset has no such file."""

    def genome(self, wildcards: Wildcards) -> str:
        """The FASTA."""
        return self.dataset(wildcards)["genome"]

    def gene_table(self, wildcards: Wildcards) -> str:
        """The gene table that the user names, or that is downloaded or simulated."""
        return self.dataset(wildcards)["genes"]["path"]

    def own_genes(self, wildcards: Wildcards) -> str | list[str]:
        """What was read and skipped for a gene table that the workflow makes."""
        made = made_for(self.plan, wildcards.dataset)
        return inputs_beside(self.dataset(wildcards)["genes"]["path"]) if made else []

    def blacklist(self, wildcards: Wildcards) -> str | list[str]:
        """Regions in which no window may lie."""
        return self.dataset(wildcards)["blacklist"] or []

    def blacklist_of_elements(self, wildcards: Wildcards) -> str | list[str]:
        """The blacklist, where candidate enhancers in it are left out of the store."""
        return self.blacklist(wildcards) if self.dataset(wildcards)["elements"] else []

    def track_file(self, wildcards: Wildcards) -> str:
        """One track."""
        return self.track(wildcards).path

    def s3norm_reference(self, wildcards: Wildcards) -> str | list[str]:
        """The track that S3norm makes this one like."""
        track = self.s3norm_reference_of(wildcards)
        return [] if track is None else track.path

    def s3norm_splits(self, wildcards: Wildcards) -> str | list[str]:
        """Splits, where S3norm has to know the training chromosomes."""
        found = self.s3norm_reference_of(wildcards)
        return [] if found is None else f"results/{wildcards.dataset}/splits.tsv"

    def tracks(self, wildcards: Wildcards) -> list[str]:
        """All tracks of a cell."""
        return [track.path for track in self.tracks_of(wildcards.cell)]

    def summaries(self, wildcards: Wildcards) -> list[str]:
        """What was found in all tracks of a cell."""
        return list(self.summaries_of(wildcards.dataset, wildcards.cell).values())

    def tracks_of_dataset(self, wildcards: Wildcards) -> list[str]:
        """All tracks of all cells."""
        cells = self.dataset(wildcards)["cells"]
        return [track.path for cell in cells for track in self.tracks_of(cell)]

    def summaries_of_dataset(self, wildcards: Wildcards) -> list[str]:
        """What was found in all tracks of all cells."""
        return [
            path
            for cell in self.dataset(wildcards)["cells"]
            for path in self.summaries_of(wildcards.dataset, cell).values()
        ]

    def reports_of_stores(self, wildcards: Wildcards) -> list[str]:
        """What was read and skipped for the stores of all cells."""
        return list(self.reports_of(wildcards.dataset).values())

    def contacts(self, wildcards: Wildcards) -> str | list[str]:
        """The cell's contact matrix."""
        track = self.contacts_of(wildcards.cell)
        return [] if track is None else track.path

    def perturbations(self, wildcards: Wildcards) -> list[str]:
        """Files of element-gene pairs that were tested in a cell."""
        return [entry.path for entry in self.plan.config.perturbations_of(wildcards.cell)]

    def activity(self, wildcards: Wildcards) -> list[str]:
        """The cell's tracks of activity."""
        return [track.path for track in self.activity_of(wildcards.dataset, wildcards.cell)]

    def checkpoint(self, wildcards: Wildcards) -> str:
        """The released checkpoint in the place of training."""
        return self.plan.checkpoint(self.run(wildcards))

    def initial_weights(self, wildcards: Wildcards) -> str | list[str]:
        """Pretrained weights that a run starts from."""
        return initial_weights(self.plan, self.run(wildcards)) or []

    def other_stores(self, wildcards: Wildcards) -> list[str]:
        """Stores of the cells on which a run is tested beside its own."""
        cells = self.plan.other_cells(self.run(wildcards))
        return [f"results/{wildcards.dataset}/{cell}/store" for cell in cells]

    def metrics(self, wildcards: Wildcards) -> list[str]:
        """Metrics of every run."""
        return [f"results/{run.folder}/metrics.tsv" for run in self.plan.runs(wildcards.dataset)]

    def predictions(self, wildcards: Wildcards) -> list[str]:
        """Test predictions of every run."""
        runs = self.plan.runs(wildcards.dataset)
        return [f"results/{run.folder}/predictions.tsv.gz" for run in runs]

    def worlds(self, wildcards: Wildcards) -> list[str]:
        """What every world of known confounding gave."""
        return [
            f"results/{wildcards.dataset}/confounding/{world}/{file}"
            for world in worlds_of(self.plan, wildcards.dataset)
            for file in ("predictions.tsv.gz", "truth.tsv", "contexts.tsv.gz")
        ]

    def gathered(self, wildcards: Wildcards) -> str | list[str]:
        """Predictions of all runs in one file, where a dataset has runs."""
        runs = self.plan.runs(wildcards.dataset)
        return f"results/{wildcards.dataset}/predictions.safetensors" if runs else []

    def measures_of_worlds(self, wildcards: Wildcards) -> str | list[str]:
        """What was measured in the worlds of known confounding, where there are any."""
        dataset = wildcards.dataset
        there = worlds_of(self.plan, dataset)
        return f"results/{dataset}/confounding/measures.tsv" if there else []

    def figure(self, wildcards: Wildcards) -> list[str]:
        """Files that an experiment's figure reads."""
        return self._read_by(wildcards, "plots", "renderer")

    def table(self, wildcards: Wildcards) -> list[str]:
        """Files that an experiment's table reads."""
        return self._read_by(wildcards, "tables", "table")

    def comparisons(self, wildcards: Wildcards) -> str | list[str]:
        """An experiment's comparisons, if it has any: they decide what its table prints bold."""
        experiment = self.experiment(wildcards)
        reads = "comparisons" in needs_of("tables", experiment.entry["table"])
        if reads and self.plan.compares(experiment):
            return f"results/{wildcards.dataset}/tables/{experiment.id}_comparisons.tsv"
        return []

    def stores_of_experiment(self, wildcards: Wildcards) -> list[str]:
        """Stores of the cells in which an experiment has runs."""
        cells = dict.fromkeys(run.cell for run in self.experiment(wildcards).runs)
        return [f"results/{wildcards.dataset}/{cell}/store" for cell in cells]

    def report(self, wildcards: Wildcards) -> list[str]:
        """Figures and tables that a dataset's report gathers."""
        dataset = wildcards.dataset
        return [
            *figure_files(self.plan, dataset),
            *table_files(self.plan, dataset),
            *prediction_files(self.plan, dataset),
            *(file for files in shown_in_report(self.plan, dataset).values() for file in files),
        ]

    def _read_by(self, wildcards: Wildcards, package: str, key: str) -> list[str]:
        experiment: Experiment = self.experiment(wildcards)
        return needed_files(
            needs_of(package, experiment.entry[key]), wildcards.dataset,
            self.dataset(wildcards)["cells"], experiment.models,
            [run.key for run in experiment.runs], experiment=experiment.id,
        )  # fmt: skip
