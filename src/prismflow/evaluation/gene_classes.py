"""Classes of genes in which errors are looked at apart; every bound is stated here.

No bound depends on a prediction: classes are made of labels, sequence, signals and positions.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from prismflow.data.store import Store
from prismflow.settings.label_transform import pseudocount_of

CORE_BP = 1000
ISLAND_GC = 0.5
ISLAND_RATIO = 0.6
MOST_UNKNOWN = 0.1
SILENT_BELOW = 1.0
QUARTILES = ("lowest quarter", "second quarter", "third quarter", "highest quarter")
READ_GENES = 512
ALL = "all"


def gene_classes(store: Store, rows: np.ndarray) -> pd.DataFrame:
    """Class of genes in every grouping.

    Args:
        store: of one cell.
        rows: (n,) store rows of the genes.

    Returns:
        ``gene_id`` and one text column per grouping: ``all``; ``expression`` (``silent``: the label
        before its transform is below 1, such as TPM; ``expressed``), where the label has a
        logarithm; ``CpG`` (TSS +- 500: ``CpG-rich`` with more than half G or C and more than 0.6 of
        the CpG that these let expect (Gardiner-Garden and Frommer 1987), else ``CpG-poor``;
        ``unknown`` with more than a tenth of the bases unknown); for every signal the quarter of
        its mean over TSS +- 500 among these genes, ``none`` where there is no signal at all;
        ``strand``; ``chromosome``.
    """
    genes = store.genes.iloc[rows]
    width = min(CORE_BP, store.window_bp)
    classes: dict[str, np.ndarray] = {
        "gene_id": genes["gene_id"].astype(str).to_numpy(),
        ALL: np.full(len(rows), ALL, dtype=object),
    }
    pseudocount = pseudocount_of(str(store.manifest["label"]["transform"]))
    if pseudocount is not None:
        silent = store.labels[rows] < np.log10(SILENT_BELOW + pseudocount)
        classes["expression"] = np.where(silent, "silent", "expressed")
    classes["CpG"] = cpg_classes(
        np.concatenate([store.sequence(part, width) for part in _parts(rows)])
    )
    for name in store.modalities:
        means = [
            store.signal(name, part, width).mean(axis=1, dtype=np.float64) for part in _parts(rows)
        ]
        classes[f"signal {name}"] = quarters(np.concatenate(means))
    classes["strand"] = genes["strand"].astype(str).to_numpy()
    classes["chromosome"] = genes["chrom"].astype(str).to_numpy()
    return pd.DataFrame(classes)


def _parts(rows: np.ndarray) -> list[np.ndarray]:
    return [rows[first : first + READ_GENES] for first in range(0, len(rows), READ_GENES)]


def cpg_classes(codes: np.ndarray) -> np.ndarray:
    """(n,) class of windows (n, w) of base codes (A 0, C 1, G 2, T 3, unknown 4)."""
    known = (codes < 4).sum(axis=1)
    c, g = (codes == 1).sum(axis=1), (codes == 2).sum(axis=1)
    cpg = ((codes[:, :-1] == 1) & (codes[:, 1:] == 2)).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.where(c * g > 0, cpg * known / (c * g), 0.0)
        rich = ((c + g) / known > ISLAND_GC) & (ratio > ISLAND_RATIO)
    unknown = known < (1 - MOST_UNKNOWN) * codes.shape[1]
    return np.where(unknown, "unknown", np.where(rich, "CpG-rich", "CpG-poor"))


def quarters(values: np.ndarray) -> np.ndarray:
    """(n,) quarter of each value by rank; values of 0 and below are ``none``, as in no peak."""
    found = np.full(values.shape, "none", dtype=object)
    there = values > 0
    if there.any():
        rank = pd.Series(values[there]).rank(method="first").to_numpy()
        quarter = np.ceil(4 * rank / there.sum()).astype(int) - 1
        found[there] = np.array(QUARTILES, dtype=object)[quarter]
    return found


def order_of(grouping: str, classes: Mapping[str, int]) -> list[str]:
    """Classes of a grouping in the order in which they are shown.

    Args:
        grouping: its name.
        classes: class -> number of genes.
    """
    known = ["silent", "expressed", "CpG-rich", "CpG-poor", "none", *QUARTILES, "unknown"]
    if grouping == "chromosome":
        return sorted(classes, key=lambda name: (len(name), name))
    return [name for name in known if name in classes] + sorted(set(classes) - set(known))
