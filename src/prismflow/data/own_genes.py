"""A gene table of one's own: from an annotation, a genome and quantifications.

    python -m prismflow.data.own_genes --gtf FILE --fasta FILE --label CELL=FILE --out genes.tsv

writes the table that ``genes.path`` of a dataset names, and beside it ``genes.summary.tsv``:
what was kept and what was passed over at every step, with the reason.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from prismflow.data import annotation
from prismflow.data.quantification import mean_of_replicates
from prismflow.errors import InputError
from prismflow.files import write_tsv

HELD_OUT = ("chr3", "chr21", "chr22", "chrX")
"""Chromosomes that fold 11 doesn't train on."""


def make_gene_table(
    gtf: str | Path,
    fasta: str | Path,
    labels: Mapping[str, Sequence[str | Path]],
    *,
    tss_rule: str = "canonical",
    kinds: Sequence[str] = ("protein_coding",),
    held_out: Sequence[str] = HELD_OUT,
    aliases: Mapping[str, str] | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The gene table and its summary.

    Args:
        gtf: annotation of GENCODE or Ensembl.
        fasta: the genome; its chromosome names are the table's.
        labels: cell -> its quantifications (replicates are averaged).
        tss_rule: one of :data:`prismflow.data.annotation.TSS_RULES`.
        kinds: biotypes of genes.
        held_out: chromosomes whose genes do not count for z-scores of lengths.
        aliases: chromosome in the GTF -> in the FASTA.

    Returns:
        One row per gene: gene_id, symbol, chrom, tss, strand, transcript_id, the eight mRNA
        features (lengths as z-scores), ``{cell}_tpm``, empty where a quantification lacks the gene;
        and the summary: step, what, count.

    Raises:
        InputError: see the readers; also genes of which no quantification knows any.
    """
    everything = annotation.read_transcripts(gtf)
    transcripts, other_kinds = annotation.of_kinds(everything, kinds)
    chosen, without_tag = annotation.choose(transcripts, tss_rule)
    genes, elsewhere = annotation.gene_rows(chosen, fasta, aliases)
    genes = annotation.standardise(genes, ~genes["chrom"].isin(held_out))
    steps: list[tuple[str, Mapping[str, int]]] = [
        ("annotation", {"transcripts": len(everything), **other_kinds, "kept": len(transcripts)}),
        ("one transcript per gene", {**without_tag, "kept": len(chosen)}),
        ("genome", {**elsewhere, "kept": len(genes), "share a TSS with another": _shared(genes)}),
    ]
    genes_of = {transcript.transcript_id: transcript.gene_id for transcript in everything}
    for cell, paths in labels.items():
        tpm, counts, agreement = mean_of_replicates(paths, genes_of)
        genes[f"{cell}_tpm"] = genes["gene_id"].map(tpm)
        matched = int(genes[f"{cell}_tpm"].notna().sum())
        if not matched:
            raise InputError(
                f"{', '.join(map(str, paths))}: expected genes of {gtf}, such as "
                f"{genes['gene_id'].iloc[0]}, found {tpm.index[0]}; give the annotation that the "
                "sample was quantified with."
            )
        found = {"genes matched": matched, "genes without a value": len(genes) - matched}
        extra = {"genes of the file that the table lacks": len(tpm) - matched}
        steps.append(
            (f"label of {cell}", {**counts, **found, **extra, **dict.fromkeys(agreement, 1)})
        )
    rows = [(step, what, count) for step, found in steps for what, count in found.items()]
    return genes, pd.DataFrame(rows, columns=["step", "what", "count"])


def _shared(genes: pd.DataFrame) -> int:
    return int(genes.duplicated(["chrom", "tss"], keep=False).sum())


def _pairs(given: Sequence[str], what: str) -> dict[str, list[str]]:
    """``NAME=VALUE`` arguments, values of one name together."""
    found: dict[str, list[str]] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not name or not equals or not value:
            raise InputError(f"expected {what}, found {text!r}.")
        found.setdefault(name, []).append(value)
    return found


def main(arguments: list[str] | None = None) -> int:
    """Command line; exit 2 with one sentence if the table can't be made."""
    parser = argparse.ArgumentParser(
        prog="python -m prismflow.data.own_genes",
        description="Make a gene table from an annotation, a genome and quantifications.",
    )
    parser.add_argument("--gtf", type=Path, required=True, help="GENCODE or Ensembl, plain or gz")
    parser.add_argument("--fasta", type=Path, required=True, help="the same assembly")
    parser.add_argument("--out", type=Path, required=True, metavar="GENES.tsv")
    parser.add_argument(
        "--label", action="append", default=[], metavar="CELL=FILE",
        help="RSEM, Salmon, kallisto, featureCounts or a table gene_id, tpm; again for replicates",
    )  # fmt: skip
    parser.add_argument("--tss", choices=annotation.TSS_RULES, default="canonical")
    parser.add_argument("--type", action="append", metavar="BIOTYPE", help="protein_coding")
    parser.add_argument("--held-out", nargs="*", default=list(HELD_OUT), metavar="CHROM")
    parser.add_argument("--alias", action="append", default=[], metavar="GTF_NAME=FASTA_NAME")
    options = parser.parse_args(arguments)
    try:
        aliases = {name: values[-1] for name, values in _pairs(options.alias, "A=B").items()}
        genes, summary = make_gene_table(
            options.gtf, options.fasta, _pairs(options.label, "CELL=FILE"), tss_rule=options.tss,
            kinds=options.type or ("protein_coding",), held_out=options.held_out, aliases=aliases,
        )  # fmt: skip
        write_tsv(genes, options.out)
        write_tsv(summary, options.out.with_suffix(".summary.tsv"))
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{options.out}: {len(genes):,} genes")
    for step, what, count in summary.itertuples(index=False):
        print(f"  {step}: {count:,} {what}" if count != 1 else f"  {step}: {what}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
