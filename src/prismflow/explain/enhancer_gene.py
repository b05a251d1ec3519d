"""Scores of every element-gene pair in one table, and for a genome browser."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from prismflow.errors import InputError
from prismflow.files import read_tsv, write_text, write_tsv

SCORES = ("knockout", "attention")


def export_pairs(
    pairs_path: str | Path,
    runs: Mapping[str, Sequence[str | Path]],
    table_path: str | Path,
    browser_path: str | Path,
) -> None:
    """Write all pairs with their scores, and the same as BEDPE.

    A model's score is the mean over those of its runs in which the gene was held out, else over
    all. BEDPE holds the element, the TSS (one base), the gene, and the share of activity x contact
    (0 to 1000), then every score in a column of its own.

    Args:
        pairs_path: table of :func:`prismflow.data.element_pairs.write_pairs`.
        runs: model -> tables of :func:`prismflow.explain.knockouts.score_pairs` of its runs.
        table_path: TSV (gz) to write: the pairs' columns, then per model ``knockout_``,
            ``attention_`` (where it has any) and ``held_out_``.
        browser_path: BEDPE to write.

    Raises:
        InputError: a run scored other pairs.
    """
    table = read_tsv(pairs_path, dtype={"gene_id": str, "chrom": str})
    for model, paths in runs.items():
        parts = [_scores(path, len(table)) for path in paths]
        for name, values in mean_scores(pd.concat(parts), len(table)).items():
            table[f"{name}_{model}"] = values
    write_tsv(table, table_path)
    write_text(bedpe(table), browser_path)


def _scores(path: str | Path, n_pairs: int) -> pd.DataFrame:
    table = read_tsv(path)
    if len(table) and table["pair"].max() >= n_pairs:
        raise InputError(
            f"{path}: expected scores of {n_pairs} pairs, found pair {table['pair'].max()}; remove "
            "it and run again."
        )
    return table


def mean_scores(scores: pd.DataFrame, n_pairs: int) -> dict[str, np.ndarray]:
    """Means over runs, (n_pairs,) each: over those that held a gene out, where there are any.

    Args:
        scores: pair, held_out, knockout, attention, of all runs of a model.
        n_pairs: length of the table of pairs.

    Returns:
        ``knockout``, ``attention`` (where any is known) and ``held_out``; NaN for pairs without.
    """
    any_held = scores.groupby("pair")["held_out"].transform("any")
    kept = scores[scores["held_out"] | ~any_held]
    means = kept.groupby("pair").mean().reindex(range(n_pairs))
    found = {name: means[name].to_numpy(float) for name in SCORES}
    if np.isnan(found["attention"]).all():
        del found["attention"]
    return found | {"held_out": means["held_out"].to_numpy(float)}


def bedpe(table: pd.DataFrame) -> str:
    """Pairs as BEDPE, sorted by the element's place; without promoters, which touch their gene."""
    scores = [c for c in table.columns if re.match("knockout_|attention_", c)]
    heads = ["#chrom1", "start1", "end1", "chrom2", "start2", "end2", "name", "score", "strand1",
             "strand2", "source", "distance", "activity", "contact", "share", *scores]  # fmt: skip
    kept = table[table["kind"] != "promoter"].sort_values(["chrom", "start", "end", "gene_id"])
    shown = pd.DataFrame(
        {
            "chrom1": kept["chrom"], "start1": kept["start"], "end1": kept["end"],
            "chrom2": kept["chrom"], "start2": kept["tss"], "end2": kept["tss"] + 1,
            "name": kept["gene_id"],
            "score": np.rint(1000 * kept["share"].fillna(0)).astype(int),
            "strand1": ".", "strand2": kept["strand"],
        }
    )  # fmt: skip
    further = ["source", "distance", "activity", "contact", "share", *scores]
    shown = pd.concat([shown, kept[further]], axis=1)
    text = shown.to_csv(
        sep="\t", index=False, header=False, float_format="%.6g", na_rep=".", lineterminator="\n"
    )
    return "\t".join(heads) + "\n" + text
