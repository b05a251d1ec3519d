"""Building the store of one cell from a genome and tracks, one pass per chromosome and track."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from prismflow.data import constant_inputs
from prismflow.data.chromosomes import Genes, by_chromosome
from prismflow.data.counts import Count
from prismflow.data.element_writer import write_elements
from prismflow.data.genes import label_name, promoter_activity_name
from prismflow.data.genome import Genome
from prismflow.data.kinds import absent_policy, kind_of
from prismflow.data.promoters import activity_of_promoters, core_means
from prismflow.data.regional import regional_level
from prismflow.data.store_writer import RowFile, finish_store, new_store
from prismflow.data.windows import check_window
from prismflow.errors import InputError
from prismflow.files import read_json, read_tsv, write_json
from prismflow.settings.elements import ElementSettings
from prismflow.settings.regional import regional_name

logger = logging.getLogger(__name__)

SIGNAL_DTYPES: tuple[str, ...] = ("float32", "float16")
PROMOTER_ACTIVITY = "promoter_activity"


def build_store(
    path: str | Path,
    *,
    dataset: str,
    cell: str,
    genes_path: str | Path,
    fasta: str | Path,
    tracks: Sequence[Mapping[str, Any]],
    window_bp: int,
    features: Sequence[str] = (),
    promoter_activity: str = "none",
    promoter_activity_modalities: tuple[str, str] = ("h3k27ac", "dnase"),
    label_column: str = "{cell}_cage",
    label_transform: str = "log10p1",
    signal_dtype: str = "float32",
    simulated: bool = False,
    chrom_aliases: Mapping[str, str] | None = None,
    elements: Mapping[str, Any] | None = None,
    fasta_index: str | Path | None = None,
    splits: str | Path | None = None,
    report: str | Path | None = None,
    summaries: Sequence[str | Path] = (),
) -> None:
    """Build the store of one cell from a genome and tracks.

    Args:
        path: folder to make (an empty folder or an older store is replaced).
        dataset: name of the dataset.
        cell: name of the cell.
        genes_path: ``genes.tsv`` of the dataset, see :func:`prismflow.data.windows.define_windows`.
        fasta: the genome.
        tracks: one mapping per modality in the wanted order: ``modality``, ``kind``, ``path``;
            for contacts ``resolution_bp`` and ``normalisation``; optional ``missing``,
            ``absent_chromosomes``, ``pseudocount``, ``double_padding``; ``regional_bp`` of a signal
            adds the gene feature ``{modality}_regional``.
        window_bp: window length L, as in ``genes.tsv``.
        features: gene features, columns of ``genes.tsv``.
        promoter_activity: ``none``, ``computed`` from two tracks at TSS +- 500, or anything else
            for the column ``promoter_activity_<cell>`` of ``genes.tsv``; it becomes the last
            gene feature.
        promoter_activity_modalities: the two tracks that ``computed`` needs.
        label_column: column of the gene table that the label came from, with ``{cell}``.
        label_transform: transform that was applied to it.
        signal_dtype: ``float32`` or ``float16``.
        simulated: whether the data are simulated.
        chrom_aliases: name in a file -> name in the gene table.
        elements: settings of candidate enhancers, see
            :class:`prismflow.settings.elements.ElementSettings`; None for a store without them.
        fasta_index: folder of the genome's index, if one is kept.
        splits: ``splits.tsv``; given it, a split without any input is refused, see
            :mod:`prismflow.data.constant_inputs`.
        report: JSON to write: ``shares`` of genes without input, and ``counts`` of what was read.
        summaries: what was found in the tracks, in their order; read where S3norm was fitted.

    Raises:
        InputError: genes, genome and tracks don't fit together; nothing is left behind.
    """
    check_window(window_bp)
    if signal_dtype not in SIGNAL_DTYPES:
        raise InputError(f"signal_dtype: expected float32 or float16, found {signal_dtype!r}.")
    table = _read_gene_rows(Path(genes_path), cell, window_bp)
    with Genome(fasta, fasta_index) as genome, new_store(path) as folder:
        genes = Genes.from_table(
            table,
            _canonical(genome.lengths, chrom_aliases),
            source=str(genes_path),
            lengths_source=str(fasta),
            aliases=dict(chrom_aliases or {}),
        )
        _write_sequence(folder, genome, genes, window_bp)
        entries = {}
        for track in tracks:
            name = track["modality"]
            kind = kind_of(name, track["kind"])
            if name in entries:
                raise InputError(f"{cell}: the modality {name!r} is given twice.")
            file = folder / f"{name}.npy"
            written = kind.write(file, track, genes, window_bp, signal_dtype)
            entries[name] = {"kind": track["kind"], "file": file.name, **written}
            if track.get("s3norm") and summaries:
                found = read_json(summaries[len(entries) - 1])["s3norm"]
                entries[name]["s3norm"] = {key: found[key] for key in ("a", "b")}
        chosen = _gene_features(table, cell, features, genes_path, promoter_activity)
        if promoter_activity == "computed":
            chosen[PROMOTER_ACTIVITY] = _computed_activity(
                cell, tracks, genes, promoter_activity_modalities
            )
        for track in tracks:
            if track.get("regional_bp"):
                inner_bp, outer_bp = track["regional_bp"]
                chosen[regional_name(track["modality"])] = regional_level(
                    track["path"], genes, inner_bp, outer_bp, absent_policy(track)
                )
        manifest = {
            "dataset": dataset,
            "cell": cell,
            "window_bp": int(window_bp),
            "modalities": entries,
            "modality_order": list(entries),
            "label": {"column": label_column.format(cell=cell), "transform": label_transform},
            "promoter_activity": promoter_activity,
            "simulated": bool(simulated),
        }
        peaks = Count("peaks")
        if elements is not None:
            chosen_elements = ElementSettings.parse(elements)
            manifest["elements"] = write_elements(
                folder, genome, genes, tracks, chosen_elements, cell, peaks
            )
        rows = _store_genes(table, cell, genes)
        shares = _shares(folder, cell, entries, tracks, genes, splits)
        finish_store(folder, manifest, rows, chosen)
    if report is not None:
        counts = {"elements": [peaks.plain()]} if elements is not None else {}
        counts |= {name: counts_of(entry, rows, window_bp) for name, entry in entries.items()}
        write_json({"shares": shares.to_dict("records"), "counts": counts}, report)
    logger.info("%s: %d genes, window %d bp, %s", path, len(table), window_bp, list(entries))


def _shares(
    folder: Path,
    cell: str,
    entries: Mapping[str, Mapping[str, Any]],
    tracks: Sequence[Mapping[str, Any]],
    genes: Genes,
    splits: str | Path | None,
) -> pd.DataFrame:
    """Genes without input by split; a split without any is refused."""
    if splits is None:
        return pd.DataFrame(columns=list(constant_inputs.COLUMNS))
    constant = {"sequence": constant_inputs.constant_rows(folder / "sequence.npy")}
    for name, entry in entries.items():
        constant[name] = constant_inputs.constant_rows(folder / entry["file"], "n_bins" in entry)
    # Unknown sequence is there by the word of max_n_fraction: other genes were dropped.
    absent = {"sequence": "missing"}
    absent |= {track["modality"]: absent_policy(track) for track in tracks}
    found = constant_inputs.shares(cell, constant, genes.chroms, read_tsv(splits), absent)
    constant_inputs.refuse(
        found,
        {track["modality"]: str(track["path"]) for track in tracks},
        {name: constant_inputs.varying_on(rows, genes.chroms) for name, rows in constant.items()},
    )
    return found


def counts_of(
    entry: Mapping[str, Any], genes: pd.DataFrame, window_bp: int
) -> list[dict[str, Any]]:
    """What a store keeps of a track: genes, and bases of their windows for a signal.

    Args:
        entry: the modality in ``store.json``.
        genes: the store's genes with ``pad_left`` and ``pad_right``.
        window_bp: window length L.
    """
    rows = Count("genes", len(genes))
    rows.skip("its chromosome is absent", entry.get("n_genes_without_chromosome", 0))
    rows.skip("no contacts at the TSS", entry.get("n_genes_without_coverage", 0))
    if "n_missing_bases" not in entry:
        return [rows.plain()]
    bases = Count("bases of windows", len(genes) * window_bp)
    bases.skip("outside the chromosome", int(genes[["pad_left", "pad_right"]].to_numpy().sum()))
    bases.skip("without a value", entry["n_missing_bases"])
    return [rows.plain(), bases.plain()]


def _canonical(lengths: Mapping[str, int], aliases: Mapping[str, str] | None) -> dict[str, int]:
    return {(aliases or {}).get(name, name): length for name, length in lengths.items()}


def _read_gene_rows(path: Path, cell: str, window_bp: int) -> pd.DataFrame:
    table = read_tsv(path, dtype={"gene_id": str, "chrom": str})
    needed = ["gene_id", "chrom", "tss", "strand", "window_start", "window_end", label_name(cell)]
    absent = [name for name in needed if name not in table.columns]
    if absent:
        raise InputError(
            f"{path}: expected the columns {', '.join(needed)}; absent: {', '.join(absent)}; "
            "define the windows again."
        )
    lengths = (table["window_end"] - table["window_start"]).unique().tolist()
    if lengths != [window_bp]:
        raise InputError(
            f"{path}: expected windows of {window_bp} bp, found {lengths} bp; define the windows "
            "again."
        )
    return table


def _store_genes(table: pd.DataFrame, cell: str, genes: Genes) -> pd.DataFrame:
    length = table["chrom"].map(dict(genes.chrom_lengths))
    return table.assign(
        pad_left=(-table["window_start"]).clip(lower=0),
        pad_right=(table["window_end"] - length).clip(lower=0).astype(np.int64),
        label=table[label_name(cell)],
    )


def _gene_features(
    table: pd.DataFrame, cell: str, features: Sequence[str], path: str | Path, activity: str
) -> pd.DataFrame:
    names = {name: name for name in features}
    if activity not in ("none", "computed"):
        names[PROMOTER_ACTIVITY] = promoter_activity_name(cell)
    absent = [column for column in names.values() if column not in table.columns]
    if absent:
        raise InputError(
            f"{path}: the gene features {', '.join(absent)} can't be found; the table has "
            f"{', '.join(table.columns)}."
        )
    return pd.DataFrame({name: table[column] for name, column in names.items()}, index=table.index)


def _computed_activity(
    cell: str,
    tracks: Sequence[Mapping[str, Any]],
    genes: Genes,
    modalities: tuple[str, str],
) -> np.ndarray:
    by_name = {track["modality"]: track for track in tracks}
    lacking = [name for name in modalities if name not in by_name]
    if lacking:
        raise InputError(
            f"promoter_activity: computed needs {' and '.join(modalities)}; cell {cell!r} has no "
            f"{' and no '.join(lacking)} (it has {', '.join(by_name) or 'no tracks'}). Add the "
            "track, or set promoter_activity: none."
        )
    means = [
        core_means(by_name[name]["path"], genes, by_name[name].get("absent_chromosomes") or "error")
        for name in modalities
    ]
    return activity_of_promoters(*means)


def _write_sequence(folder: Path, genome: Genome, genes: Genes, window_bp: int) -> None:
    names = genes.names_in(genome.path, genome.lengths, "error")
    with RowFile(folder / "sequence.npy", (len(genes.tss), window_bp), "uint8") as file:
        for chrom, rows in by_chromosome(genes.chroms):
            genome.prepare(names[chrom], len(rows) * window_bp)
            for row in rows[np.argsort(genes.tss[rows], kind="stable")].tolist():
                start = int(genes.tss[row]) - window_bp // 2
                window = genome.codes(names[chrom], start, start + window_bp)
                file.write(np.array([row]), window[None])
            logger.info("sequence: %s, %d genes", chrom, len(rows))
