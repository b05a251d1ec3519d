"""Pairs of an element and a gene that were tested by CRISPR interference.

The layout is that of the combined benchmark of EngreitzLab/CRISPR_comparison: a row per pair, an
element (chrom, chromStart, chromEnd; 0-based half-open), the TSS of the measured gene and whether
the element regulates it. Columns of the element's signals (reads per million) are optional.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from prismflow.errors import InputError
from prismflow.files import read_user_table

POLICIES = ("error", "missing")
#: Our name -> column of the file.
COLUMNS = {
    "chrom": "chrom", "start": "chromStart", "end": "chromEnd", "tss": "startTSS",
    "symbol": "measuredGeneSymbol", "gene_id": "measuredGeneEnsemblId", "regulated": "Regulated",
    "distance": "distanceToTSS",
}  # fmt: skip
#: Signals of the element; H3K27ac in a region that is 150 bp longer on either side.
SIGNALS = {"h3k27ac_rpm": "H3K27ac.RPM.expandedRegion", "dnase_rpm": "DHS.RPM"}
_FURTHER = {"cell_type": "CellType", "effect": "EffectSize", **SIGNALS}
_NUMBERS = ("start", "end", "tss", "distance")
_TRUE_FALSE = {"true": True, "false": False, "1": True, "0": False}
#: Genes of one build lie this near to each other in two tables of it, but for other promoters.
_SAME_TSS_BP = 10_000
_FEWEST_TO_JUDGE = 5


def read_pairs(
    path: str | Path, aliases: Mapping[str, str] | None = None, cell_type: str = ""
) -> pd.DataFrame:
    """Read tested pairs; those with ``ValidConnection`` FALSE are left out.

    Args:
        path: TSV, plain or gzip.
        aliases: chromosome name in the file -> name in the gene table.
        cell_type: keep only pairs of this ``CellType``; empty keeps all.

    Returns:
        chrom, start, end, tss (bp), symbol, gene_id (without version), regulated (bool), distance
        (bp, of the file, >= 1), the optional signals (NaN where absent), and ``line`` in the file.

    Raises:
        InputError: a missing column, a position that is none, an answer other than TRUE or FALSE,
            or no regulated or no other pair.
    """
    raw = read_user_table(path)
    absent = [column for column in COLUMNS.values() if column not in raw.columns]
    if absent:
        raise InputError(
            f"{path} line 1: expected the columns {', '.join(COLUMNS.values())} of a table of "
            f"tested element-gene pairs, found no {', '.join(absent)}; add it or correct its name."
        )
    table = pd.DataFrame({name: raw[column] for name, column in COLUMNS.items()})
    for name, column in _FURTHER.items():
        table[name] = raw[column] if column in raw.columns else None
    table["line"] = np.arange(2, len(table) + 2)
    table["regulated"] = table["regulated"].str.lower().map(_TRUE_FALSE)
    _refuse(path, table, table["regulated"].isna(), "Regulated", "TRUE or FALSE", raw)
    for name in (*_NUMBERS, "effect", *SIGNALS):
        numbers = pd.to_numeric(table[name], errors="coerce")
        optional = name not in _NUMBERS
        bad = numbers.isna() & (table[name].notna() if optional else True)
        what = "a number" if optional else "a whole number >= 0"
        if not optional:
            bad |= (numbers < 0) | (numbers != numbers.round())
        _refuse(path, table, bad, {**COLUMNS, **_FURTHER}[name], what, raw)
        table[name] = numbers.astype(np.float64 if optional else np.int64)
    _refuse(
        path, table, table["end"] <= table["start"], "chromEnd", "a value above chromStart", raw
    )
    for name in ("chrom", "symbol", "gene_id"):
        _refuse(path, table, table[name].isna(), COLUMNS[name], "a name", raw)
    table["regulated"] = table["regulated"].astype(bool)
    table["chrom"] = table["chrom"].map(lambda name: (aliases or {}).get(name, name))
    table["gene_id"] = table["gene_id"].str.split(".").str[0]
    table["distance"] = table["distance"].clip(lower=1)
    kept = np.ones(len(table), dtype=bool)
    if "ValidConnection" in raw.columns:
        kept &= raw["ValidConnection"].str.upper().to_numpy() == "TRUE"
    if cell_type:
        kept &= (table["cell_type"] == cell_type).to_numpy()
    table = table[kept].reset_index(drop=True)
    if not table["regulated"].any() or table["regulated"].all():
        raise InputError(
            f"{path}: expected pairs that are regulated and pairs that are not"
            f"{f' in cell {cell_type}' if cell_type else ''}, found {len(table)} pairs, "
            f"{int(table['regulated'].sum())} of them regulated; correct `cell_type` in the sheet "
            "or the column Regulated."
        )
    return table


def _refuse(
    path: str | Path, table: pd.DataFrame, bad: pd.Series, column: str, what: str, raw: pd.DataFrame
) -> None:
    """Refuse the first of the bad lines."""
    if bad.any():
        row = int(np.flatnonzero(bad.to_numpy())[0])
        raise InputError(
            f"{path} line {table['line'].iloc[row]}: expected {what} in column {column!r}, found "
            f"{raw[column].iloc[row]!r}; correct it."
        )


def rows_of_genes(
    pairs: pd.DataFrame,
    genes: pd.DataFrame,
    lengths: Mapping[str, int],
    *,
    source: str,
    genes_source: str,
    absent_genes: str = "error",
) -> np.ndarray:
    """Row of each pair's gene in the gene table, by identifier, else by symbol; -1 for none.

    Args:
        pairs: of :func:`read_pairs`.
        genes: gene_id, chrom, tss, and ``symbol`` where the table has one.
        lengths: chromosome -> length of the genome.
        source, genes_source: files, for messages.
        absent_genes: ``error`` or ``missing``: what a gene that isn't in the table means.

    Raises:
        InputError: a gene that isn't in the table, or positions of another build.
    """
    beyond = pairs["end"] > pairs["chrom"].map(lengths).fillna(np.inf)
    if beyond.any():
        pair = pairs[beyond].iloc[0]
        raise InputError(
            f"{source} line {pair['line']}: expected elements on the genome of {genes_source}, "
            f"found {pair['chrom']}:{pair['start']}-{pair['end']} beyond the end of "
            f"{pair['chrom']} ({lengths[pair['chrom']]} bp); the elements are of another "
            "build, take the table of this one or lift it over."
        )
    place = {str(name).split(".")[0]: row for row, name in enumerate(genes["gene_id"])}
    if "symbol" in genes.columns:
        named = {str(name): row for row, name in enumerate(genes["symbol"])}
        place = {**named, **place}
    found = np.array(
        [
            place.get(gene, place.get(symbol, -1))
            for gene, symbol in zip(pairs["gene_id"], pairs["symbol"], strict=True)
        ],
        dtype=np.int64,
    )
    _check_build(pairs, genes, found, source, genes_source)
    absent = pairs[found < 0].drop_duplicates("gene_id")
    if len(absent) and absent_genes == "error":
        pair = absent.iloc[0]
        raise InputError(
            f"{source} line {pair['line']}: expected genes of {genes_source}, found "
            f"{pair['gene_id']} ({pair['symbol']}), which isn't in it, and {len(absent) - 1} more "
            f"of {pairs['gene_id'].nunique()} genes; add them, or write `missing` in column "
            "'absent_genes' of the sheet of perturbations."
        )
    return found


def _check_build(
    pairs: pd.DataFrame, genes: pd.DataFrame, found: np.ndarray, source: str, genes_source: str
) -> None:
    """Refuse pairs whose TSS lie elsewhere than in the gene table."""
    first = ~pairs["gene_id"].duplicated().to_numpy() & (found >= 0)
    if first.sum() < _FEWEST_TO_JUDGE:
        return
    own = genes.iloc[found[first]]
    same = pairs["chrom"].to_numpy()[first] == own["chrom"].to_numpy()
    apart = np.abs(pairs["tss"].to_numpy()[first] - own["tss"].to_numpy())
    near = same & (apart <= _SAME_TSS_BP)
    if near.mean() < 0.5:
        raise InputError(
            f"{source}: expected TSS within {_SAME_TSS_BP // 1000} kb of those of {genes_source}, "
            f"found {int(near.sum())} of {int(first.sum())} genes there; the elements are of "
            "another build, or chromosomes have other names: take the table of this build, lift "
            "it over, or name the chromosomes in `chrom_aliases`."
        )
