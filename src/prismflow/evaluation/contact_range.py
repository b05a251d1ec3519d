"""How many positions around each TSS have a contact value, with the pseudocount and without it.

The paper (Table 8) reports a median of nearly 200,000 contact partners of a gene. The released
feature adds a constant to every position of the window, so that every position is above zero;
here the same feature is counted with and without that constant, and, as a control, with it after
every contact beyond the TSS's own bin was taken out.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from prismflow.data.chromosomes import Genes
from prismflow.data.contacts import PSEUDOCOUNT, contact_bins
from prismflow.data.genome import read_chrom_sizes
from prismflow.files import read_tsv, write_tsv

logger = logging.getLogger(__name__)

COLUMNS = (
    "gene_id", "range_bp", "resolution_bp", "normalisation", "pseudocount", "n_positions",
    "with_pseudocount", "emptied_with_pseudocount", "without_pseudocount", "above_expected",
    "n_bins", "bins_recorded", "bins_beyond_tss",
)  # fmt: skip


def positions_per_bin(
    tss: np.ndarray, chrom_length: np.ndarray, range_bp: int, resolution_bp: int, n_bins: int
) -> np.ndarray:
    """Bases of each bin in ``[tss - range/2, tss + range/2)`` and on the chromosome, int (n, K)."""
    start = tss - range_bp // 2
    number = (start // resolution_bp)[:, None] + np.arange(n_bins)
    low = np.maximum(number * resolution_bp, np.maximum(start, 0)[:, None])
    high = np.minimum(
        (number + 1) * resolution_bp, np.minimum(start + range_bp, chrom_length)[:, None]
    )
    return np.maximum(high - low, 0)


def _features(
    genes: Genes, track: Mapping[str, Any], range_bp: int, pseudocount: bool
) -> np.ndarray:
    """The contact feature per bin, (n, K), with or without the pseudocount."""
    values, _ = contact_bins(
        track["path"], genes, window_bp=range_bp, resolution_bp=int(track["resolution_bp"]),
        normalisation=track["normalisation"] or "NONE",
        absent_chromosomes=track["absent_chromosomes"] or "error", pseudocount=pseudocount,
    )  # fmt: skip
    return values


def count_contacts(
    genes: pd.DataFrame,
    track: Mapping[str, Any],
    lengths: Mapping[str, int],
    range_bp: int,
    aliases: Mapping[str, str],
    sources: tuple[str, str] = ("the gene table", "the genome"),
) -> pd.DataFrame:
    """Count per gene.

    Args:
        genes: gene_id, chrom, tss.
        track: path, resolution_bp, normalisation, absent_chromosomes of a contact file.
        lengths: chromosome -> length.
        range_bp: length of the window around the TSS; 200,000 in the paper.
        aliases: chromosome name in the file -> name in the gene table.
        sources: files of the genes and of the lengths, for messages.

    Returns:
        A row per gene: ``n_positions`` of the window on the chromosome; how many have a value
        above 0 ``with_pseudocount`` (the released feature), ``emptied_with_pseudocount`` (the
        control) and ``without_pseudocount``; how many have a contact ``above_expected``, the mean
        over genes at the same distance; ``n_bins`` of the window, ``bins_recorded`` with a
        contact, and of these ``bins_beyond_tss``, not the TSS's own.

    Raises:
        InputError: the contact file does not fit the genes.
    """
    resolution_bp = int(track["resolution_bp"])
    where = Genes.from_table(
        genes, lengths, source=sources[0], lengths_source=sources[1], aliases=aliases
    )
    chroms, tss = where.chroms, where.tss
    with_constant, without = (
        _features(where, track, range_bp, pseudocount) for pseudocount in (True, False)
    )
    length = np.array([lengths[chrom] for chrom in chroms], dtype=np.int64)
    bases = positions_per_bin(tss, length, range_bp, resolution_bp, without.shape[1])
    recorded = (without > 0) & (bases > 0)
    own = tss // resolution_bp - (tss - range_bp // 2) // resolution_bp
    rows = np.arange(len(tss))
    beyond, emptied = recorded.copy(), np.where(with_constant > 0, PSEUDOCOUNT, 0.0)
    beyond[rows, own] = False
    emptied[rows, own] += without[rows, own]
    return pd.DataFrame(
        {
            "gene_id": genes["gene_id"],
            "range_bp": range_bp,
            "resolution_bp": resolution_bp,
            "normalisation": track["normalisation"] or "NONE",
            "pseudocount": PSEUDOCOUNT,
            "n_positions": bases.sum(axis=1),
            "with_pseudocount": (bases * (with_constant > 0)).sum(axis=1),
            "emptied_with_pseudocount": (bases * (emptied > 0)).sum(axis=1),
            "without_pseudocount": (bases * recorded).sum(axis=1),
            "above_expected": (bases * (without > _expected(without, bases, own))).sum(axis=1),
            "n_bins": (bases > 0).sum(axis=1),
            "bins_recorded": recorded.sum(axis=1),
            "bins_beyond_tss": beyond.sum(axis=1),
        },
        columns=list(COLUMNS),
    )


def _expected(contacts: np.ndarray, bases: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Mean contact over genes at each bin's distance from the TSS's bin, (n, K)."""
    n_bins = contacts.shape[1]
    offset = np.abs(np.arange(n_bins) - own[:, None])
    inside = (bases > 0).astype(float)
    total = np.bincount(offset.ravel(), (contacts * inside).ravel(), minlength=n_bins)
    n_seen = np.bincount(offset.ravel(), inside.ravel(), minlength=n_bins)
    return (total / np.maximum(n_seen, 1))[offset]


def measure_contact_range(
    settings: Mapping[str, Any], genes: str | Path, sizes: str | Path, output: str | Path
) -> None:
    """Write :func:`count_contacts` of a cell; a table without rows if it has no contacts.

    Args:
        settings: ``track`` (or None), ``aliases``, ``range_bp``.
        genes: ``genes.tsv`` of the dataset.
        sizes: chromosome lengths.
        output: the TSV to write.
    """
    if settings["track"] is None:
        logger.info("the cell has no contacts; the table has no row")
        write_tsv(pd.DataFrame(columns=list(COLUMNS)), output)
        return
    table = count_contacts(
        read_tsv(genes, dtype={"gene_id": str, "chrom": str}),
        settings["track"],
        read_chrom_sizes(sizes, settings["aliases"]),
        int(settings["range_bp"]),
        settings["aliases"],
        (str(genes), str(sizes)),
    )
    write_tsv(table, output)
