"""Contact partners per gene with the pseudocount and without it (paper, Table 8)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from prismflow.figures.plots import common
from prismflow.figures.tables.render import Block, Sheet, count, number

NEEDS = ("contact_range",)
COUNTS = {
    "with_pseudocount": "positions with a value, pseudocount added (as released)",
    "emptied_with_pseudocount": "the same, all contacts beyond the TSS's own bin taken out",
    "without_pseudocount": "positions with a contact, no pseudocount",
    "above_expected": "positions with a contact above the mean at their distance",
    "bins_recorded": "bins with a contact",
    "bins_beyond_tss": "bins with a contact beyond the TSS's own bin",
}


def build(
    data: Mapping[str, Any], experiment: Mapping[str, Any], context: Mapping[str, Any]
) -> pd.DataFrame:
    """One row per cell and count: how many genes have any, and quartiles over all genes.

    Args:
        data: ``contact_range``.
        experiment: ``id``.
        context: ``cells``.

    Raises:
        InputError: no cell has contacts.
    """
    table = common.contact_range(data, experiment)
    rows = []
    for cell in common.cell_order(table["cell"].unique(), experiment, context):
        own = table[table["cell"] == cell]
        for name in COUNTS:
            values = own[name]
            low, middle, high = values.quantile([0.25, 0.5, 0.75])
            rows.append(
                {
                    "cell": cell, "count": name, "n_genes": len(own),
                    "range_bp": int(own["range_bp"].iloc[0]),
                    "share_of_genes_with_any": float((values > 0).mean()),
                    "mean": float(values.mean()), "q25": low, "median": middle, "q75": high,
                }
            )  # fmt: skip
    return pd.DataFrame(rows)


def sheet(table: pd.DataFrame, experiment: Mapping[str, Any], context: Mapping[str, Any]) -> Sheet:
    """The printed form: a block per cell, a line per count."""
    blocks = []
    for cell, rows in table.groupby("cell", sort=False):
        lines = tuple(
            (COUNTS[row["count"]], f"{number(100 * row['share_of_genes_with_any'], 1)} %",
             *(count(round(row[name])) for name in ("mean", "q25", "median", "q75")))
            for row in rows.to_dict("records")
        )  # fmt: skip
        heading = f"{common.cell_label(str(cell), context)}, {rows['n_genes'].iloc[0]:,} genes"
        blocks.append(Block(heading, lines))
    kilobases = table["range_bp"].iloc[0] / 1000
    return Sheet(
        columns=(
            "Per gene",
            "genes with any",
            "mean",
            "first quartile",
            "median",
            "third quartile",
        ),
        align="lrrrrr",
        blocks=tuple(blocks),
        caption=f"{str(experiment['title']).rstrip('.')}: windows of {kilobases:g} kb."
        + (" Simulated data." if context.get("simulated") else ""),
        notes=(
            "The released feature adds a constant to every position, so that the number of "
            "positions above zero is the window's length whatever the contacts are: the second "
            "line takes the contacts out and counts as many. The paper reports a median of nearly "
            "200,000 in windows of 200,000 bp.",
        ),
    )
