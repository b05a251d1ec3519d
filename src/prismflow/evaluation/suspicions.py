"""What in labels, strands and tracks looks wrong though every file can be read.

Each check gives sentences with the evidence and the likely cause; none where the data look right.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from prismflow.settings.label_transform import pseudocount_of
from prismflow.statistics.bootstrap import spearman

MINIMUM_GENES = 50
SURE = 4.0
LONE = 100.0
"""A value this many times the next smaller one is no measurement."""
_TOP = 4
LOG_LARGEST = 20.0
LOG_RANGE = 15.0


def rank_difference(values: np.ndarray, first: np.ndarray) -> float:
    """How surely the values of ``first`` genes rank above the others': a z-score; 0 if undefined.

    Args:
        values: (N,).
        first: bool (N,).
    """
    n_first, n_second, n = int(first.sum()), int((~first).sum()), len(values)
    if not n_first or not n_second:
        return 0.0
    ranks = pd.Series(values).rank().to_numpy()
    spread = float(ranks.std())
    if spread == 0:
        return 0.0
    difference = ranks[first].mean() - ranks[~first].mean()
    return float(difference / (spread * np.sqrt(n / (n_first * n_second))))


def strand_flags(level: np.ndarray, label: np.ndarray, strand: np.ndarray) -> list[str]:
    """Sentences on a TSS that is right for one strand only: the other one's lack the signal.

    Args:
        level: signal at the TSS per gene (N,).
        label: (N,).
        strand: ``+`` or ``-`` per gene (N,).
    """
    plus = np.asarray(strand) == "+"
    if min(int(plus.sum()), int((~plus).sum())) < MINIMUM_GENES // 2:
        return []
    z = rank_difference(level, plus) - rank_difference(label, plus)
    quartiles = {"plus": np.quantile(level[plus], 0.75), "minus": np.quantile(level[~plus], 0.75)}
    weak, strong = ("minus", "plus") if z > 0 else ("plus", "minus")
    if abs(z) <= SURE or not quartiles[weak] < 0.5 * quartiles[strong]:
        return []
    rows = {"plus": plus, "minus": ~plus}
    rho = {name: float(spearman(level[own], label[own])) for name, own in rows.items()}
    cause = (
        "is `tss` the start of the gene on both strands, where it should be its end on minus?"
        if weak == "minus"
        else "is `tss` the end of the gene on both strands, where it should be its start on plus?"
    )
    return [
        f"the TSS of {weak} genes have no signal where those of {strong} genes have it (upper "
        f"quartile at TSS +- 500: {quartiles[weak]:.3g} and {quartiles[strong]:.3g}; Spearman "
        f"with the label {rho[weak]:.2f} and {rho[strong]:.2f}): {cause}"
    ]


def lone_flags(values: np.ndarray, names: Sequence[str], what: str) -> list[str]:
    """Sentences on one or a few values far above all others.

    Args:
        values: (N,), in the unit of the file.
        names: genes (N,).
        what: what they are, for the sentence.
    """
    size = np.abs(np.where(np.isfinite(values), values, 0.0))
    if np.count_nonzero(size) < MINIMUM_GENES // 2:
        return []
    order = np.argsort(-size, kind="stable")
    for n_lone in range(1, _TOP):
        low, high = size[order[n_lone]], size[order[n_lone - 1]]
        if low > 0 and high > LONE * low:
            gene = names[int(order[0])]
            return [
                f"{what} of {n_lone} gene{'s' if n_lone > 1 else ''} is more than {LONE:g} times "
                f"that of all others ({values[order[0]]:.4g} for {gene}, the next is {low:.4g}): "
                "is it a typing or unit error, or a code for a missing value? Correct it or leave "
                "it empty."
            ]
    return []


def label_flags(cell: str, label: np.ndarray, names: Sequence[str], transform: str) -> list[str]:
    """Sentences on a cell's labels: logarithms already, or a value that none can have.

    Args:
        cell: its name.
        label: transformed labels (N,).
        names: genes (N,).
        transform: ``log10p1``, ``log10:<pseudocount>`` or ``raw``.
    """
    pseudocount = pseudocount_of(transform)
    raw = label if pseudocount is None else 10.0**label - pseudocount
    flags = lone_flags(raw, names, f"{cell}: the label")
    positive = raw[raw > 1e-9]
    if pseudocount is None or len(positive) < MINIMUM_GENES:
        return flags
    largest, middle = float(positive.max()), float(np.median(positive))
    whole = np.allclose(raw, np.round(raw), atol=1e-6)
    if not whole and largest < LOG_LARGEST and largest < LOG_RANGE * middle:
        flags.append(
            f"{cell}: the labels reach only {largest:.3g} (median of those above 0: {middle:.3g}), "
            "expected a long tail of expressed genes: are they logarithms already? Then set "
            "label.transform: raw."
        )
    return flags


def same_flags(values: Mapping[str, np.ndarray], what: str) -> list[str]:
    """Sentences on pairs of cells that have the same values, or one a multiple of the other.

    Args:
        values: cell -> value per gene (N,).
        what: what they are, for the sentence.
    """
    flags = []
    cells = list(values)
    for number, a in enumerate(cells):
        for b in cells[number + 1 :]:
            first, second = values[a], values[b]
            if len(first) < MINIMUM_GENES or len(np.unique(first)) < MINIMUM_GENES // 2:
                continue
            scale = float(np.abs(second).max() / np.abs(first).max())
            if np.allclose(first * scale, second, rtol=1e-5, atol=1e-6 * float(second.max())):
                how = "the same" if abs(scale - 1) < 1e-5 else f"the same, times {scale:.3g},"
                flags.append(
                    f"{what}: {a} and {b} have {how} at all {len(first):,} genes: is one file "
                    "named for both cells?"
                )
    return flags


def file_flags(files: Mapping[tuple[str, str], Mapping[str, str]]) -> list[str]:
    """Sentences on one file that stands for several tracks, under one path or two.

    Args:
        files: (cell, modality) -> ``md5`` and ``file`` of its track, and how it is ``read``
            (resolution and normalisation of contacts: one file read in two ways is two tracks).
    """
    owners: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for track, file in files.items():
        owners.setdefault((file["md5"], file["read"]), []).append(track)
    return [
        f"{' and '.join(' '.join(track) for track in tracks)} are read from one and the same file "
        f"({files[tracks[0]]['file']}, md5 {digest}): is it named twice by mistake? Contacts "
        "averaged over cells are the one thing that is shared on purpose."
        for (digest, _), tracks in owners.items()
        if len(tracks) > 1
    ]


def twin_flags(
    values: Mapping[str, Mapping[str, np.ndarray]],
    files: Mapping[tuple[str, str], Mapping[str, str]],
) -> list[str]:
    """Sentences on tracks that share a file, and on other cells that have the same values.

    Args:
        values: modality -> cell -> value per gene (N,).
        files: see :func:`file_flags`.
    """
    flags = file_flags(files)
    for modality, by_cell in values.items():
        # Of cells with one file only the first: the file itself is flagged already.
        seen = {
            files.get((cell, modality), {}).get("md5", cell): cell
            for cell in reversed(list(by_cell))
        }
        own = {cell: found for cell, found in by_cell.items() if cell in seen.values()}
        flags += same_flags(own, modality)
    return flags


def peak_flags(at_tss: float, elsewhere: float, n_genes: int) -> list[str]:
    """Sentences on peaks that do not stand at promoters.

    Args:
        at_tss: share of the genes with a peak at TSS +- 500.
        elsewhere: the same for places far from their TSS.
        n_genes: how many genes.
    """
    spread = np.sqrt(max(elsewhere * (1 - elsewhere), 1e-4) / max(n_genes, 1))
    if n_genes < MINIMUM_GENES or (at_tss - elsewhere) > SURE * spread:
        return []
    return [
        f"{at_tss:.0%} of the TSS lie in a peak and {elsewhere:.0%} of places elsewhere on the "
        "same chromosomes, expected clearly more at TSS: are peaks and genes of one assembly?"
    ]
