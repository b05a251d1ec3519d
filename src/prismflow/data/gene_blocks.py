"""Which genes of an own table train: by the paper's chromosomes, or by blocks of position."""

from __future__ import annotations

import numpy as np
import pandas as pd

from prismflow.data.splits import PAPER_FOLDS
from prismflow.errors import InputError

SPLIT = "split"
"""Column of the table."""

CHOICES = ("auto", "chromosome", "blocks")
SHARES = (0.7, 0.8)
"""Where validation and test begin, of all genes in the order of the genome."""

GAP_BP = 100_000
"""Genes closer than this to a gene of the next block on their chromosome are in none."""


def split_of_genes(genes: pd.DataFrame, order: list[str], how: str) -> tuple[pd.Series, str]:
    """train, valid, test or none of every gene.

    Args:
        genes: chrom and tss.
        order: chromosomes as the genome has them.
        how: ``chromosome`` (fold 11 of the paper: chr3 and chr21 validate, chr22 and chrX test),
            ``blocks`` (70 % of the genes train, the next 10 % validate, the last 20 % test, in the
            order of the genome), or ``auto``: the first where all three sets have genes.

    Returns:
        The column and which way was taken.

    Raises:
        InputError: the genes do not suffice for three sets.
    """
    held = PAPER_FOLDS["fold11"]
    roles = pd.Series("train", index=genes.index)
    for role in ("valid", "test"):
        roles[genes["chrom"].isin(held[role])] = role
    if how == "auto":
        how = "chromosome" if roles.nunique() == 3 else "blocks"
    if how == "blocks":
        roles = _blocks(genes, order)
    if set(roles) < {"train", "valid", "test"}:
        raise InputError(
            f"expected genes that train, validate and test by {how}, found "
            f"{', '.join(f'{n} {role}' for role, n in roles.value_counts().items())} of "
            f"{len(genes)} genes; take more genes or the other way (--split)."
        )
    return roles, how


def _blocks(genes: pd.DataFrame, order: list[str]) -> pd.Series:
    rank = genes["chrom"].map({chrom: number for number, chrom in enumerate(order)}).to_numpy()
    tss = genes["tss"].to_numpy()
    sorted_rows = np.lexsort((tss, rank))
    bounds = [round(share * len(genes)) for share in SHARES]
    roles = np.array(["train", "valid", "test"])[
        np.searchsorted(bounds, np.arange(len(genes)), side="right")
    ]
    chrom, position = rank[sorted_rows], tss[sorted_rows]
    for bound in bounds:
        if 0 < bound < len(genes):
            near = (chrom == chrom[bound]) & (np.arange(len(genes)) < bound)
            roles[near & (position[bound] - position < GAP_BP)] = "none"
    result = pd.Series("", index=genes.index)
    result.iloc[sorted_rows] = roles
    return result
