"""How well scores of element-gene pairs find the pairs that CRISPR interference found regulated.

Scores that need no training are floors: a model that looks at enhancers has to beat them. They are
judged on all pairs, and on those whose gene lies in a test split of the dataset (``tested``, pooled
over its folds), the only ones on which a trained model may be judged.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from prismflow.data.chromosomes import Genes
from prismflow.data.contacts import power_law_contact
from prismflow.data.elements import element_activity
from prismflow.data.genome import read_chrom_sizes
from prismflow.data.perturbations import read_pairs, rows_of_genes
from prismflow.files import read_tsv, write_tsv
from prismflow.statistics.ranking import ranking_intervals

logger = logging.getLogger(__name__)

SUMMARY_COLUMNS = (
    "benchmark", "pairs", "distance_group", "score", "measure", "value", "sd", "low", "high",
    "n_pairs", "n_regulated", "n_genes",
)  # fmt: skip
REACH_COLUMNS = ("benchmark", "window_bp", "n_regulated", "n_reached", "share")
GROUPS = {
    "all distances": (0, np.inf),
    "below 10 kb": (0, 10_000),
    "10-50 kb": (10_000, 50_000),
    "50-100 kb": (50_000, 100_000),
    "above 100 kb": (100_000, np.inf),
}
WINDOWS_BP = (2_000, 10_000, 50_000, 200_000)
_EXPONENT = 0.87
KINDS_OF_SCORE = {"knockout": "knock-out", "attention": "attention"}


def scores_of_table(pairs: pd.DataFrame) -> pd.DataFrame:
    """Floors from the table's own columns, (P, scores); without its signals only the distance.

    ``activity`` is the geometric mean of H3K27ac (element +- 150 bp) and DNase, both in reads per
    million; the power law is that of :func:`prismflow.data.contacts.power_law_contact`.
    """
    distance = pairs["distance"].to_numpy(np.float64)
    table = {"1/distance": 1 / distance}
    dnase, h3k27ac = pairs["dnase_rpm"].to_numpy(), pairs["h3k27ac_rpm"].to_numpy()
    if not np.isnan(dnase).any():
        table["DNase/distance"] = dnase / distance
    if not np.isnan(dnase).any() and not np.isnan(h3k27ac).any():
        activity = np.sqrt(dnase * h3k27ac)
        law = np.vectorize(power_law_contact, otypes=[np.float64])(distance)
        table["activity/distance"] = activity / distance
        table["activity x power law"] = activity * law
    return pd.DataFrame(table)


def scores_of_tracks(
    pairs: pd.DataFrame,
    tracks: Sequence[Mapping[str, Any]],
    lengths: Mapping[str, int],
    aliases: Mapping[str, str],
    sources: tuple[str, str] = ("the pairs", "the genome"),
) -> pd.DataFrame:
    """Floors from the cell's own tracks: geometric mean over the element, by distance.

    The distance is that of the element's centre to the pair's TSS; the second score falls with its
    power of 0.87, without the power law's shortest distance.

    Raises:
        InputError: a track that doesn't fit the pairs.
    """
    if not tracks:
        return pd.DataFrame(index=pairs.index)
    where = Genes.from_table(
        pairs, lengths, source=sources[0], lengths_source=sources[1], aliases=aliases
    )
    activity = element_activity(pairs[["chrom", "start", "end"]], tracks, where)
    centre = (pairs["start"] + pairs["end"]) // 2
    distance = np.maximum(np.abs(centre - pairs["tss"]), 1).to_numpy(np.float64)
    return pd.DataFrame(
        {
            "tracks: activity/distance": activity / distance,
            "tracks: activity x distance^-0.87": activity * distance**-_EXPONENT,
        }
    )


def scores_of_models(
    pairs: pd.DataFrame,
    found: np.ndarray,
    known: pd.DataFrame,
    name: str,
    scored: pd.DataFrame | None,
) -> pd.DataFrame:
    """Knock-outs and attention of every model, and the share of activity x contact, (P, scores).

    NaN where a model was trained on the gene's chromosome, or the table lacks the gene.

    Args:
        pairs: of :func:`prismflow.data.perturbations.read_pairs`.
        found: row of each pair's gene in ``known``, -1 for none.
        known: ``genes.tsv``.
        name: of the benchmark.
        scored: table of :func:`prismflow.explain.enhancer_gene.export_pairs`, or None.
    """
    if scored is None:
        return pd.DataFrame(index=pairs.index)
    names = np.where(found >= 0, known["gene_id"].astype(str).to_numpy()[found], "")
    places = ["chrom", "start", "end", "gene_id"]
    own = scored[scored["source"] == name].drop_duplicates(places)
    joined = pairs[places[:3]].assign(gene_id=names).merge(own, on=places, how="left")
    table = {"tracks: share of activity x contact": joined["share"].to_numpy(float)}
    for column in joined.columns:
        kind, _, model = column.partition("_")
        if kind in KINDS_OF_SCORE and f"held_out_{model}" in joined:
            fair = (joined[f"held_out_{model}"] == 1).to_numpy()
            values = np.where(fair, joined[column].to_numpy(float), np.nan)
            if np.isfinite(values).any():
                table[f"{KINDS_OF_SCORE[kind]}: {model}"] = values
    return pd.DataFrame(table, index=pairs.index)


def summarise(
    pairs: pd.DataFrame, scores: pd.DataFrame, tested: np.ndarray, n_resamples: int = 1000
) -> pd.DataFrame:
    """Measures of every score by group of distance, on all pairs and on those ``tested``.

    Args:
        pairs: regulated, gene_id, distance.
        scores: a column per score, larger means rather regulated.
        tested: bool (P,), pairs whose gene no model was trained on.
        n_resamples: bootstrap replicates, genes drawn with their pairs.

    Returns:
        Columns of :data:`SUMMARY_COLUMNS` but ``benchmark``; a group without regulated or without
        other pairs has no row, nor has a score in ``all`` that some of the pairs lack. In
        ``tested`` such a score is judged on its own pairs.
    """
    rows = []
    distance = pairs["distance"].to_numpy()
    for name, chosen in (("all", np.ones(len(pairs), dtype=bool)), ("tested", tested)):
        for group, (low, high) in GROUPS.items():
            own = np.flatnonzero(chosen & (distance >= low) & (distance < high))
            regulated = pairs["regulated"].to_numpy()[own]
            if not regulated.any() or regulated.all():
                continue
            genes = pairs["gene_id"].to_numpy()[own]
            for score in scores:
                values = scores[score].to_numpy()[own]
                there = np.isfinite(values)
                # Where a model knows some of the pairs only, it isn't compared on all of them.
                if name == "all" and not there.all():
                    continue
                if not regulated[there].any() or regulated[there].all():
                    continue
                found = ranking_intervals(
                    regulated[there], values[there], genes[there], n_resamples=n_resamples
                )
                rows += [
                    (name, group, score, measure, value.mean, value.sd, value.low, value.high,
                     int(there.sum()), int(regulated[there].sum()), value.n)
                    for measure, value in found.items()
                ]  # fmt: skip
    return pd.DataFrame(rows, columns=list(SUMMARY_COLUMNS[1:]))


def reach(pairs: pd.DataFrame, windows_bp: Sequence[int] = WINDOWS_BP) -> pd.DataFrame:
    """How many regulated pairs lie within half a window of the TSS (the distance of the table)."""
    distance = pairs["distance"].to_numpy()[pairs["regulated"].to_numpy()]
    rows = []
    for window in windows_bp:
        reached = int((distance <= window // 2).sum())
        rows.append((window, len(distance), reached, reached / len(distance)))
    return pd.DataFrame(rows, columns=list(REACH_COLUMNS[1:]))


def benchmark_crispri(
    settings: Mapping[str, Any],
    genes: str,
    splits: str,
    sizes: str,
    outputs: Mapping[str, str],
    scores: str | None = None,
) -> None:
    """Score and judge every benchmark of a cell; tables without rows if it has none.

    Args:
        settings: ``benchmarks`` (name, path, cell_type, absent_genes), ``tracks`` of the activity,
            ``folds`` in use, ``aliases``.
        genes: ``genes.tsv`` of the dataset.
        splits: ``splits.tsv`` of the dataset.
        sizes: chromosome lengths.
        outputs: ``pairs`` (TSV, gz), ``summary`` and ``reach`` (TSV).
        scores: table of :func:`prismflow.explain.enhancer_gene.export_pairs`; None where no model
            scores pairs.

    Raises:
        InputError: pairs that don't fit the genes or the build.
    """
    lengths = read_chrom_sizes(sizes, settings["aliases"])
    known = read_tsv(genes, dtype={"gene_id": str, "chrom": str})
    parts = read_tsv(splits, dtype={"gene_id": str}).set_index("gene_id")
    held = (parts[settings["folds"]] == "test").any(axis=1)
    scored = None if scores is None else read_tsv(scores, dtype={"gene_id": str, "chrom": str})
    tables: dict[str, list[pd.DataFrame]] = {name: [] for name in outputs}
    for entry in settings["benchmarks"]:
        pairs = read_pairs(entry["path"], settings["aliases"], entry["cell_type"])
        found = rows_of_genes(
            pairs, known, lengths, source=entry["path"], genes_source=genes,
            absent_genes=entry["absent_genes"],
        )  # fmt: skip
        own = known["gene_id"].to_numpy()[found]
        tested = (found >= 0) & held.reindex(own, fill_value=False).to_numpy(bool)
        logger.info("%s: %d pairs, %d without a gene of the table, %d tested", entry["path"],
                    len(pairs), int((found < 0).sum()), int(tested.sum()))  # fmt: skip
        tracks = scores_of_tracks(pairs, settings["tracks"], lengths, settings["aliases"],
                                  (entry["path"], sizes))  # fmt: skip
        of_models = scores_of_models(pairs, found, known, entry["name"], scored)
        table = pd.concat([scores_of_table(pairs), tracks, of_models], axis=1)
        described = pairs.assign(in_table=found >= 0, tested=tested).drop(columns="line")
        tables["pairs"].append(pd.concat([described, table], axis=1))
        tables["summary"].append(summarise(pairs, table, tested))
        tables["reach"].append(reach(pairs))
        for parts_of in tables.values():
            parts_of[-1].insert(0, "benchmark", entry["name"])
    empty = {"pairs": ("benchmark",), "summary": SUMMARY_COLUMNS, "reach": REACH_COLUMNS}
    for name, found_tables in tables.items():
        joined = (
            pd.concat(found_tables) if found_tables else pd.DataFrame(columns=list(empty[name]))
        )
        write_tsv(joined, Path(outputs[name]))
