"""Genes whose input says nothing: the share per signal and split, compared with other splits.

A whole chromosome that a file doesn't hold reads as zeros, whatever the format and the cause. So
the rows of every array of a store are looked at when it is built: a row with one value in all its
columns says nothing of its gene. Contacts in one or two bins are the exception, since they are
constant within a bin: such a row says nothing if it is 0.

The rule, laid down before it was applied to any real data: a split is *far* from the other splits
of its fold where its share is higher by :data:`FAR` or more and the difference is more than
:data:`SURE` standard deviations (two proportions, genes taken as independent), and at least
:data:`FEWEST` genes are in it. Far is a flag. Far and 100 % is a refusal, unless the sheet's
``absent_chromosomes: missing`` says that chromosomes may be absent; then it is a flag too. So is
unknown sequence, which is in a store only where ``max_n_fraction: 1`` lets it in. A signal that
says nothing in a whole split of at least :data:`FEWEST` genes is a flag even if it says nothing in
the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from prismflow.errors import InputError

FAR = 0.25
"""Share of a split's genes by which it must exceed the others."""
SURE = 4.0
FEWEST = 20
"""Genes in a split that are judged."""
SPLITS = ("train", "valid", "test")
COLUMNS = (
    "cell", "modality", "fold", "split", "n_genes", "n_constant", "share", "share_elsewhere",
    "chromosomes", "state",
)  # fmt: skip
_BLOCK_BYTES = 1 << 26


def constant_rows(path: str | Path, is_binned: bool = False) -> np.ndarray:
    """Which rows of an array file say nothing, bool (N,).

    Args:
        path: an ``.npy`` of two dimensions, a row per gene.
        is_binned: whether its columns are bins of contacts.
    """
    array = np.load(path, mmap_mode="r", allow_pickle=False)
    n_rows, width = array.shape
    result = np.ones(n_rows, dtype=bool)
    step = max(1, _BLOCK_BYTES // max(width * array.itemsize, 1))
    for low in range(0, n_rows if width else 0, step):
        block = np.asarray(array[low : low + step])
        result[low : low + step] = (block == block[:, :1]).all(axis=1)
        if is_binned and width <= 2:
            result[low : low + step] &= block[:, 0] == 0
    return result


def is_far(n_constant: int, n_genes: int, n_elsewhere: int, n_other_genes: int) -> bool:
    """Whether a split's share of constant genes is far above that of the other splits.

    Args:
        n_constant: such genes in the split.
        n_genes: genes in the split.
        n_elsewhere: such genes in the other splits.
        n_other_genes: genes in the other splits.
    """
    if n_genes < FEWEST or not n_other_genes:
        return False
    difference = n_constant / n_genes - n_elsewhere / n_other_genes
    pooled = (n_constant + n_elsewhere) / (n_genes + n_other_genes)
    spread = np.sqrt(pooled * (1 - pooled) * (1 / n_genes + 1 / n_other_genes))
    return bool(difference >= FAR and difference > SURE * spread)


def shares(
    cell: str,
    constant: Mapping[str, np.ndarray],
    chroms: np.ndarray,
    splits: pd.DataFrame,
    absent: Mapping[str, str],
) -> pd.DataFrame:
    """Genes without input per modality, fold and split.

    Args:
        cell: name of the cell.
        constant: modality -> bool (N,), see :func:`constant_rows`.
        chroms: chromosome per gene (N,).
        splits: ``splits.tsv``: gene_id and a column per fold, in the order of the genes.
        absent: modality -> ``error`` or ``missing``.

    Returns:
        :data:`COLUMNS`; ``chromosomes`` counts those genes by chromosome, ``state`` is ``ok``,
        ``flag`` or ``refused``.
    """
    rows: list[dict[str, Any]] = []
    for modality, is_constant in constant.items():
        for fold in [column for column in splits.columns if column != "gene_id"]:
            split = splits[fold].to_numpy(dtype=object)
            used = np.isin(split, SPLITS)
            for name in SPLITS:
                own, others = split == name, used & (split != name)
                n_genes, n_constant = int(own.sum()), int(is_constant[own].sum())
                elsewhere, n_other = int(is_constant[others].sum()), int(others.sum())
                state = "ok"
                if is_far(n_constant, n_genes, elsewhere, n_other):
                    refused = n_constant == n_genes and absent.get(modality) != "missing"
                    state = "refused" if refused else "flag"
                elif n_constant == n_genes >= FEWEST:
                    state = "flag"
                rows.append({
                    "cell": cell, "modality": modality, "fold": fold, "split": name,
                    "n_genes": n_genes, "n_constant": n_constant,
                    "share": n_constant / max(n_genes, 1),
                    "share_elsewhere": elsewhere / max(n_other, 1),
                    "chromosomes": _counted(chroms[own & is_constant]), "state": state,
                })  # fmt: skip
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _counted(chroms: np.ndarray, limit: int = 6) -> str:
    counts = pd.Series(chroms, dtype=object).value_counts(sort=False)
    shown = ", ".join(f"{chrom} ({n} genes)" for chrom, n in counts.head(limit).items())
    return shown + (", ..." if len(counts) > limit else "")


def refuse(table: pd.DataFrame, paths: Mapping[str, str], chroms: Mapping[str, str]) -> None:
    """End at the first split without any input.

    Args:
        table: from :func:`shares`.
        paths: modality -> file, for the message.
        chroms: modality -> chromosomes of which the file has something, for the message.

    Raises:
        InputError: names the file, split, chromosomes and number of genes, and what it does have.
    """
    for row in table[table["state"] == "refused"].itertuples():
        raise InputError(
            f"{paths.get(row.modality, row.modality)}: expected {row.modality} of {row.cell} to "
            f"vary in the windows of {row.split} genes as elsewhere, found one value only in all "
            f"{row.n_genes} of them (fold {row.fold}: {row.chromosomes}) and in "
            f"{row.share_elsewhere:.0%} of the other genes; it has values on "
            f"{chroms.get(row.modality) or 'no chromosome'}. Copy or download it again, or set "
            "absent_chromosomes: missing for this track."
        )


def varying_on(is_constant: np.ndarray, chroms: np.ndarray) -> str:
    """Chromosomes with genes whose input does say something, with their number."""
    return _counted(chroms[~is_constant])


def flags(tables: Sequence[pd.DataFrame]) -> list[str]:
    """Sentences on splits far from the others; one for the sequence, which all cells share."""
    found: dict[str, None] = {}
    for table in tables:
        for row in table[table["state"] == "flag"].itertuples():
            is_sequence = row.modality == "sequence"
            what = "sequence" if is_sequence else f"{row.cell} {row.modality}"
            cause = (
                "is their sequence unknown (N) in this FASTA?"
                if is_sequence
                else "does the file lack these places?"
            )
            found[
                f"{what}: {row.n_constant} of {row.n_genes} {row.split} genes (fold {row.fold}) "
                f"have one value only in their whole window, elsewhere {row.share_elsewhere:.0%}; "
                f"they lie on {row.chromosomes}: {cause}"
            ] = None
    return list(found)
