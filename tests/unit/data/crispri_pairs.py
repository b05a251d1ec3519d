"""A small table of tested pairs, as its laboratory writes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

LENGTHS = {"chr1": 400_000, "chr2": 300_000}


def genes() -> pd.DataFrame:
    """Six genes, three on each chromosome."""
    tss = [50_000, 150_000, 250_000] * 2
    return pd.DataFrame(
        {
            "gene_id": [f"ENSG{number}.1" for number in range(6)],
            "chrom": ["chr1"] * 3 + ["chr2"] * 3,
            "tss": tss,
        }
    )


def table(**changes: Any) -> pd.DataFrame:
    """Two pairs per gene: a near regulated one and a far one that isn't."""
    rows = [
        {
            "chrom": gene.chrom, "chromStart": gene.tss + apart - 250,
            "chromEnd": gene.tss + apart + 250, "startTSS": gene.tss + 3,
            "measuredGeneSymbol": f"GENE{gene.Index}",
            "measuredGeneEnsemblId": gene.gene_id.split(".")[0],
            "Regulated": "TRUE" if apart == 4000 else "FALSE", "distanceToTSS": apart,
            "CellType": "K562", "ValidConnection": "TRUE",
            "H3K27ac.RPM.expandedRegion": 4.0, "DHS.RPM": 9.0,
        }
        for gene in genes().itertuples()
        for apart in (4000, 30_000)
    ]  # fmt: skip
    return pd.DataFrame(rows).assign(**changes)


def write(path: str | Path = "pairs.tsv", **changes: Any) -> str:
    """Write the table with columns replaced; a value None removes the column."""
    gone = [name for name, value in changes.items() if value is None]
    kept = {name: value for name, value in changes.items() if value is not None}
    table(**kept).drop(columns=gone).to_csv(path, sep="\t", index=False)
    return str(path)
