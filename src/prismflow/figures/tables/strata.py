"""Errors by class of gene, calibration, and what averaging seeds and strands gains."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from prismflow.figures.plots import common
from prismflow.figures.tables.render import Block, Sheet, count, interval, number
from prismflow.labels import modality_label, model_label

NEEDS = ("strata",)
GROUPINGS = {
    "all": "All test genes",
    "expression": "Silent and expressed genes",
    "CpG": "CpG at the promoter",
    "strand": "Strand",
    "chromosome": "Chromosome",
    "predicted": "Tenths by predicted level",
    "averaging": "Predictions averaged",
}


def build(
    data: Mapping[str, Any], experiment: Mapping[str, Any], context: Mapping[str, Any]
) -> pd.DataFrame:
    """The rows of :func:`prismflow.evaluation.strata.strata`, with the model's label."""
    table = common.require(data, "strata", experiment).copy()
    labels = [model_label(str(model), context) for model in table["model"]]
    table.insert(table.columns.get_loc("model") + 1, "label", labels)
    return table


def grouping_label(grouping: str, context: Mapping[str, Any]) -> str:
    """A grouping in words."""
    if grouping.startswith("signal "):
        name = modality_label(grouping.removeprefix("signal "), context)
        return f"{name} at the promoter"
    return GROUPINGS.get(grouping, grouping)


def sheet(table: pd.DataFrame, experiment: Mapping[str, Any], context: Mapping[str, Any]) -> Sheet:
    """The printed form: a block per cell and grouping, a line per class and model."""
    blocks = []
    for (cell, grouping), rows in table.groupby(["cell", "grouping"], sort=False):
        lines = []
        order = {name: n for n, name in enumerate(dict.fromkeys(rows["class"]))}
        ranked = rows.assign(rank=rows["class"].map(order)).sort_values("rank", kind="stable")
        for (name, _), own in ranked.groupby(["class", "label"], sort=False):
            if (own["metric"] != "slope").all():
                lines.append(_line(str(name), own))
        name = f"{common.cell_label(str(cell), context)}: {grouping_label(str(grouping), context)}"
        blocks.append(Block(name, tuple(lines)))
    return Sheet(
        columns=("Genes", "Model", "genes", "MSE", "Pearson r", "predicted minus observed",
                 "MSE minus one model's", "r minus one model's"),
        align="llrrrrrr",
        blocks=tuple(blocks),
        caption=str(experiment["title"]).rstrip(".")
        + (". Simulated data." if context.get("simulated") else "."),
        notes=(
            "Intervals of 95 % over seeds and genes, blocks of genes drawn whole; of predictions "
            "averaged over seeds: over genes, for these seeds. Bounds of the classes: silent below "
            "1 in the label's own unit; CpG-rich: TSS ± 500 has more than 50 % G or C and more "
            "than 0.6 of the expected CpG; signals by quarters of their mean over TSS ± 500 among "
            "the genes with any. Fewer than 10 genes give no number. A correlation within a class "
            "is lower than over all genes, because labels vary less.",
            *_slopes(table, context),
        ),
    )  # fmt: skip


def _line(name: str, rows: pd.DataFrame) -> tuple[str, ...]:
    found = {row["metric"]: row for row in rows.to_dict("records")}
    first = rows.iloc[0]
    bias = _shown(found.get("bias"))
    if "predicted" in found:
        bias = number(found["predicted"]["value"] - found["observed"]["value"], 3)
    return (
        name, str(first["label"]), count(first["n_genes"]), _shown(found.get("mse")),
        _shown(found.get("pearson")), bias, _gain(found.get("mse")), _gain(found.get("pearson")),
    )  # fmt: skip


def _shown(row: Mapping[str, Any] | None) -> str:
    return "–" if row is None else interval(row["value"], row["low"], row["high"], 3)


def _gain(row: Mapping[str, Any] | None) -> str:
    return "–" if row is None else interval(row["gain"], row["gain_low"], row["gain_high"], 4)


def _slopes(table: pd.DataFrame, context: Mapping[str, Any]) -> list[str]:
    rows = table[table["metric"] == "slope"]
    parts = [
        f"{common.cell_label(str(row['cell']), context)}, {row['label']} {_shown(row)}"
        for row in rows.to_dict("records")
    ]
    return [f"Slope of observed on predicted (1: calibrated): {'; '.join(parts)}."] if parts else []
