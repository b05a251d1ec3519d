"""From a bundle, genes, a genome and tracks to a table of predictions."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from prismflow.data.genes import label_name
from prismflow.data.genome import Genome
from prismflow.data.layouts import PerBase, layout_of
from prismflow.data.store import Store
from prismflow.data.store_builder import PROMOTER_ACTIVITY, build_store
from prismflow.data.windows import define_windows
from prismflow.errors import InputError
from prismflow.files import write_tsv
from prismflow.models import class_of
from prismflow.predict import genes as new_genes
from prismflow.predict.bundle import Bundle, opened
from prismflow.predict.members import predict_genes
from prismflow.training.record import extras_of, open_inputs

logger = logging.getLogger(__name__)

TrackFile = str | Path | Mapping[str, str]
CELL = "predicted"
"""Name of the cell in the temporary store; it has no label."""


def write_predictions(
    bundle_path: str | Path,
    genes: str | Path,
    fasta: str | Path,
    tracks: Mapping[str, TrackFile],
    out: str | Path,
    *,
    absent_chromosomes: str = "error",
    both_strands: bool = False,
    device: str = "auto",
    threads: int | None = None,
    aliases: Mapping[str, str] | None = None,
    **of_genes: Any,
) -> pd.DataFrame:
    """Predict genes and write one row per gene.

    Args:
        bundle_path: folder or zip.
        genes: TSV or GTF, see :func:`prismflow.predict.genes.read_genes`.
        fasta: the genome.
        tracks: modality -> file (or its ``path`` and ``absent_chromosomes``), for every track
            that the model reads; others are passed over.
        out: TSV to write: gene_id, chrom, tss, strand, what
            :func:`prismflow.predict.members.predict_genes` gives, and ``note`` (why a gene has no
            prediction).
        absent_chromosomes: ``error`` or ``missing``, of the tracks.
        both_strands, device, threads: see :func:`prismflow.predict.members.predict_genes`.
        aliases: name in a file -> name in the FASTA.
        of_genes: cell, tss_rule and kinds of :func:`prismflow.predict.genes.read_genes`.

    Returns:
        The table.

    Raises:
        InputError: bundle, genes, genome and tracks do not fit together.
    """
    near = Path(out).absolute().parent
    near.mkdir(parents=True, exist_ok=True)
    with (
        opened(bundle_path) as bundle,
        tempfile.TemporaryDirectory(prefix=".prediction.", dir=near) as temporary,
    ):
        chosen = chosen_tracks(bundle, bundle_path, tracks, absent_chromosomes)
        table = new_genes.read_genes(
            genes, fasta, bundle.manifest, Path(temporary), aliases=aliases, **of_genes
        )
        kept = _store(bundle, table, fasta, chosen, Path(temporary), aliases)
        store = Store.open(Path(temporary) / "store")
        inputs = open_inputs(store, bundle.settings, extras_of(class_of(bundle.settings), store))
        found = predict_genes(
            bundle, inputs, np.arange(store.n_genes), both_strands=both_strands,
            device=device, threads=threads,
        )  # fmt: skip
    found.insert(0, "gene_id", kept["gene_id"].to_numpy())
    keys = table[["gene_id", "chrom", "tss", "strand"]]
    result = keys.merge(found, on="gene_id", how="left")
    result["note"] = table["drop_reason"].to_numpy()
    result["outside"] = result["outside"].map({True: "yes", False: "no"})
    write_tsv(result, out)
    flagged = int((result["outside"] == "yes").sum())
    logger.info(
        "%s: %d genes, %d without a prediction, %d with more than %g of their inputs outside the "
        "training range", out, len(result), len(result) - len(found), flagged,
        bundle.manifest["ranges"]["limit"],
    )  # fmt: skip
    return result


def chosen_tracks(
    bundle: Bundle, name: str | Path, tracks: Mapping[str, TrackFile], absent: str
) -> list[dict[str, Any]]:
    """Tracks that the model reads, with the settings that its training's tracks had.

    Raises:
        InputError: the cell lacks one.
    """
    needed = bundle.manifest["modalities"]
    lacking = [modality for modality in needed if modality not in tracks]
    if lacking:
        raise InputError(
            f"{name}: expected tracks of {', '.join(needed)}, which the model reads, found "
            f"{', '.join(tracks) or 'none'}; give {', '.join(lacking)}, or take a model that does "
            "without."
        )
    chosen = []
    for modality, entry in needed.items():
        given = tracks[modality]
        row = given if isinstance(given, Mapping) else {"path": str(given)}
        kept = {key: value for key, value in entry.items() if key != "dtype"}
        chosen.append({"modality": modality, "absent_chromosomes": absent, **row, **kept})
    return chosen


def _store(
    bundle: Bundle,
    table: pd.DataFrame,
    fasta: str | Path,
    tracks: list[dict[str, Any]],
    folder: Path,
    aliases: Mapping[str, str] | None,
) -> pd.DataFrame:
    """Build the store of the genes that can be predicted; returns these."""
    settings, manifest = bundle.settings, bundle.manifest
    # The second padding of the released loader depends on the store's window.
    padded = any(entry.get("double_padding") for entry in manifest["modalities"].values())
    window_bp = manifest["window_bp"] if padded else settings["window_bp"]
    with Genome(fasta) as genome:
        lengths = {(aliases or {}).get(n, n): length for n, length in genome.lengths.items()}
    kept, _ = define_windows(table, lengths, window_bp)
    write_tsv(kept.assign(**{label_name(CELL): np.nan}), folder / "genes.tsv")
    computed = manifest["promoter_activity"] == "computed"
    reads_activity = PROMOTER_ACTIVITY in settings["gene_features"]
    types = {entry["dtype"] for entry in manifest["modalities"].values()
             if type(layout_of(entry)) is PerBase}  # fmt: skip
    build_store(
        folder / "store",
        dataset=manifest["dataset"],
        cell=CELL,
        genes_path=folder / "genes.tsv",
        fasta=fasta,
        tracks=tracks,
        window_bp=window_bp,
        features=[
            name for name in settings["gene_features"]
            if not (computed and name == PROMOTER_ACTIVITY)
        ],
        promoter_activity="computed" if computed and reads_activity else "none",
        label_column=CELL,
        label_transform="raw",
        signal_dtype=next(iter(types), "float32"),
        simulated=manifest["simulated"],
        chrom_aliases=aliases,
    )  # fmt: skip
    return kept
