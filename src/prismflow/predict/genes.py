"""Genes to predict: from a table or an annotation, with the features that a model reads."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from prismflow.data import annotation
from prismflow.data import genes as gene_tables
from prismflow.data.genome import Genome
from prismflow.data.store_builder import PROMOTER_ACTIVITY
from prismflow.data.windows import starts_with
from prismflow.errors import InputError
from prismflow.files import write_tsv
from prismflow.rows import read_text, split_header

logger = logging.getLogger(__name__)


def is_annotation(path: str | Path) -> bool:
    """Whether a file is a GTF, by its name or its first line that is no comment.

    Raises:
        InputError: there is no such file.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: expected genes (TSV or GTF), found no such file.")
    if {".gtf", ".gff", ".gff3"} & set(path.suffixes):
        return True
    if starts_with(path, b"\x1f\x8b"):
        return False
    with path.open("rb") as file:
        line = next((line for line in file if not line.startswith(b"#")), b"")
    return len(line.split(b"\t")) == 9 and b"gene_id" in line.split(b"\t")[8]


def read_genes(
    path: str | Path,
    fasta: str | Path,
    manifest: Mapping[str, Any],
    folder: Path,
    *,
    cell: str | None = None,
    tss_rule: str = "canonical",
    kinds: tuple[str, ...] = ("protein_coding",),
    aliases: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """Genes with the features of a bundle's model.

    Args:
        path: TSV (gene_id, chrom, tss, strand and the model's gene features) or GTF.
        fasta: the genome.
        manifest: of the bundle.
        folder: for a file on the way.
        cell: whose promoter activity is read from a column; the bundle's by default.
        tss_rule, kinds: of a GTF, see :mod:`prismflow.data.annotation`.
        aliases: name in a file -> name in the FASTA.

    Returns:
        gene_id, chrom, tss, strand, the model's gene features but for a promoter activity that is
        computed from tracks, ``drop_reason`` (empty for genes that can be predicted).

    Raises:
        InputError: see the readers; also a feature that neither file nor annotation gives.
    """
    features = list(manifest["settings"]["gene_features"])
    computed = manifest["promoter_activity"] == "computed"
    wanted = [name for name in features if not (computed and name == PROMOTER_ACTIVITY)]
    if is_annotation(path):
        path = _from_annotation(path, fasta, manifest, wanted, folder, tss_rule, kinds, aliases)
    with Genome(fasta) as genome:
        lengths = {(aliases or {}).get(n, n): length for n, length in genome.lengths.items()}
    columns = _columns(Path(path), wanted, manifest, cell)
    return gene_tables.read_genes(
        path, cells=(), chrom_lengths=lengths, lengths_source=fasta, columns=columns,
        features=wanted, label_transform="raw", missing_feature="drop", chrom_aliases=aliases,
    )  # fmt: skip


def _columns(
    path: Path, wanted: list[str], manifest: Mapping[str, Any], cell: str | None
) -> dict[str, str]:
    """Our name -> the table's, for promoter activity by the training's template.

    Raises:
        InputError: the table lacks a feature of the model.
    """
    header = split_header(read_text(path, "genes (TSV)").split("\n", 1)[0], str(path))
    columns = {}
    if PROMOTER_ACTIVITY in wanted and PROMOTER_ACTIVITY not in header:
        named = str(manifest["promoter_activity"]).format(cell=cell or manifest["cell"])
        columns = {PROMOTER_ACTIVITY: named}
    asked = [*gene_tables.KEY_COLUMNS, *(columns.get(name, name) for name in wanted)]
    absent = [name for name in asked if name not in header]
    if absent:
        raise InputError(
            f"{path}, line 1: expected the columns {', '.join(asked)}, which the model reads, "
            f"found no {', '.join(absent)}; add them."
        )
    return columns


def _from_annotation(
    path: str | Path,
    fasta: str | Path,
    manifest: Mapping[str, Any],
    features: list[str],
    folder: Path,
    tss_rule: str,
    kinds: tuple[str, ...],
    aliases: Mapping[str, str] | None,
) -> Path:
    unknown = [name for name in features if name not in annotation.FEATURES]
    if unknown:
        raise InputError(
            f"{path}: expected a table of genes with {', '.join(unknown)}, which the model reads "
            "and an annotation does not hold; give --genes as a TSV with these columns."
        )
    transcripts, _ = annotation.of_kinds(annotation.read_transcripts(path), kinds)
    chosen, _ = annotation.choose(transcripts, tss_rule)
    genes, elsewhere = annotation.gene_rows(chosen, fasta, aliases)
    for what, count in elsewhere.items():
        logger.info("%s: %d %s", path, count, what)
    lengths = [name for name in annotation.LENGTHS if name in features]
    scale = manifest["scale"]
    if lengths and scale is None:
        raise InputError(
            f"{path}: expected a bundle that says how lengths were scaled over its training genes "
            "(genes.scale.tsv), found none; give --genes as a TSV with the features as trained."
        )
    for name in lengths:
        genes[name] = (genes[name] - scale[name]["mean"]) / scale[name]["sd"]
    target = folder / "annotated.tsv"
    write_tsv(genes, target)
    return target
