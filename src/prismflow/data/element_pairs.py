"""Every pair of an element and a gene of a dataset: distance, activity, contact and their share.

Elements are the store's candidates with the gene's own promoter, and those of tables of tested
pairs. Coordinates are 0-based half-open; the distance is that of an element's centre to the TSS.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from prismflow.data.chromosomes import Genes
from prismflow.data.elements import element_activity, pair_contacts
from prismflow.data.genome import read_chrom_sizes
from prismflow.data.perturbations import read_pairs, rows_of_genes
from prismflow.data.store import ELEMENT_FILES, Store
from prismflow.files import read_tsv, write_tsv

logger = logging.getLogger(__name__)

CANDIDATES = "candidates"
COLUMNS = (
    "source", "kind", "chrom", "start", "end", "gene_id", "tss", "strand", "distance", "activity",
    "contact", "activity_x_contact", "share",
)  # fmt: skip


def write_pairs(
    settings: Mapping[str, Any],
    store_dir: str | Path,
    genes: str | Path,
    sizes: str | Path,
    output: str | Path,
) -> None:
    """Write all pairs of a cell as TSV, columns :data:`COLUMNS`, by source, gene and distance.

    Args:
        settings: ``benchmarks`` (name, path, cell_type, absent_genes), ``tracks`` of the activity,
            ``contacts`` (a track of contacts, or None for the power law), ``aliases``.
        store_dir: of the cell.
        genes: ``genes.tsv`` of the dataset.
        sizes: chromosome lengths.
        output: the table.

    Raises:
        InputError: tested pairs that don't fit the genes or the build, or tracks that don't.
    """
    lengths = read_chrom_sizes(sizes, settings["aliases"])
    store = Store.open(store_dir)
    known = read_tsv(genes, dtype={"gene_id": str, "chrom": str})
    parts = [candidate_pairs(store)] if store.has_elements else []
    parts += [tested_pairs(entry, store, known, lengths, genes, settings["aliases"])
              for entry in settings["benchmarks"]]  # fmt: skip
    parts = [part for part in parts if len(part)]
    if not parts:
        logger.warning("%s: no candidate elements and no tested pairs of its genes", store.path)
        write_tsv(pd.DataFrame(columns=list(COLUMNS)), output)
        return
    table = pd.concat(parts, ignore_index=True)
    where = Genes.from_table(
        store.genes, lengths, source=str(genes), lengths_source=str(sizes),
        aliases=settings["aliases"],
    )  # fmt: skip
    described = describe(table, where, settings["tracks"], settings["contacts"])
    described["gene_id"] = store.genes["gene_id"].to_numpy()[described["gene"]]
    described["strand"] = store.genes["strand"].to_numpy()[described["gene"]]
    write_tsv(described[list(COLUMNS)], output)
    logger.info("%d pairs of %d genes", len(described), described["gene"].nunique())


def candidate_pairs(store: Store) -> pd.DataFrame:
    """source, kind, chrom, start, end, gene (row of the store) of promoters and candidates."""
    elements = read_tsv(store.path / ELEMENT_FILES["table"], dtype={"chrom": str})
    index = np.asarray(store.element_arrays["index"])
    gene, slot = np.nonzero(index >= 0)
    chosen = elements.iloc[index[gene, slot]].reset_index(drop=True)
    table = chosen[["kind", "chrom", "start", "end"]].assign(gene=gene)
    table.insert(0, "source", CANDIDATES)
    return table


def tested_pairs(
    entry: Mapping[str, Any],
    store: Store,
    known: pd.DataFrame,
    lengths: Mapping[str, int],
    genes: str | Path,
    aliases: Mapping[str, str],
) -> pd.DataFrame:
    """As :func:`candidate_pairs`, of a table of tested pairs; genes that the store lacks are out.

    Raises:
        InputError: see :func:`prismflow.data.perturbations.rows_of_genes`.
    """
    pairs = read_pairs(entry["path"], aliases, entry["cell_type"])
    found = rows_of_genes(
        pairs, known, lengths, source=entry["path"], genes_source=str(genes),
        absent_genes=entry["absent_genes"],
    )  # fmt: skip
    place = {str(name): row for row, name in enumerate(store.genes["gene_id"])}
    names = known["gene_id"].astype(str).to_numpy()
    row = np.array([place.get(names[at], -1) if at >= 0 else -1 for at in found], np.int64)
    same = row >= 0
    same[same] = store.genes["chrom"].to_numpy()[row[same]] == pairs["chrom"].to_numpy()[same]
    table = pairs.loc[same, ["chrom", "start", "end"]].assign(kind="tested", gene=row[same])
    return table.assign(source=entry["name"]).drop_duplicates(ignore_index=True)


def describe(
    pairs: pd.DataFrame,
    genes: Genes,
    tracks: list[Mapping[str, Any]],
    contacts: Mapping[str, Any] | None,
) -> pd.DataFrame:
    """The pairs in order, with what is known of each without a model.

    Args:
        pairs: source, chrom, start, end, gene (row of ``genes``).
        genes: all genes.
        tracks: of the activity, a geometric mean; without any it is missing (NaN).
        contacts: a track of contacts; None for the power law of the distance.

    Returns:
        The pairs by source, gene and distance, with tss, distance (bp), activity, contact, their
        product, and its share in the sum over the gene's pairs of that source.
    """
    places = pairs[["chrom", "start", "end"]].drop_duplicates(ignore_index=True)
    element = pairs.merge(places.reset_index(names="element"), how="left")["element"].to_numpy()
    centre = ((places["start"] + places["end"]) // 2).to_numpy(np.int64)
    activity = element_activity(places, tracks, genes) if tracks else np.full(len(places), np.nan)
    tss = genes.tss[pairs["gene"].to_numpy()]
    table = pairs.assign(
        tss=tss, element=element, distance=np.abs(centre[element] - tss), activity=activity[element]
    )
    order = ["source", "gene", "distance", "start", "end"]
    table = table.sort_values(order, kind="stable", ignore_index=True)
    table["contact"], n_by_law = pair_contacts(table, centre, genes, contacts)
    logger.info("%d of %d contacts by the power law", n_by_law, len(table))
    table["activity_x_contact"] = table["activity"] * table["contact"]
    total = table.groupby(["source", "gene"])["activity_x_contact"].transform("sum")
    table["share"] = table["activity_x_contact"] / total.where(total > 0)
    return table
