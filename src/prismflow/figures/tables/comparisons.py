"""Differences between models, or between ways of testing them, with what decides them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from prismflow.figures.plots import common
from prismflow.figures.tables.render import Block, Sheet, count, interval, number, ordered, p_value
from prismflow.labels import model_label

NEEDS = ("comparisons",)
DECIDED = "seeds and genes"
_HEADING = {"reference": "against the reference", "scenario": "against the full input"}
_COLUMNS = (
    "Model", "Reference", "Δ MSE [95 % interval]", "p (permutation)", "p (Holm)",
    "p (seeds and genes, Holm)", "Δ Pearson r [95 % interval]", "seeds", "genes", "decided by",
    "seeds needed", "genes needed",
)  # fmt: skip


def build(
    data: Mapping[str, Any], experiment: Mapping[str, Any], context: Mapping[str, Any]
) -> pd.DataFrame:
    """The comparisons as :mod:`prismflow.evaluation.comparisons` wrote them."""
    return common.require(data, "comparisons", experiment)


def sheet(table: pd.DataFrame, experiment: Mapping[str, Any], context: Mapping[str, Any]) -> Sheet:
    """A block per cell and family; what is decided is bold. Rows of the family best are left out.

    Args:
        table: columns of :data:`prismflow.evaluation.comparisons.COLUMNS`.
        experiment: ``id``, ``title``.
        context: ``model_labels``, ``model_order``, ``target_label``, ``simulated``.
    """
    shown = table[table["family"].isin(list(_HEADING))]
    published = bool(shown["published_difference"].notna().any())
    columns = _COLUMNS + (("published Δ MSE", "published: seeds needed") if published else ())
    blocks = [
        _block(str(cell), str(family), rows, published, context)
        for (cell, family), rows in shown.groupby(["cell", "family"], sort=False)
    ]
    return Sheet(
        columns=columns,
        align="ll" + "r" * 7 + "l" + "r" * (len(columns) - 10),
        blocks=tuple(blocks),
        caption=_caption(experiment, context),
        notes=tuple(_notes(shown, published)),
    )


def _block(
    cell: str, family: str, rows: pd.DataFrame, published: bool, context: Mapping[str, Any]
) -> Block:
    order = {name: i for i, name in enumerate(ordered(rows["model"], context))}
    rows = rows.sort_values("model", key=lambda names: names.map(order), kind="stable")
    records = rows.to_dict("records")
    label = common.cell_label(cell, context) + (" (simulated)" if context.get("simulated") else "")
    return Block(
        f"{label}, {_HEADING[family]}",
        tuple(_line(row, published, context) for row in records),
        frozenset((i, 2) for i, row in enumerate(records) if row["decided_by"] == DECIDED),
    )


def _line(row: Mapping[str, Any], published: bool, context: Mapping[str, Any]) -> tuple[str, ...]:
    names = [
        _name(row[model], row[scenario], context)
        for model, scenario in (("model", "scenario"), ("reference", "reference_scenario"))
    ]
    decided = row["decided_by"] == DECIDED
    line = (
        *names,
        interval(row["mse_difference"], row["mse_low"], row["mse_high"]),
        p_value(row["p_permutation"]),
        p_value(row["p_permutation_holm"]),
        p_value(row["p_seeds_holm"]),
        interval(row["pearson_difference"], row["pearson_low"], row["pearson_high"]),
        count(row["n_seeds"]),
        count(row["n_genes"]),
        str(row["decided_by"]),
        "–" if decided else needed(row["seeds_needed"]),
        "–" if decided else needed(row["genes_needed"]),
    )
    if published:
        line += (number(row["published_difference"]), needed(row["published_seeds_needed"]))
    return line


def _name(model: str, scenario: str, context: Mapping[str, Any]) -> str:
    label = model_label(model, context)
    return label if scenario == "full" else f"{label}, {scenario.replace('_', ' ')}"


def needed(number_of: float) -> str:
    """A number of seeds or genes; ``none`` where no number would do, a dash where unknown."""
    if math.isnan(number_of):
        return "–"
    return "none" if math.isinf(number_of) else count(number_of)


def _caption(experiment: Mapping[str, Any], context: Mapping[str, Any]) -> str:
    title = str(experiment.get("title") or experiment.get("id", "Comparison")).rstrip(".")
    target = str(context.get("target_label") or "the expression label")
    text = f"{title}: differences, paired by seed and gene; MSE of {target}."
    return f"{text} Simulated data." if context.get("simulated") else text


def _notes(table: pd.DataFrame, published: bool) -> list[str]:
    notes = [
        "Δ: model minus reference (lower MSE, higher r are better). Intervals: hierarchical "
        "bootstrap over seeds and genes. p (permutation): models exchanged at random gene by "
        "gene, on squared errors averaged over seeds; it takes these trained models as they are. "
        "p (seeds and genes): the bootstrap's, which counts the training seeds as a sample. "
        "Holm: corrected over all rows of this table.",
        "Decided by: 'seeds and genes' if both corrected p are below 0.05 (bold); 'genes only' "
        "if these models differ but new seeds might not; 'nothing' otherwise.",
        "Seeds (genes) needed: at the measured difference, for 80 % power at p < 0.05, with as "
        "many genes (seeds) as here; 'none' where no number of them would do alone.",
    ]
    if (table["n_seeds"] < 2).any():
        notes.append(
            "With one seed the interval holds for that trained model only, and nothing that "
            "includes the spread over seeds can be said."
        )
    if (table["n_seeds"] == 2).any():
        notes.append("Two seeds: the spread over seeds is hardly known (docs/statistics.md).")
    if published:
        sources = sorted(set("; ".join(table["published_source"].dropna()).split("; ")))
        notes.append(
            "Published: the difference of the published means, of real cells "
            f"({'; '.join(sources)}), and the seeds per model that a t-test would need, from the "
            "published sd; where one of the two sd is unknown, the known one stands for both."
        )
    return notes
