"""Names of the files that a dataset's experiments end in."""

from __future__ import annotations

from collections.abc import Sequence

from prismflow.plan.runs import Plan
from prismflow.plan.worlds import worlds_of

FIGURE_SUFFIXES = ("pdf", "png")
TABLE_SUFFIXES = ("tsv", "md", "tex")


def reports(plan: Plan) -> list[str]:
    """The report of every dataset to run."""
    return [f"results/{dataset}/report.html" for dataset in plan.config.datasets]


def stores(plan: Plan) -> list[str]:
    """The stores of every dataset to run."""
    return [
        f"results/{dataset}/{cell}/store"
        for dataset, settings in plan.config.datasets.items()
        for cell in settings["cells"]
    ]


def all_figures(plan: Plan) -> list[str]:
    """Figures of every dataset to run."""
    return [file for dataset in plan.config.datasets for file in figure_files(plan, dataset)]


def all_tables(plan: Plan) -> list[str]:
    """Tables of every dataset to run."""
    return [file for dataset in plan.config.datasets for file in table_files(plan, dataset)]


def figure_files(plan: Plan, dataset: str) -> list[str]:
    """Figures of a dataset: its data checks and one per experiment with a renderer."""
    drawn = [e.id for e in plan.experiments_of(dataset) if e.entry["renderer"]]
    return [
        f"results/{dataset}/figures/{figure}.{suffix}"
        for figure in ("data_checks", *drawn)
        for suffix in FIGURE_SUFFIXES
    ]


def table_files(plan: Plan, dataset: str) -> list[str]:
    """Tables of a dataset: claims, one per experiment with a table, comparisons."""
    own = [
        f"results/{dataset}/tables/{experiment.id}.{suffix}"
        for experiment in plan.experiments_of(dataset)
        for suffix in TABLE_SUFFIXES
        if experiment.entry["table"]
    ]
    return [*claims_files(plan, dataset), *own, *comparison_files(plan, dataset)]


def comparison_files(
    plan: Plan, dataset: str, suffixes: Sequence[str] = TABLE_SUFFIXES
) -> list[str]:
    """Tables of comparisons, of the experiments that compare anything."""
    return [
        f"results/{dataset}/tables/{experiment.id}_comparisons.{suffix}"
        for experiment in plan.experiments_of(dataset)
        for suffix in suffixes
        if plan.compares(experiment)
    ]


def claims_files(plan: Plan, dataset: str) -> list[str]:
    """The judged claims; none where nothing is trained."""
    trained = plan.runs(dataset) or worlds_of(plan, dataset)
    suffixes = ("tsv", "md", "html") if trained else ()
    return [f"results/{dataset}/tables/claims.{suffix}" for suffix in suffixes]
