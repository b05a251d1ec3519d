"""Genes of different splits whose sequence round the TSS is the same, found by content.

Contigs of alternative haplotypes, the pseudo-autosomal regions of X and Y, genes with one TSS and
recent copies have other names or places but the same bases: what a model has trained on is then
tested. Whole windows aren't compared, since their far ends differ where the genes are the same;
the middle 2,000 bp are, on either strand.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Mapping

import numpy as np
import pandas as pd

from prismflow.data.chromosomes import by_chromosome, match_chromosomes
from prismflow.data.genome import UNKNOWN, Genome
from prismflow.errors import InputError

logger = logging.getLogger(__name__)

POLICIES: tuple[str, ...] = ("drop", "keep")
COLUMNS: tuple[str, ...] = (
    "fold", "gene_id", "split", "other_gene", "other_split", "similarity", "action"
)  # fmt: skip
CORE_BP = 2000
K = 16
SIMILAR = 0.5
"""Share of common k-mers (Jaccard) above which two cores are one sequence: 0.5 is about 97 %
identity, or a shift by a third of the core."""
SKETCH = 64
MINIMUM_KMERS = 32
_COMMON = 20


def kmers(codes: np.ndarray) -> np.ndarray:
    """Distinct k-mers uint32 of base codes, each the smaller of itself and its complement.

    Those with an unknown base are left out.
    """
    if len(codes) < K:
        return np.zeros(0, dtype=np.uint32)
    known = codes != UNKNOWN
    bases = np.where(known, codes, 0).astype(np.uint32)
    n = len(codes) - K + 1
    forward = np.zeros(n, dtype=np.uint32)
    reverse = np.zeros(n, dtype=np.uint32)
    for place in range(K):
        own = bases[place : place + n]
        forward |= own << np.uint32(2 * (K - 1 - place))
        reverse |= (3 - own) << np.uint32(2 * place)
    whole = np.convolve(known, np.ones(K, dtype=np.int64), mode="valid") == K
    return np.unique(np.minimum(forward, reverse)[whole])


def _mixed(values: np.ndarray) -> np.ndarray:
    """Scatter k-mers over all numbers, so that the smallest are a fair sample."""
    mixed = values.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    mixed ^= mixed >> np.uint64(29)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    return mixed ^ (mixed >> np.uint64(32))


def similar_genes(
    genes: pd.DataFrame,
    genome: Genome,
    window_bp: int,
    aliases: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """Pairs of genes with the same or nearly the same sequence round the TSS.

    Args:
        genes: N rows with chrom and tss.
        genome: gives the bases.
        window_bp: no more than this is compared.
        aliases: name in a file -> name in the gene table.

    Returns:
        first, second (rows, first < second) and similarity (Jaccard of k-mers, >= 0.5).
    """
    sets = _core_kmers(genes, genome, min(window_bp, CORE_BP), aliases)
    sketches = [np.sort(_mixed(own))[:SKETCH] for own in sets]
    usable = [row for row, own in enumerate(sets) if len(own) >= MINIMUM_KMERS]
    rows = np.repeat(usable, [len(sketches[row]) for row in usable]).astype(np.int64)
    values = np.concatenate([sketches[row] for row in usable] or [np.zeros(0, np.uint64)])
    order = np.lexsort((rows, values))
    rows, values = rows[order], values[order]
    shared: dict[tuple[int, int], int] = {}
    bounds: np.ndarray | list[int] = (
        np.flatnonzero(np.r_[True, values[1:] != values[:-1], True]) if len(values) else []
    )
    for low, high in itertools.pairwise(bounds):
        if high - low > 1:
            # A repeat that many genes have: neighbours in the list are compared, not all pairs.
            reach = high - low if high - low <= _COMMON else 2
            for at in range(low, high):
                for other in range(at + 1, min(at + reach, high)):
                    pair = (int(rows[at]), int(rows[other]))
                    shared[pair] = shared.get(pair, 0) + 1
    found = []
    for (first, second), count in sorted(shared.items()):
        # Well below what the threshold lets expect, so that chance loses none.
        if count >= SKETCH // 8:
            common = len(np.intersect1d(sets[first], sets[second], assume_unique=True))
            similarity = common / (len(sets[first]) + len(sets[second]) - common)
            if similarity >= SIMILAR:
                found.append((first, second, similarity))
    return pd.DataFrame(found, columns=["first", "second", "similarity"])


def _core_kmers(
    genes: pd.DataFrame, genome: Genome, core_bp: int, aliases: Mapping[str, str] | None
) -> list[np.ndarray]:
    counts = genes["chrom"].value_counts(sort=False).to_dict()
    names = match_chromosomes("the gene table", counts, genome.path, genome.lengths, aliases)
    sets: list[np.ndarray] = [np.zeros(0, dtype=np.uint32)] * len(genes)
    tss = genes["tss"].to_numpy()
    for chrom, rows in by_chromosome(genes["chrom"]):
        for row in rows[np.argsort(tss[rows], kind="stable")].tolist():
            start = int(tss[row]) - core_bp // 2
            sets[row] = kmers(genome.codes(names[chrom], start, start + core_bp))
    return sets


def separate(
    genes: pd.DataFrame, assigned: pd.DataFrame, pairs: pd.DataFrame, policy: str
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Splits in which no sequence stands twice, and what was found.

    Of two genes with one sequence the test gene stays before the validation gene before the
    training gene; the other one is in no split of that fold (``policy`` drop), or stays (keep).

    Args:
        genes: gene_id in the order of ``assigned``.
        assigned: from :func:`prismflow.data.splits.assign_splits`.
        pairs: from :func:`similar_genes`.
        policy: one of :data:`POLICIES`.

    Returns:
        The splits, and :data:`COLUMNS`: a row per fold and pair across splits, the gene that
        yields first.

    Raises:
        InputError: unknown policy.
    """
    if policy not in POLICIES:
        raise InputError(
            f"splits.shared_sequence: expected one of {', '.join(POLICIES)}, found {policy!r}."
        )
    result, rank = assigned.copy(), {"train": 0, "valid": 1, "test": 2}
    names = genes["gene_id"].to_numpy()
    rows = []
    for fold in (column for column in assigned.columns if column != "gene_id"):
        split = assigned[fold].to_numpy(dtype=object).copy()
        for first, second, similarity in pairs.itertuples(index=False):
            both = (split_of := assigned[fold].to_numpy())[first], split_of[second]
            if both[0] == both[1] or not set(both) <= rank.keys():
                continue
            low, high = sorted((first, second), key=lambda row: rank[split_of[row]])
            rows.append(
                (fold, names[low], split_of[low], names[high], split_of[high], similarity, policy)
            )
            if policy == "drop":
                split[low] = "none"
        result[fold] = split
        n_genes = len({row[1] for row in rows if row[0] == fold})
        if n_genes:
            logger.warning(
                "%s: %d genes have the sequence of a gene in another split (e.g. %s and %s): %s",
                fold, n_genes, rows[-1][1], rows[-1][3],
                "taken out of the fold (splits.shared_sequence: drop)" if policy == "drop"
                else "kept (splits.shared_sequence: keep)",
            )  # fmt: skip
        else:
            logger.info("%s: no sequence stands in two splits", fold)
    return result, pd.DataFrame(rows, columns=list(COLUMNS))
