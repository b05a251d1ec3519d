"""Everything that was read for a dataset and what of it was skipped, for which reason.

One row per number of ``input_summary.tsv``: of each unit of each input the rows ``kept`` and
``skipped`` add up to ``read``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from prismflow.data.counts import Count, rows_of
from prismflow.data.genes import label_name
from prismflow.data.genome import read_chrom_sizes
from prismflow.data.splits import SPLITS
from prismflow.data.windows import read_bed
from prismflow.files import read_json, read_tsv, read_user_table, write_tsv

COLUMNS = ("input", "cell", "unit", "outcome", "reason", "n")


def input_summary(
    *,
    table: str | Path,
    genes: str | Path,
    dropped: str | Path,
    splits: str | Path,
    sizes: str | Path,
    shared: str | Path | None,
    blacklist: str | Path | None,
    label_columns: Mapping[str, str],
    summaries: Mapping[str, Mapping[str, str | Path]],
    stores: Mapping[str, str | Path],
    aliases: Mapping[str, str] | None = None,
    own: str | Path | None = None,
) -> pd.DataFrame:
    """Rows of ``input_summary.tsv``.

    Args:
        table: the user's gene table.
        genes, dropped, splits, sizes: what was made of it and of the genome.
        shared: genes whose sequence stands in another split.
        blacklist: BED, if there is one.
        label_columns: cell -> column of its label in ``table``.
        summaries: cell -> modality -> JSON of :func:`prismflow.data.tracks.inspect_track`.
        stores: cell -> JSON of :func:`prismflow.data.store_builder.build_store`.
        aliases: chromosome name in a file -> name in the gene table.
        own: such rows of the files that ``table`` was made of, where the workflow made it.

    Raises:
        InputError: a file can't be read.
        RuntimeError: kept and skipped are not all that was read.
    """
    kept = read_tsv(genes, dtype={"gene_id": str, "chrom": str})
    left = read_tsv(dropped, dtype=str)
    raw = read_user_table(table)
    made = read_tsv(own, dtype={"cell": str}).fillna("") if own else pd.DataFrame()
    rows = [row for row in made.to_dict("records") if row["cell"] in {"", *label_columns}]
    rows += rows_of([_rows_of_genes(raw, kept, left)], input="genes", cell="")
    rows += rows_of(_sequences(read_chrom_sizes(sizes, aliases), kept), input="genome", cell="")
    for cell, column in label_columns.items():
        rows += rows_of([_labels(raw, left, column, cell, kept)], input="labels", cell=cell)
    for fold, count in _folds(splits, shared):
        rows += rows_of([count], input=f"split {fold}", cell="")
    if blacklist:
        lines = Count("lines")
        n_regions = len(read_bed(blacklist, count=lines))
        rows += rows_of([lines.plain(n_regions)], input="blacklist", cell="")
    for cell, files in summaries.items():
        built = read_json(stores[cell])["counts"] if cell in stores else {}
        for modality, file in files.items():
            found = [*read_json(file).get("counts", []), *built.get(modality, [])]
            rows += rows_of(found, input=modality, cell=cell)
        rows += rows_of(built.get("elements", []), input="elements", cell=cell)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _rows_of_genes(raw: pd.DataFrame, kept: pd.DataFrame, left: pd.DataFrame) -> dict[str, Any]:
    count = Count("rows", len(raw))
    for reason, n in left["reason"].value_counts().items():
        count.skip(str(reason), int(n))
    return count.plain(len(kept))


def _labels(
    raw: pd.DataFrame, left: pd.DataFrame, column: str, cell: str, kept: pd.DataFrame
) -> dict[str, Any]:
    """Values of a label: those without one, and those of genes that other reasons leave out."""
    count = Count("values", len(raw))
    missing = np.array(
        [f"missing_label:{column}" in str(reason).split(";") for reason in left["reason"]],
        dtype=bool,
    )
    count.skip("no value", int(missing.sum()))
    count.skip("its gene was dropped for another reason", int((~missing).sum()))
    return count.plain(int(kept[label_name(cell)].notna().sum()))


def _sequences(lengths: Mapping[str, int], kept: pd.DataFrame) -> list[dict[str, Any]]:
    chroms = set(kept["chrom"])
    own = [length for chrom, length in lengths.items() if chrom in chroms]
    number, bases = Count("sequences", len(lengths)), Count("bases", sum(lengths.values()))
    number.skip("no gene on it", len(lengths) - len(own))
    bases.skip("no gene on their sequence", bases.n_read - sum(own))
    return [number.plain(len(own)), bases.plain(sum(own))]


def _folds(splits: str | Path, shared: str | Path | None) -> list[tuple[str, dict[str, Any]]]:
    table = read_tsv(splits, dtype=str)
    twins = read_tsv(shared, dtype=str) if shared else pd.DataFrame(columns=["fold", "action"])
    found = []
    for fold in [column for column in table.columns if column != "gene_id"]:
        count = Count("genes", len(table))
        out = ~table[fold].isin(SPLITS)
        own = twins[(twins["fold"] == fold) & (twins["action"] == "drop")]
        dropped = out & table["gene_id"].isin(set(own["gene_id"]) if len(own) else set())
        count.skip("sequence stands in another split", int(dropped.sum()))
        count.skip("in no split", int((out & ~dropped).sum()))
        found.append((fold, count.plain(int((~out).sum()))))
    return found


def write_input_summary(
    settings: Mapping[str, Any], inputs: Mapping[str, Any], path: str | Path
) -> None:
    """Write ``input_summary.tsv``.

    Args:
        settings: ``label_columns``, ``summaries``, ``stores``, ``aliases``.
        inputs: the other arguments of :func:`input_summary`; further ones are not read.
        path: the file to write.
    """
    names = ("table", "genes", "dropped", "splits", "sizes", "shared")
    rest: dict[str, Any] = {
        name: settings[name] for name in ("label_columns", "summaries", "stores", "aliases")
    }
    rest |= {name: inputs[name] or None for name in ("blacklist", "own")}
    write_tsv(input_summary(**{name: inputs[name] for name in names}, **rest), path)
