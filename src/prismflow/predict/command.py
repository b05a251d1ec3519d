"""The command line of predictions and bundles."""

from __future__ import annotations

import argparse
import contextlib
import logging
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from prismflow.data.annotation import TSS_RULES
from prismflow.errors import InputError
from prismflow.predict.bundle import MANIFEST
from prismflow.predict.export import export_bundle
from prismflow.predict.predictions import write_predictions


def main(arguments: list[str] | None = None) -> int:
    """Predict, or export a bundle; exit 2 with one sentence if that can't be done."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        if options.export:
            export_bundle(options.runs, options.out, options.store, options.splits, options.scale)
            print(options.out)
            return 0
        with _bundle(options) as bundle:
            table = write_predictions(
                bundle, options.genes, options.fasta, pairs(options.track, "--track MODALITY=FILE"),
                options.out, absent_chromosomes=options.absent_chromosomes,
                both_strands=options.both_strands, device=options.device,
                threads=options.threads, aliases=pairs(options.alias, "--alias A=B"),
                cell=options.cell, tss_rule=options.tss,
                kinds=tuple(options.type or ("protein_coding",)),
            )  # fmt: skip
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{options.out}: {len(table):,} genes")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m prismflow.predict",
        description="Predict genes without labels with trained runs or a bundle of them; with "
        "--export, make that bundle.",
    )
    parser.add_argument("--export", action="store_true", help="make a bundle of --runs at --out")
    parser.add_argument("--bundle", type=Path, help="bundle, folder or zip")
    parser.add_argument(
        "--runs", type=Path, nargs="+", metavar="FOLDER",
        help="trained runs, results/DATASET/CELL/MODEL, in the place of a bundle",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--genes", type=Path, help="TSV or GTF")
    parser.add_argument("--fasta", type=Path, help="the genome")
    parser.add_argument("--track", action="append", default=[], metavar="MODALITY=FILE")
    parser.add_argument("--both-strands", action="store_true", help="average over both strands")
    parser.add_argument("--cell", help="cell whose promoter activity the table of genes has")
    parser.add_argument("--tss", choices=TSS_RULES, default="canonical", help="of a GTF")
    parser.add_argument("--type", action="append", metavar="BIOTYPE", help="of a GTF")
    parser.add_argument("--alias", action="append", default=[], metavar="FILE_NAME=FASTA_NAME")
    parser.add_argument("--absent-chromosomes", choices=("error", "missing"), default="error")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--store", type=Path, help="of --runs, where not beside them")
    parser.add_argument("--splits", type=Path, help="of --runs, where not above them")
    parser.add_argument("--scale", type=Path, help="genes.scale.tsv of the runs' gene table")
    return parser


def pairs(given: Sequence[str], what: str) -> dict[str, str]:
    """``NAME=VALUE`` arguments by name.

    Raises:
        InputError: no such pair, or a name twice.
    """
    found: dict[str, str] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not (name and equals and value) or name in found:
            raise InputError(f"expected {what}, each name once, found {text!r}; correct it.")
        found[name] = value
    return found


@contextlib.contextmanager
def _bundle(options: argparse.Namespace) -> Iterator[Path]:
    """The bundle that is named, or one made of the runs that are named."""
    if (
        options.genes is None
        or options.fasta is None
        or (options.bundle is None) == (options.runs is None)
    ):
        raise InputError(
            "expected --genes, --fasta and one of --bundle and --runs, found others; see --help."
        )
    if options.bundle is not None:
        yield options.bundle
        return
    if any((Path(folder) / MANIFEST).is_file() for folder in options.runs):
        raise InputError(f"{options.runs[0]}: found a bundle; give it with --bundle.")
    with tempfile.TemporaryDirectory(prefix="prismflow-runs-") as temporary:
        path = Path(temporary) / "bundle"
        export_bundle(options.runs, path, options.store, options.splits, options.scale)
        yield path
