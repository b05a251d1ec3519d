"""What the renderers share: choosing rows, ordering models and cells, saying what n is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from prismflow.errors import InputError
from prismflow.labels import model_label

SEEDS_FOR_INTERVAL = 3


def figure_id(experiment: Mapping[str, Any]) -> str:
    """Name of the experiment for messages."""
    return str(experiment.get("id", "figure"))


def require(data: Mapping[str, Any], name: str, experiment: Mapping[str, Any]) -> Any:
    """A named piece of data.

    Raises:
        InputError: the caller did not give it.
    """
    if data.get(name) is None:
        raise InputError(
            f"{figure_id(experiment)}: expected the data {name!r}, "
            f"found {', '.join(sorted(data)) or 'nothing'}."
        )
    return data[name]


def contact_range(data: Mapping[str, Any], experiment: Mapping[str, Any]) -> pd.DataFrame:
    """Counts of contact partners of all cells.

    Raises:
        InputError: no cell has contacts.
    """
    table = require(data, "contact_range", experiment)
    if table.empty:
        raise InputError(
            f"{figure_id(experiment)}: expected contacts of at least one cell, found none; "
            "add a track of kind 'contacts' or remove the experiment from `run.experiments`."
        )
    return table


def select(
    data: Mapping[str, Any],
    name: str,
    columns: Sequence[str],
    experiment: Mapping[str, Any],
    context: Mapping[str, Any],
) -> pd.DataFrame:
    """Rows of ``data[name]`` of this dataset and of the experiment's models and cells.

    Raises:
        InputError: the table lacks a column, or nothing is left to draw.
    """
    table = require(data, name, experiment)
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise InputError(
            f"{figure_id(experiment)}: expected the columns {', '.join(columns)} in {name}, "
            f"found no {', '.join(missing)}."
        )
    kept = table
    if context.get("dataset") is not None:
        kept = kept[kept["dataset"] == context["dataset"]]
    for column, wanted in (("model", experiment.get("models")), ("cell", cells_wanted(experiment))):
        if wanted:
            kept = kept[kept[column].isin(list(wanted))]
    if kept.empty:
        wanted = ", ".join(map(str, experiment.get("models") or ["any"]))
        there = ", ".join(sorted(map(str, table["model"].unique()))) or "none"
        raise InputError(
            f"{figure_id(experiment)}: expected rows of {name} for dataset "
            f"{context.get('dataset', 'any')} and the models {wanted}, found none "
            f"(models in the table: {there}); run these models or change the experiment."
        )
    return kept


def cells_wanted(experiment: Mapping[str, Any]) -> list[str]:
    """Cells the experiment names; empty means all."""
    return [str(cell) for cell in experiment.get("cells") or []]


def cell_order(
    present: Iterable[str], experiment: Mapping[str, Any], context: Mapping[str, Any]
) -> list[str]:
    """Cells that are there, in the order of the experiment, else of the context, else by name."""
    there = set(map(str, present))
    named = cells_wanted(experiment) or [str(cell) for cell in context.get("cells") or []]
    order = [cell for cell in named if cell in there]
    return order + sorted(there - set(order))


def cell_label(cell: str, context: Mapping[str, Any]) -> str:
    """Label of a cell: ``context["cells"]`` may map names to labels."""
    cells = context.get("cells")
    if isinstance(cells, Mapping) and isinstance(cells.get(cell), str):
        return str(cells[cell])
    return cell


def model_order(present: Iterable[str], experiment: Mapping[str, Any]) -> list[str]:
    """Models that are there, in the experiment's order, the others by name."""
    there = set(map(str, present))
    order = [str(model) for model in experiment.get("models") or [] if str(model) in there]
    return list(dict.fromkeys(order)) + sorted(there - set(order))


def absent_note(
    present: Iterable[str], experiment: Mapping[str, Any], context: Mapping[str, Any]
) -> str:
    """Sentence that names the experiment's models without a result, or nothing."""
    there = set(map(str, present))
    absent = [str(model) for model in experiment.get("models") or [] if str(model) not in there]
    if not absent:
        return ""
    return f"No result: {', '.join(model_label(name, context) for name in absent)}."


def count_label(n: int, noun: str) -> str:
    """``1 seed``, ``5 seeds``, ``1,167 genes``."""
    return f"{n:,} {noun}" + ("" if n == 1 else "s")


def range_label(values: Iterable[int], noun: str) -> str:
    """``5 seeds`` or, where the counts differ, ``2–5 seeds``."""
    numbers = sorted(set(int(value) for value in values))
    if len(numbers) == 1:
        return count_label(numbers[0], noun)
    return f"{numbers[0]:,}–{numbers[-1]:,} {noun}s"


def sample_note(summary: pd.DataFrame, cells: Sequence[str], context: Mapping[str, Any]) -> str:
    """Sentence with n by cell, e.g. ``K562: 5 seeds, 1,167 genes.``"""
    parts = []
    for cell in cells:
        rows = summary[summary["cell"] == cell]
        if rows.empty:
            continue
        part = f"{range_label(rows['n_seeds'], 'seed')}, {range_label(rows['n_genes'], 'gene')}"
        if rows["n_folds"].max() > 1:
            part += f", {range_label(rows['n_folds'], 'fold')} averaged"
        parts.append((cell_label(cell, context), part))
    if len(parts) > 1 and len({part for _, part in parts}) == 1:
        return f"{' and '.join(label for label, _ in parts)}: {parts[0][1]} each."
    return " ".join(f"{label}: {part}." for label, part in parts)


def with_enough_seeds(summary: pd.DataFrame) -> pd.DataFrame:
    """The summary without the intervals of fewer than three seeds.

    Student's interval of two values is 12.7 times their half distance wide: it says nothing and
    leaves every axis.
    """
    few = summary["n_seeds"] < SEEDS_FOR_INTERVAL
    return summary.assign(low=summary["low"].mask(few), high=summary["high"].mask(few))


def interval_note(summary: pd.DataFrame, context: Mapping[str, Any], level: float = 0.95) -> str:
    """Sentence on what dots and bars are, where there is no interval and where no spread."""
    single = summary["n_seeds"] < 2
    if single.all():
        return "Marks: n = 1 seed, no interval."
    few = summary["n_seeds"] < SEEDS_FOR_INTERVAL
    if few.all():
        return (
            "Large marks: mean over seeds; small dots: seeds. No interval: two seeds give none; "
            "differences with intervals over genes and seeds are in the comparisons."
        )
    text = f"Large marks: mean over seeds; bars: {level * 100:.0f} % t-interval; small dots: seeds."
    if few.any():
        text += f" Marks without bar: fewer than {SEEDS_FOR_INTERVAL} seeds, no interval."
    spread = summary[~single].groupby("model")["sd"].max()
    fixed = [str(model) for model in spread.index[spread == 0]]
    if fixed:
        names = ", ".join(model_label(model, context) for model in fixed)
        text += f" Equal for all seeds: {names}."
    return text
