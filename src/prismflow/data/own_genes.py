"""A gene table of one's own: from an annotation, a genome and labels.

    python -m prismflow.data.own_genes --gtf FILE --fasta FILE --label CELL=FILE --out genes.tsv

writes the table that ``genes.path`` of a dataset names, and beside it ``genes.summary.tsv`` (what
was kept and what was passed over at every step, with the reason), ``genes.scale.tsv`` (mean and
sd of the lengths' logarithms, by which genes that come later are scaled alike) and
``genes.inputs.tsv`` (rows of ``input_summary.tsv``: of each file, kept and skipped add up to read).
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from prismflow.data import annotation
from prismflow.data.counts import Count, rows_of
from prismflow.data.gene_blocks import CHOICES, SPLIT, split_of_genes
from prismflow.data.genome import Genome
from prismflow.data.quantification import UNITS, mean_of_replicates, mean_of_samples
from prismflow.data.tss_places import moved_to_bed
from prismflow.data.tss_signal import HALF_WINDOW_BP, is_bigwig, signal_at_tss
from prismflow.errors import InputError
from prismflow.files import write_tsv

Z_SCORES = ("training", "all")


@dataclass(frozen=True)
class OwnGenes:
    """The gene table with what was done to make it.

    Attributes:
        genes: one row per gene: gene_id, symbol, chrom, tss, strand, transcript_id, the eight mRNA
            features (lengths as z-scores), ``split`` and ``{cell}_label``, which is empty where a
            label's file lacks the gene.
        summary: step, what, count.
        scale: feature, mean, sd.
        inputs: input, cell, unit, outcome, reason, n of every file that was read.
    """

    genes: pd.DataFrame
    summary: pd.DataFrame
    scale: pd.DataFrame
    inputs: pd.DataFrame

    def write(self, path: str | Path) -> None:
        """Write the table, and the others beside it."""
        path = Path(path)
        write_tsv(self.genes, path)
        write_tsv(self.summary, path.with_suffix(".summary.tsv"))
        write_tsv(self.scale, path.with_suffix(".scale.tsv"))
        write_tsv(self.inputs, path.with_suffix(".inputs.tsv"))


def make_gene_table(
    gtf: str | Path,
    fasta: str | Path,
    labels: Mapping[str, Sequence[str]],
    *,
    tss_rule: str = "canonical",
    tss_bed: str | Path | None = None,
    kinds: Sequence[str] = ("protein_coding",),
    split: str = "auto",
    z_scores: str = "training",
    half_window_bp: int = HALF_WINDOW_BP,
    aliases: Mapping[str, str] | None = None,
    unit: str = "tpm",
) -> OwnGenes:
    """The gene table, its summary and its scale.

    Args:
        gtf: annotation of GENCODE or Ensembl.
        fasta: the genome; its chromosome names are the table's.
        labels: cell -> its quantifications or bigWigs (replicates are averaged); a bigWig of each
            strand as ``plus,minus``.
        tss_rule: one of :data:`prismflow.data.annotation.TSS_RULES`.
        tss_bed: places of transcription starts to which TSS are moved, see
            :func:`prismflow.data.tss_places.moved_to_bed`.
        kinds: biotypes of genes.
        split: one of :data:`prismflow.data.gene_blocks.CHOICES`.
        z_scores: lengths are scaled over genes that ``training``, or over ``all`` as published.
        half_window_bp: of labels from bigWigs.
        aliases: chromosome in the GTF -> in the FASTA.
        unit: of labels from quantifications: ``tpm`` or ``cpm``.

    Raises:
        InputError: see the readers; also genes of which no label's file knows any.
    """
    lines, places = Count("lines"), Count("lines")
    everything = annotation.read_transcripts(gtf, lines)
    transcripts, other_kinds = annotation.of_kinds(everything, kinds)
    chosen, without_tag = annotation.choose(transcripts, tss_rule)
    genes, elsewhere = annotation.gene_rows(chosen, fasta, aliases)
    moved: Mapping[str, int] = {}
    if tss_bed is not None:
        genes, moved = moved_to_bed(genes, tss_bed, aliases, places)
    with Genome(fasta) as genome:
        roles, way = split_of_genes(genes, list(genome.lengths), split)
    genes, scale = annotation.standardise(genes, (roles == "train") | (z_scores == "all"))
    genes[SPLIT] = roles
    shared = int(genes.duplicated(["chrom", "tss"], keep=False).sum())
    steps: list[tuple[str, Mapping[str, int]]] = [
        ("annotation", {"transcripts": len(everything), **other_kinds, "kept": len(transcripts)}),
        ("one transcript per gene", {**without_tag, "kept": len(chosen)}),
        ("genome", {**elsewhere, "kept": len(genes)}),
        ("TSS", {**moved, "share a TSS with another": shared}),
        (f"split by {way}", {str(role): int(n) for role, n in roles.value_counts().items()}),
    ]
    inputs = rows_of(
        [
            lines.plain(),
            _counted("transcripts", len(everything), other_kinds
                     | {"not the one of its gene": len(transcripts) - len(chosen)}, len(chosen)),
            _counted("genes", len(chosen), elsewhere, len(genes)),
        ], input="annotation", cell="",
    )  # fmt: skip
    if tss_bed is not None:
        inputs += rows_of([places.plain()], input="places of TSS", cell="")
    genes_of = {transcript.transcript_id: transcript.gene_id for transcript in everything}
    for cell, paths in labels.items():
        files: dict[str, Count] = {}
        values, counts, agreement = _label(paths, genes, genes_of, half_window_bp, unit, files)
        genes[f"{cell}_label"] = genes["gene_id"].map(values)
        matched = int(genes[f"{cell}_label"].notna().sum())
        if not matched:
            raise InputError(
                f"{', '.join(paths)}: expected genes of {gtf}, such as "
                f"{genes['gene_id'].iloc[0]}, found {values.index[0]}; give the annotation that "
                "the sample was quantified with."
            )
        found = {"genes matched": matched, "genes without a value": len(genes) - matched}
        extra = {"genes of the file that the table lacks": len(values) - matched}
        steps.append(
            (f"label of {cell}", {**counts, **found, **extra, **dict.fromkeys(agreement, 1)})
        )
        lost = counts["genes that not every replicate has"]
        reasons = {
            "that not every replicate has": lost,
            "that the table lacks": len(values) - matched,
        }
        found_genes = _counted("genes", len(values) + lost, reasons, matched)
        inputs += rows_of(
            [*(file.plain() for file in files.values()), found_genes],
            input="quantification", cell=cell,
        )  # fmt: skip
    rows = [(step, what, count) for step, found in steps for what, count in found.items()]
    return OwnGenes(
        genes,
        pd.DataFrame(rows, columns=["step", "what", "count"]),
        pd.DataFrame([(n, *own) for n, own in scale.items()], columns=["feature", "mean", "sd"]),
        pd.DataFrame(inputs, columns=["input", "cell", "unit", "outcome", "reason", "n"]),
    )


def _counted(unit: str, n_read: int, skipped: Mapping[str, int], n_kept: int) -> dict[str, Any]:
    """A count that must add up."""
    count = Count(unit, n_read)
    for reason, number in skipped.items():
        count.skip(reason.removeprefix(f"{unit} "), number)
    return count.plain(n_kept)


def _label(
    paths: Sequence[str],
    genes: pd.DataFrame,
    genes_of: Mapping[str, str],
    half_window_bp: int,
    unit: str,
    files: dict[str, Count],
) -> tuple[pd.Series, Counter[str], list[str]]:
    """Mean over replicates by gene, counts, and how well replicates agree."""
    samples = [path.split(",") for path in paths]
    are_signals = {is_bigwig(file) for parts in samples for file in parts}
    if are_signals == {False}:
        return mean_of_replicates(paths, genes_of, unit, files)
    if len(are_signals) > 1 or len(set(paths)) < len(paths):
        raise InputError(
            f"{' and '.join(paths)}: expected replicates of one kind and each once, found bigWigs "
            "beside tables or a file twice; give labels of one kind per cell."
        )
    found = {
        path: signal_at_tss(parts, genes, half_window_bp, files)
        for path, parts in zip(paths, samples, strict=True)
    }
    return mean_of_samples(found)


def pairs(given: Sequence[str], what: str) -> dict[str, list[str]]:
    """``NAME=VALUE`` arguments, values of one name together.

    Raises:
        InputError: no such pair.
    """
    found: dict[str, list[str]] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not name or not equals or not value:
            raise InputError(f"expected {what}, found {text!r}.")
        found.setdefault(name, []).append(value)
    return found


def main(arguments: list[str] | None = None) -> int:
    """Command line; exit 2 with one sentence if the table can't be made."""
    options = _parser().parse_args(arguments)
    try:
        aliases = {name: values[-1] for name, values in pairs(options.alias, "A=B").items()}
        made = make_gene_table(
            options.gtf, options.fasta, pairs(options.label, "CELL=FILE"), tss_rule=options.tss,
            tss_bed=options.tss_bed, kinds=options.type or ("protein_coding",),
            split=options.split, z_scores=options.z_scores, half_window_bp=options.half_window,
            aliases=aliases, unit=options.unit,
        )  # fmt: skip
        made.write(options.out)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{options.out}: {len(made.genes):,} genes")
    for step, what, count in made.summary.itertuples(index=False):
        print(f"  {step}: {count:,} {what}" if count != 1 else f"  {step}: {what}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m prismflow.data.own_genes",
        description="Make a gene table from an annotation, a genome and labels.",
    )
    parser.add_argument("--gtf", type=Path, required=True, help="GENCODE or Ensembl, plain or gz")
    parser.add_argument("--fasta", type=Path, required=True, help="the same assembly")
    parser.add_argument("--out", type=Path, required=True, metavar="GENES.tsv")
    parser.add_argument(
        "--label", action="append", default=[], metavar="CELL=FILE",
        help="RSEM, Salmon, kallisto, featureCounts, a table gene_id, tpm, or a bigWig of "
        "transcription starts (two as plus,minus); again for replicates",
    )  # fmt: skip
    parser.add_argument("--tss", choices=annotation.TSS_RULES, default="canonical")
    parser.add_argument("--tss-bed", type=Path, help="move TSS to the nearest of these places")
    parser.add_argument("--half-window", type=int, default=HALF_WINDOW_BP, help="of bigWig labels")
    parser.add_argument("--unit", choices=UNITS, default="tpm", help="of quantifications")
    parser.add_argument("--type", action="append", metavar="BIOTYPE", help="protein_coding")
    parser.add_argument("--split", choices=CHOICES, default="auto")
    parser.add_argument("--z-scores", choices=Z_SCORES, default="training")
    parser.add_argument("--alias", action="append", default=[], metavar="GTF_NAME=FASTA_NAME")
    return parser


if __name__ == "__main__":
    sys.exit(main())
