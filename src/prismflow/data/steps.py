"""The data stages as the rules call them: a dataset's settings in, result files out."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from prismflow.data import blocks, s3norm, shared_sequence, splits, tracks, windows
from prismflow.data import genes as gene_tables
from prismflow.data.chromosomes import Genes
from prismflow.data.genome import Genome, read_chrom_sizes
from prismflow.errors import InputError
from prismflow.files import read_tsv, write_json, write_tsv
from prismflow.settings.label_transform import label_transform

logger = logging.getLogger(__name__)

_FOR_THE_KIND = ("resolution_bp", "normalisation", "absent_chromosomes", "format")


def promoter_activity_column(settings: Mapping[str, Any]) -> str | None:
    """Column template of the released promoter activity; None if computed or absent."""
    source = settings["genes"]["promoter_activity"]
    return None if source in ("computed", "none") else source


def define_windows(
    settings: Mapping[str, Any],
    *,
    genes: str | Path,
    fasta: str | Path,
    sizes: str | Path,
    outputs: Mapping[str, str | Path],
    index: str | Path | None = None,
) -> None:
    """Place the windows of a dataset and assign its splits.

    Args:
        settings: the dataset's entry in the configuration.
        genes: the gene table.
        fasta: the genome.
        sizes: chromosome lengths written by ``index_genome``.
        index: folder of the genome's index, if one is kept.
        outputs: paths of ``genes``, ``windows``, ``dropped``, ``splits`` and, if wanted,
            ``shared`` (genes whose sequence stands in another split) and ``blocks`` (genes that
            count as one sample).

    Raises:
        InputError: the gene table, blacklist or splits can't be used.
    """
    lengths = read_chrom_sizes(sizes, settings["chrom_aliases"])
    is_by_column = settings["splits"]["by"] == "column"
    folds: Sequence[str] = settings["splits"]["folds"]
    table = gene_tables.read_genes(
        genes,
        cells=settings["cells"],
        chrom_lengths=lengths,
        lengths_source=fasta,
        columns=settings["genes"]["columns"],
        features=settings["genes"]["features"],
        label_column=settings["label"]["column"],
        label_transform=label_transform(settings["label"]),
        missing_label=settings["label"]["missing"],
        missing_feature=settings["genes"].get("missing", "error"),
        promoter_activity_column=promoter_activity_column(settings),
        split_columns=folds if is_by_column else (),
        chrom_aliases=settings["chrom_aliases"],
    )
    limit = settings["max_n_fraction"]
    genome = Genome(fasta, index)
    kept, dropped = windows.define_windows(
        table,
        lengths,
        settings["window_bp"],
        genome=genome,
        min_acgt_fraction=1 - limit if limit < 1 else None,
        blacklist=settings["blacklist"],
        drop_blacklisted=settings["drop_blacklisted"],
        chrom_aliases=settings["chrom_aliases"],
    )
    try:
        assigned = splits.assign_splits(
            kept, kind=settings["splits"]["by"], folds=folds, source=str(genes)
        )
    except InputError as error:
        raise InputError(f"{error}{_why_dropped(dropped)}") from None
    pairs = shared_sequence.similar_genes(
        kept, genome, settings["window_bp"], settings["chrom_aliases"]
    )
    assigned, shared = shared_sequence.separate(
        kept, assigned, pairs, settings["splits"].get("shared_sequence", "drop")
    )
    for fold in folds:
        splits.check_not_empty(kept, assigned[fold], fold, str(genes))
        overlaps = splits.count_overlaps(kept, assigned[fold])
        logger.info("%s: %s", fold, assigned[fold].value_counts().to_dict())
        logger.info("%s: genes whose window overlaps a training window: %s", fold, overlaps)
    windows.write_windows(
        kept,
        dropped,
        lengths,
        genes_path=outputs["genes"],
        dropped_path=outputs["dropped"],
        bed_path=outputs["windows"],
    )
    write_tsv(assigned, outputs["splits"])
    if "shared" in outputs:
        write_tsv(shared, outputs["shared"])
    if "blocks" in outputs:
        alike = zip(pairs["first"], pairs["second"], strict=True)
        own = blocks.blocks_of(kept, settings["splits"].get("block_bp", 2000), alike)
        write_tsv(pd.DataFrame({"gene_id": kept["gene_id"], "block": own}), outputs["blocks"])


def _why_dropped(dropped: pd.DataFrame) -> str:
    """Genes that were dropped before splits were made: a cell may lack all labels of a split."""
    counts = dropped.groupby(["reason", "chrom"]).size().sort_values(ascending=False)
    shown = [f"{n} of {chrom} ({reason})" for (reason, chrom), n in counts.head(6).items()]
    return f" Genes dropped before: {', '.join(shown)}." if shown else ""


def inspect_track(
    track: Mapping[str, Any],
    aliases: Mapping[str, str],
    *,
    genes: str | Path,
    sizes: str | Path,
    summary: str | Path,
    assigned: str | Path | None = None,
) -> None:
    """Check one track against the genes and write its summary as JSON.

    Args:
        track: modality, kind, path, resolution_bp, normalisation, absent_chromosomes, md5 (may be
            empty) and where (the line of the sheet, for messages); with ``s3norm`` (``reference``,
            a path, and ``folds``) A and B are fitted on the training chromosomes.
        aliases: chromosome name in a file -> name in the gene table.
        genes: ``genes.tsv`` of the dataset.
        sizes: chromosome lengths.
        summary: the JSON to write.
        assigned: ``splits.tsv``, which S3norm needs.

    Raises:
        InputError: the track can't be used with these genes; names the line of the sheet.
    """
    table = read_tsv(genes, dtype={"chrom": str})
    positions = Genes.from_table(
        table,
        read_chrom_sizes(sizes, aliases),
        source=str(genes),
        lengths_source=str(sizes),
        aliases=aliases,
    )
    try:
        content = tracks.inspect_track(
            track["path"],
            track["kind"],
            positions,
            modality=track["modality"],
            **{key: track.get(key) for key in _FOR_THE_KIND},
            window_bp=int((table["window_end"] - table["window_start"]).max()),
            md5=track.get("md5", ""),
        )
        if track.get("s3norm") and assigned:
            chosen = track["s3norm"]
            left = s3norm.training_chromosomes(table["chrom"], read_tsv(assigned), chosen["folds"])
            fitted = s3norm.fit_files(track["path"], chosen["reference"], left, aliases)
            content = {**content, "s3norm": fitted}
    except InputError as error:
        raise InputError(f"{track['where']}: {error}") from None
    write_json({**content, "path": track["path"]}, summary)
