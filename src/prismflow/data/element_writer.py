"""The elements of a store: promoters and candidates with sequence, contact and activity."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from prismflow.data.chromosomes import Genes, by_chromosome
from prismflow.data.counts import Count
from prismflow.data.elements import (
    candidate_elements,
    element_activity,
    nearest_elements,
    pair_contacts,
)
from prismflow.data.genome import Genome
from prismflow.data.store import ELEMENT_FILES as FILES
from prismflow.data.store_writer import RowFile
from prismflow.errors import InputError
from prismflow.files import write_array, write_tsv
from prismflow.settings.elements import KINDS_READ, ElementSettings

logger = logging.getLogger(__name__)

FEATURES = ("distance_kb", "log10p1_contact", "activity")


def _track(
    tracks: Mapping[str, Mapping[str, Any]], name: str, kind: str, cell: str
) -> Mapping[str, Any]:
    if name not in tracks or tracks[name]["kind"] != kind:
        there = ", ".join(f"{n} ({t['kind']})" for n, t in tracks.items()) or "no tracks"
        raise InputError(
            f"elements: expected a track {name!r} of kind {kind} for cell {cell!r}, which has "
            f"{there}; add it to the sheet of tracks or change `elements`."
        )
    return tracks[name]


def write_elements(
    folder: Path,
    genome: Genome,
    genes: Genes,
    tracks: Sequence[Mapping[str, Any]],
    settings: ElementSettings,
    cell: str,
    count: Count | None = None,
) -> dict[str, Any]:
    """Write the elements of a store; returns their entry of ``store.json``.

    Rows 0 to N - 1 of the elements are the promoters (``tss +- sequence_bp / 2``) in gene order,
    then the candidates. Files: ``element_sequence.npy`` uint8 (E, sequence_bp) base codes,
    ``element_index.npy`` int32 (N, 1 + n) rows of elements, promoter first, -1 for none,
    ``element_features.npy`` float32 (N, 1 + n, 3) distance in kb, log10(1 + contact), activity
    (0 where there is none), ``elements.tsv`` chrom start end activity kind. Peaks are counted in
    ``count``, if it is given.

    Raises:
        InputError: the cell lacks a track that the settings name, or one can't be read.
    """
    by_name = {track["modality"]: track for track in tracks}
    peaks = _track(by_name, settings.peaks, KINDS_READ["peaks"], cell)
    activity_kind = KINDS_READ["activity"]
    signals = [_track(by_name, name, activity_kind, cell) for name in settings.activity]
    contacts = by_name.get(settings.contacts) if settings.contacts else None
    candidates = candidate_elements(
        peaks["path"], genes, width_bp=settings.width_bp, blacklist=settings.blacklist,
        absent_chromosomes=peaks.get("absent_chromosomes") or "error", count=count,
    )  # fmt: skip
    n_genes = len(genes.tss)
    half = settings.promoter_bp // 2 or settings.width_bp // 2
    length = np.array([genes.chrom_lengths[chrom] for chrom in genes.chroms])
    promoters = pd.DataFrame(
        {
            "chrom": genes.chroms,
            "start": np.clip(genes.tss - half, 0, length - 1),
            "end": np.clip(genes.tss + half, 1, length),
        }
    )
    table = pd.concat([promoters, candidates], ignore_index=True)
    table["activity"] = element_activity(table, signals, genes)
    table["kind"] = np.where(np.arange(len(table)) < n_genes, "promoter", "candidate")
    pairs = nearest_elements(
        genes, candidates, n_nearest=settings.n_nearest,
        max_distance_bp=settings.max_distance_bp, promoter_bp=settings.promoter_bp,
    )  # fmt: skip
    pairs["element"] += n_genes
    own = pd.DataFrame({"gene": np.arange(n_genes), "element": np.arange(n_genes), "distance": 0})
    pairs = pd.concat([own, pairs]).sort_values("gene", kind="stable", ignore_index=True)
    centre = np.concatenate(
        [genes.tss, ((candidates["start"] + candidates["end"]) // 2).to_numpy(dtype=np.int64)]
    )
    contact, n_power_law = pair_contacts(pairs, centre, genes, contacts)
    gene = pairs["gene"].to_numpy()
    slot = np.arange(len(pairs)) - np.searchsorted(gene, gene)
    index = np.full((n_genes, 1 + settings.n_nearest), -1, dtype=np.int32)
    features = np.zeros((*index.shape, len(FEATURES)), dtype=np.float32)
    index[gene, slot] = pairs["element"]
    features[gene, slot, 0] = pairs["distance"] / 1000
    features[gene, slot, 1] = np.log10(1 + contact)
    features[gene, slot, 2] = table["activity"].to_numpy()[pairs["element"]]
    write_array(index, folder / FILES["index"])
    write_array(features, folder / FILES["features"])
    write_tsv(table, folder / FILES["table"])
    _write_sequences(folder / FILES["sequence"], genome, genes, table["chrom"].to_numpy(), centre,
                     settings.sequence_bp)  # fmt: skip
    number = (index >= 0).sum(axis=1) - 1
    logger.info(
        "elements: %d candidates, median %d per gene, %d genes without, %d of %d contacts by the "
        "power law", len(candidates), int(np.median(number)), int((number == 0).sum()),
        n_power_law, len(pairs),
    )  # fmt: skip
    described = {f.name: getattr(settings, f.name) for f in fields(settings)}
    return {
        **{key: list(value) if isinstance(value, tuple) else value
           for key, value in described.items() if key != "blacklist"},
        "features": list(FEATURES),
        "n_elements": len(table),
        "n_pairs_by_power_law": n_power_law,
        "n_genes_without_candidates": int((number == 0).sum()),
    }  # fmt: skip


def _write_sequences(
    path: Path,
    genome: Genome,
    genes: Genes,
    chroms: np.ndarray,
    centre: np.ndarray,
    sequence_bp: int,
) -> None:
    names = genes.names_in(genome.path, genome.lengths, "error")
    with RowFile(path, (len(centre), sequence_bp), "uint8") as file:
        for chrom, rows in by_chromosome(chroms):
            genome.prepare(names[chrom], len(rows) * sequence_bp)
            for row in rows[np.argsort(centre[rows], kind="stable")].tolist():
                start = int(centre[row]) - sequence_bp // 2
                window = genome.codes(names[chrom], start, start + sequence_bp)
                file.write(np.array([row]), window[None])
