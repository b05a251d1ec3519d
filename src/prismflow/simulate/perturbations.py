"""What silencing each enhancer would do to each gene: the true pairs, in a laboratory's layout."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from prismflow.files import write_tsv
from prismflow.simulate.layout import Layout
from prismflow.simulate.model import DISTAL_REACH_BP, CellState, enhancer_contacts

HALF_BP = 250
LEAST_SHARE = 0.2
"""An enhancer regulates an active gene of whose distal sum it makes at least this share."""


def tested_pairs(layout: Layout, state: CellState, cell: str) -> pd.DataFrame:
    """Every enhancer with every gene in reach, as a table of tested pairs (equation 16)."""
    tables = []
    for chrom in layout.sizes:
        rows = np.flatnonzero((layout.genes["chrom"] == chrom).to_numpy())
        columns = np.flatnonzero((layout.enhancers["chrom"] == chrom).to_numpy())
        contact, distance = enhancer_contacts(layout, rows, columns)
        parts = contact * state.enhancer_activity[columns]
        share = parts / (0.3 + parts.sum(axis=1, keepdims=True))
        gene, enhancer = np.nonzero(distance <= DISTAL_REACH_BP)
        known = layout.genes.iloc[rows[gene]]
        centre = layout.enhancers["centre"].to_numpy()[columns[enhancer]]
        activity = state.enhancer_activity[columns[enhancer]]
        found = share[gene, enhancer]
        regulated = (found >= LEAST_SHARE) & state.active[rows[gene]]
        tables.append(
            pd.DataFrame(
                {
                    "chrom": chrom, "chromStart": centre - HALF_BP, "chromEnd": centre + HALF_BP,
                    "startTSS": known["tss"].to_numpy(),
                    "measuredGeneSymbol": known["symbol"].to_numpy(),
                    "measuredGeneEnsemblId": known["gene_id"].to_numpy(),
                    "EffectSize": np.round(-found, 6),
                    "Regulated": np.where(regulated, "TRUE", "FALSE"),
                    "distanceToTSS": distance[gene, enhancer], "CellType": cell,
                    "H3K27ac.RPM.expandedRegion": np.round(5 * activity, 6),
                    "DHS.RPM": np.round(4 * activity, 6),
                }
            )
        )  # fmt: skip
    return pd.concat(tables, ignore_index=True)


def write_tested_pairs(layout: Layout, state: CellState, cell: str, path: Path) -> None:
    """Write :func:`tested_pairs` as TSV."""
    write_tsv(tested_pairs(layout, state, cell), path)
