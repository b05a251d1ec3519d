"""Checks that a biologist would make: do labels, tracks, strands and positions fit together?

Everything is computed from the tracks at ``tss +- 1000`` of the genes that are kept. Profiles are
oriented: position 0 is the first transcribed base on both strands, positive is downstream.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from prismflow.data import constant_inputs
from prismflow.data.chromosomes import Genes
from prismflow.data.genes import label_name
from prismflow.data.genome import read_chrom_sizes
from prismflow.data.kinds import kind_of
from prismflow.errors import InputError
from prismflow.evaluation.suspicions import (
    label_flags,
    lone_flags,
    peak_flags,
    same_flags,
    strand_flags,
    twin_flags,
)
from prismflow.files import read_json, read_tsv, write_json, write_tsv
from prismflow.statistics.bootstrap import spearman

logger = logging.getLogger(__name__)

WINDOW_BP = 2000
CORE_BP = 1000
STEP_BP = 20
N_BARS = 30
EXAMPLE_QUANTILES = (0.98, 0.75, 0.25)
REPRESSIVE = ("h3k27me3", "h3k9me3", "methylation")
#: Modality -> where its asymmetry around the TSS is known to lie: the first nucleosomes downstream
#: carry more H3K27ac, open chromatin lies just upstream.
EXPECTED_SIDE: dict[str, str] = {
    "h3k27ac": "downstream", "h3k4me3": "downstream", "h3k9ac": "downstream",
    "dnase": "upstream", "atac": "upstream", "accessibility": "upstream",
}  # fmt: skip
_FLANK_BP = {"downstream": (100, 600), "upstream": (20, 150)}
LOW_SPEARMAN = 0.1
LOW_ENRICHMENT = 1.5
SURE = 4.0
MINIMUM_GENES = 50


def oriented(values: np.ndarray, strand: np.ndarray) -> np.ndarray:
    """Windows ``[tss - w/2, tss + w/2)`` read in the direction of transcription, (n, w).

    Column w/2 is the first transcribed base on both strands (BED-bounds convention of ``tss``).
    """
    minus = np.asarray(strand) == "-"
    result = values.copy()
    result[minus] = values[minus, ::-1]
    return result


def side_score(values: np.ndarray, low_bp: int, high_bp: int) -> float:
    """How surely oriented windows hold more downstream than upstream: a z-score over genes.

    Compares ``[low, high)`` downstream with its mirror image upstream, per gene relative to their
    sum; 0 where fewer than two genes have signal.
    """
    middle = values.shape[1] // 2
    down = values[:, middle + low_bp : middle + high_bp].mean(axis=1, dtype=np.float64)
    up = values[:, middle - high_bp : middle - low_bp].mean(axis=1, dtype=np.float64)
    total = np.abs(down) + np.abs(up)
    ratio = ((down - up)[total > 0]) / total[total > 0]
    spread = ratio.std(ddof=1) if len(ratio) > 1 else 0.0
    return float(ratio.mean() / (spread / np.sqrt(len(ratio)))) if spread > 0 else 0.0


def track_flags(modality: str, facts: Mapping[str, Any]) -> list[str]:
    """Sentences on what looks wrong with one signal; empty if nothing does.

    Args:
        modality: its name.
        facts: n_genes, spearman, tss_q75, genome_q75, side_plus, side_minus.
    """
    if facts["n_genes"] < MINIMUM_GENES or modality in REPRESSIVE:
        return []
    flags = []
    if not facts["spearman"] >= LOW_SPEARMAN:
        flags.append(
            f"Spearman with the label is {facts['spearman']:.2f} over {facts['n_genes']:,} genes, "
            f"expected at least {LOW_SPEARMAN:g} for a track of active chromatin: is it the track "
            "of another cell, assay or assembly?"
        )
    if not facts["tss_q75"] > LOW_ENRICHMENT * facts["genome_q75"]:
        flags.append(
            f"the signal at TSS +- 500 (upper quartile {facts['tss_q75']:.3g}) is not above that "
            f"of the genome ({facts['genome_q75']:.3g}), expected {LOW_ENRICHMENT:g} times as "
            "much: are track and genes of one assembly?"
        )
    plus, minus = facts["side_plus"], facts["side_minus"]
    if min(abs(plus), abs(minus)) > SURE and plus * minus < 0:
        flags.append(
            "the profiles of plus and minus genes are mirror images of each other, expected the "
            "same shape in the direction of transcription: is the strand column inverted for one "
            "of them, or is the track shifted along the chromosome?"
        )
    expected = EXPECTED_SIDE.get(modality)
    sign = {"downstream": 1, "upstream": -1}.get(expected or "", 0)
    if sign and sign * plus < -SURE and sign * minus < -SURE:
        flags.append(
            f"the signal leans to the wrong side of the TSS, expected more {expected}: are the "
            "strands inverted, or is it the track of another assay?"
        )
    return flags


def swap_flags(
    signals: Mapping[str, np.ndarray], labels: Mapping[str, np.ndarray], modality: str
) -> list[str]:
    """Sentences on pairs of cells whose tracks of a modality fit each other's labels better.

    Where the track of A exceeds that of B (in rank), the label of A should exceed that of B.

    Args:
        signals: cell -> value per gene (N,).
        labels: cell -> label per gene (N,).
        modality: the track's name.
    """
    flags = []
    cells = [cell for cell in signals if len(signals[cell]) >= MINIMUM_GENES]
    for number, a in enumerate(cells):
        for b in cells[number + 1 :]:
            rank = [pd.Series(v).rank().to_numpy() for v in (
                signals[a], signals[b], labels[a], labels[b])]  # fmt: skip
            rho = float(spearman(rank[0] - rank[1], rank[2] - rank[3]))
            if rho < 0 and rho * np.sqrt(len(rank[0])) < -SURE:
                flags.append(
                    f"{modality}: where the track of {a} exceeds that of {b} the label is lower "
                    f"(Spearman of the differences {rho:.2f}): are the two tracks swapped?"
                )
    return flags


def _signal_facts(
    values: np.ndarray, label: np.ndarray, strand: np.ndarray, modality: str
) -> tuple[dict[str, Any], np.ndarray]:
    core = (values.shape[1] - CORE_BP) // 2
    level = values[:, core : core + CORE_BP].mean(axis=1, dtype=np.float64)
    window = oriented(values, strand)
    flank = _FLANK_BP[EXPECTED_SIDE.get(modality, "downstream")]
    sides = {
        f"side_{name}": side_score(window[strand == sign], *flank)
        for name, sign in (("plus", "+"), ("minus", "-"))
    }
    return {"spearman": float(spearman(level, label)), **sides}, level


def _profiles(values: np.ndarray, strand: np.ndarray) -> pd.DataFrame:
    window = oriented(values, strand)
    n_steps = window.shape[1] // STEP_BP
    position = (np.arange(n_steps) + 0.5) * STEP_BP - window.shape[1] / 2
    parts = []
    for name, sign in (("plus", "+"), ("minus", "-")):
        own = window[strand == sign]
        mean = own.mean(axis=0, dtype=np.float64) if len(own) else np.zeros(window.shape[1])
        binned = mean.reshape(n_steps, STEP_BP).mean(axis=1)
        parts.append(pd.DataFrame({"strand": name, "position_bp": position, "value": binned}))
    return pd.concat(parts, ignore_index=True)


def _example_rows(label: np.ndarray) -> list[int]:
    order = np.argsort(label, kind="stable")
    return list(dict.fromkeys(int(order[int(q * (len(order) - 1))]) for q in EXAMPLE_QUANTILES))


def check_data(
    cells: Mapping[str, Sequence[Mapping[str, Any]]],
    summaries: Mapping[str, Mapping[str, str | Path]],
    aliases: Mapping[str, str],
    *,
    genes: str | Path,
    dropped: str | Path,
    sizes: str | Path,
    outputs: Mapping[str, str | Path],
    label_transform: str = "log10p1",
    shared: str | Path | None = None,
    stores: Mapping[str, str | Path] | None = None,
) -> list[str]:
    """Check all tracks of a dataset against its genes and labels.

    Args:
        cells: cell -> tracks (modality, kind, path, resolution_bp, normalisation,
            absent_chromosomes).
        summaries: cell -> modality -> JSON of :func:`prismflow.data.tracks.inspect_track`.
        aliases: chromosome name in a file -> name in the gene table.
        genes, dropped: tables of the dataset.
        sizes: chromosome lengths.
        outputs: ``checks`` (one row per cell and modality), ``profiles`` and ``examples`` as TSV,
            ``summary`` as JSON: flags, genes kept and dropped by reason, label histograms, genes
            by fold whose sequence stands in another split.
        label_transform: ``log10p1``, ``log10:<pseudocount>`` or ``raw``.
        shared: table of genes whose sequence stands in another split.
        stores: cell -> JSON that :func:`prismflow.data.store_builder.build_store` has reported.

    Returns:
        The flags: sentences on what looks wrong.

    Raises:
        InputError: a track can't be read.
    """
    table = read_tsv(genes, dtype={"gene_id": str, "chrom": str})
    positions = Genes.from_table(
        table, read_chrom_sizes(sizes, aliases), source=str(genes), lengths_source=str(sizes),
        aliases=dict(aliases),
    )  # fmt: skip
    strand = table["strand"].to_numpy(dtype=object)
    labels = {cell: table[label_name(cell)].to_numpy(dtype=np.float64) for cell in cells}
    rows: list[dict[str, Any]] = []
    profiles, examples, flags = [], [], []
    levels: dict[str, dict[str, np.ndarray]] = {}
    only_levels: dict[str, dict[str, np.ndarray]] = {}
    files: dict[tuple[str, str], dict[str, str]] = {}
    ids = table["gene_id"].tolist()
    for cell, tracks in cells.items():
        chosen = _example_rows(labels[cell])
        for track in tracks:
            name, kind = track["modality"], track["kind"]
            facts = {"cell": cell, "modality": name, "kind": kind, "n_genes": len(table)}
            summary = read_json(summaries[cell][name])
            own: list[str] = []
            seen = kind_of(name, kind).at_tss(track, positions, WINDOW_BP)
            if (values := seen.values) is not None:
                found, level = _signal_facts(values, labels[cell], strand, name)
                facts |= found | _summary_facts(summary)
                levels.setdefault(name, {})[cell] = level
                own = track_flags(name, facts)
                if name not in REPRESSIVE:
                    own += strand_flags(level, labels[cell], strand)
                own += lone_flags(values.max(axis=1), ids, "the largest value at TSS +- 1000")
                profiles.append(_profiles(values, strand).assign(cell=cell, modality=name))
                examples += _examples(values, table, labels[cell], strand, chosen, cell, name)
            elif seen.level is not None:
                level = seen.level
                facts["spearman"] = float(spearman(level, labels[cell]))
                own = lone_flags(level, ids, seen.level_words)
                only_levels.setdefault(name, {})[cell] = level
            elif seen.shares is not None:
                own = peak_flags(*seen.shares, len(table))
            if summary.get("md5"):
                how = f"{track.get('resolution_bp')} {track.get('normalisation')}"
                files[cell, name] = {"md5": summary["md5"], "file": summary["file"], "read": how}
            rows.append({**facts, "flag": " ".join(own)})
            flags += [f"{cell} {name}: {text}" for text in own]
    for name, by_cell in levels.items():
        flags += swap_flags(by_cell, {cell: labels[cell] for cell in by_cell}, name)
    flags += constant_inputs.flags(
        [pd.DataFrame(read_json(path)["shares"], columns=list(constant_inputs.COLUMNS))
         for path in (stores or {}).values()]
    )  # fmt: skip
    flags += twin_flags(levels | only_levels, files)
    flags += _table_flags(table, labels, ids, label_transform)
    counts, shared_flags = _shared_sequence(shared)
    flags += shared_flags
    for text in flags:
        logger.warning("%s", text)
    _write(outputs, rows, profiles, examples, {
        "flags": flags,
        "genes": {
            "kept": len(table),
            "dropped": read_tsv(dropped, dtype=str)["reason"].value_counts().to_dict(),
        },
        "shared_sequence": counts,
        "labels": {cell: _histogram(values) for cell, values in labels.items()},
    })  # fmt: skip
    return flags


def _table_flags(
    table: pd.DataFrame, labels: Mapping[str, np.ndarray], ids: Sequence[str], transform: str
) -> list[str]:
    flags = []
    for cell, values in labels.items():
        flags += label_flags(cell, values, ids, transform)
    flags += same_flags(labels, "label")
    placed = ("tss", "window_start", "window_end", "n_fraction")
    for column in table.select_dtypes("number").columns:
        if column not in placed and not str(column).startswith("label_"):
            flags += lone_flags(table[column].to_numpy(float), ids, f"the column {column!r}")
    return flags


def _shared_sequence(path: str | Path | None) -> tuple[dict[str, int], list[str]]:
    """Genes per fold whose sequence stands in another split; a flag where they were kept."""
    if path is None:
        return {}, []
    found = read_tsv(path, dtype=str)
    counts = {str(k): int(v) for k, v in found.groupby("fold")["gene_id"].nunique().items()}
    kept = found[found["action"] == "keep"]
    if kept.empty:
        return counts, []
    first = kept.iloc[0]
    return counts, [
        f"{kept['gene_id'].nunique()} genes have the sequence of a gene in another split of their "
        f"fold (e.g. {first['gene_id']}, {first['split']}, and {first['other_gene']}, "
        f"{first['other_split']}): what is tested was trained on; splits.shared_sequence: drop "
        "takes them out."
    ]


def _write(
    outputs: Mapping[str, str | Path],
    rows: list[dict[str, Any]],
    profiles: list[pd.DataFrame],
    examples: list[pd.DataFrame],
    summary: dict[str, Any],
) -> None:
    columns = ["cell", "modality", "strand", "position_bp", "value"]
    lines = pd.concat(profiles, ignore_index=True) if profiles else pd.DataFrame(columns=columns)
    write_tsv(lines[columns], outputs["profiles"])
    columns = ["cell", "modality", "gene_id", "label", "position_bp", "value"]
    lines = pd.concat(examples, ignore_index=True) if examples else pd.DataFrame(columns=columns)
    write_tsv(lines[columns], outputs["examples"])
    write_tsv(pd.DataFrame(rows), outputs["checks"])
    write_json(summary, outputs["summary"])


def _summary_facts(summary: Mapping[str, Any]) -> dict[str, float]:
    if "quantiles" not in summary:
        raise InputError("expected the summary of a signal, found none of its quantiles.")
    quantiles = summary["quantiles"]
    return {
        "missing_share": summary["missing_share"],
        "missing_share_tss": summary["missing_share_tss"],
        "tss_q50": quantiles["tss"]["0.5"],
        "genome_q50": quantiles["genome"]["0.5"],
        "tss_q75": quantiles["tss"]["0.75"],
        "genome_q75": quantiles["genome"]["0.75"],
    }


def _examples(
    values: np.ndarray,
    table: pd.DataFrame,
    label: np.ndarray,
    strand: np.ndarray,
    chosen: Sequence[int],
    cell: str,
    modality: str,
) -> list[pd.DataFrame]:
    window = oriented(values[list(chosen)], strand[list(chosen)])
    n_steps = window.shape[1] // STEP_BP
    binned = window.reshape(len(chosen), n_steps, STEP_BP).mean(axis=2)
    position = (np.arange(n_steps) + 0.5) * STEP_BP - window.shape[1] / 2
    return [
        pd.DataFrame(
            {
                "cell": cell, "modality": modality, "gene_id": table["gene_id"].iloc[row],
                "label": label[row], "position_bp": position, "value": binned[at],
            }
        )
        for at, row in enumerate(chosen)
    ]  # fmt: skip


def _histogram(values: np.ndarray) -> dict[str, list[float]]:
    counts, edges = np.histogram(values[np.isfinite(values)], bins=N_BARS)
    return {"edges": [float(e) for e in edges], "counts": [int(c) for c in counts]}
