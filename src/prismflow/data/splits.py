"""Which genes train, select and test a model: by chromosome fold or by a column."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from prismflow.data.chromosomes import by_chromosome
from prismflow.errors import InputError

logger = logging.getLogger(__name__)

SPLITS: tuple[str, ...] = ("train", "valid", "test")
KINDS: tuple[str, ...] = ("chromosome", "column")
#: What a split column may say besides train, valid and test: the gene is in none of them.
NO_SPLIT: tuple[str, ...] = (
    "none", "gap", "buffer", "excluded", "exclude", "unused", "ignored", "ignore", "dropped", "drop"
)  # fmt: skip

#: Chromosomes held out in the twelve folds of the paper; everything else trains.
PAPER_FOLDS: dict[str, dict[str, tuple[str, ...]]] = {
    name: {
        "valid": tuple(f"chr{chrom}" for chrom in valid),
        "test": tuple(f"chr{chrom}" for chrom in test),
    }
    for name, valid, test in (
        ("fold1", (1, 11), (2, 12)),
        ("fold2", (2, 12), (3, 13)),
        ("fold3", (3, 13), (4, 14)),
        ("fold4", (4, 14), (5, 15)),
        ("fold5", (5, 15), (6, 16)),
        ("fold6", (6, 16), (7, 17)),
        ("fold7", (7, 17), (8, 18)),
        ("fold8", (8, 18), (9, 19)),
        ("fold9", (9, 19), (10, 20)),
        ("fold10", (10, 20), (11, 21)),
        ("fold11", (3, 21), (22, "X")),
        ("fold12", (2, 22), (1,)),
    )
}


def assign_splits(
    genes: pd.DataFrame,
    *,
    kind: str,
    folds: Sequence[str],
    custom_folds: Mapping[str, Mapping[str, Sequence[str]]] | None = None,
    values: Mapping[str, str] | None = None,
    source: str = "the gene table",
) -> pd.DataFrame:
    """Split of every gene in every fold.

    Args:
        genes: columns gene_id, chrom and, for ``kind="column"``, the columns named in ``folds``.
        kind: ``chromosome`` (folds of :data:`PAPER_FOLDS` or ``custom_folds``) or ``column``.
        folds: fold ids, e.g. ``["fold11"]``, or names of columns, e.g. ``["split"]``.
        custom_folds: fold id -> ``{"valid": [...], "test": [...]}``, added to the paper's.
        values: value of a column -> train, valid, test or none; without it the values train,
            valid and test mean themselves, and those of :data:`NO_SPLIT` and no value mean none.
        source: file of the genes, for messages.

    Returns:
        Columns gene_id and one per fold with values train, valid, test or none.

    Raises:
        InputError: unknown kind, fold, column or target value; a value that means nothing;
            an empty train, valid or test set.
    """
    if kind not in KINDS:
        raise InputError(f"split kind {kind!r} is not known; known: {', '.join(KINDS)}.")
    if not folds:
        raise InputError("expected at least one fold, found none.")
    result = pd.DataFrame({"gene_id": genes["gene_id"].astype(str)})
    for fold in folds:
        if kind == "chromosome":
            result[fold] = _by_chromosome(genes, fold, PAPER_FOLDS | dict(custom_folds or {}))
        else:
            result[fold] = _by_column(genes, fold, values, source)
        check_not_empty(genes, result[fold], fold, source)
    return result


def _by_chromosome(
    genes: pd.DataFrame, fold: str, known: Mapping[str, Mapping[str, Sequence[str]]]
) -> np.ndarray:
    if fold not in known:
        raise InputError(f"fold {fold!r} does not exist; existing folds: {', '.join(known)}.")
    both = set(known[fold]["valid"]) & set(known[fold]["test"])
    if both:
        raise InputError(f"fold {fold!r} has {', '.join(sorted(both))} in valid and in test.")
    split = np.full(len(genes), "train", dtype=object)
    for name in ("valid", "test"):
        split[genes["chrom"].isin(list(known[fold][name])).to_numpy()] = name
    return split


def _by_column(
    genes: pd.DataFrame, column: str, values: Mapping[str, str] | None, source: str
) -> np.ndarray:
    if column not in genes.columns:
        raise InputError(
            f"{source}: the split column {column!r} can't be found; the table has "
            f"{', '.join(map(str, genes.columns))}."
        )
    mapping = dict(values) if values is not None else _plain_values()
    wrong = sorted({target for target in mapping.values() if target not in (*SPLITS, "none")})
    if wrong:
        raise InputError(
            f"split column {column!r}: its values can be mapped to train, valid, test or none, "
            f"found {wrong[0]!r}."
        )
    text = genes[column].fillna("none").astype(str)
    strange = text[~text.isin(mapping)] if values is None else text.iloc[:0]
    if len(strange):
        counts = ", ".join(f"{v!r} ({n} genes)" for v, n in strange.value_counts().head(6).items())
        where = f" line {genes.loc[strange.index[0], 'line']}" if "line" in genes.columns else ""
        raise InputError(
            f"{source}{where}: the split column {column!r}: expected train, valid, test or, for "
            f"genes in none of them, none, found {counts}; correct these values."
        )
    return text.map(mapping).fillna("none").to_numpy(dtype=object)


def _plain_values() -> dict[str, str]:
    return {name: name for name in SPLITS} | dict.fromkeys(NO_SPLIT, "none")


def check_not_empty(genes: pd.DataFrame, split: pd.Series, fold: str, source: str) -> None:
    """Refuse a fold without genes to train, select or test with.

    Raises:
        InputError: names the empty sets and counts the genes by chromosome.
    """
    empty = [name for name in SPLITS if not (split == name).any()]
    if empty:
        counts = pd.crosstab(genes["chrom"].to_numpy(), split.to_numpy())
        shown = "; ".join(
            f"{chrom}: " + " ".join(f"{name} {n}" for name, n in row.items() if n)
            for chrom, row in counts.head(30).iterrows()
        )
        raise InputError(
            f"{source}: fold {fold!r} leaves no genes for {' and '.join(empty)}; genes by "
            f"chromosome: {shown or 'none'}. Choose another fold or other genes."
        )


def count_overlaps(genes: pd.DataFrame, split: pd.Series | np.ndarray) -> dict[str, int]:
    """Held-out genes whose window overlaps the window of a training gene.

    Args:
        genes: columns chrom, window_start, window_end; all windows have one length.
        split: train, valid, test or none per gene.

    Returns:
        ``{"valid": count, "test": count}``.
    """
    split = np.asarray(split, dtype=object)
    starts = genes["window_start"].to_numpy()
    overlaps = np.zeros(len(genes), dtype=bool)
    length = int((genes["window_end"] - genes["window_start"]).iloc[0]) if len(genes) else 0
    for _, rows in by_chromosome(genes["chrom"]):
        train = np.sort(starts[rows[split[rows] == "train"]])
        if not len(train):
            continue
        at = np.searchsorted(train, starts[rows])
        before = starts[rows] - train[np.maximum(at - 1, 0)]
        after = train[np.minimum(at, len(train) - 1)] - starts[rows]
        overlaps[rows] = (np.abs(before) < length) | (np.abs(after) < length)
    return {name: int((overlaps & (split == name)).sum()) for name in ("valid", "test")}
