"""Wrong variants and models that can't be explained; as tests/errors/cases.py."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from errors.cases import Case

from prismflow.data.genome import Genome
from prismflow.explain.trained import open_trained
from prismflow.explain.vcf import check_reference, read_alleles
from prismflow.settings.architectures import class_of

VARIANTS, EXPLAINED = "Variants (VCF)", "Explanations"
COLUMNS = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"


def _alleles() -> object:
    """Read and check my.vcf on a genome of one chromosome of 40 bases."""
    Path("genome.fa").write_text(">chr1\n" + "ACGT" * 10 + "\n")
    with Genome("genome.fa") as genome:
        alleles = read_alleles("my.vcf", genome)
        check_reference("my.vcf", alleles, genome)
    return alleles


def _bytes(content: bytes) -> Callable[[], object]:
    def run() -> object:
        Path("my.vcf").write_bytes(content)
        return _alleles()

    return run


def _vcf(*lines: str, contig: str = "chr1", length: int = 0, more: str = "") -> Callable:
    declared = f"##contig=<ID={contig},length={length}>\n" if length else ""
    below = "".join(f"{line}\t.\t.\t.\n" for line in lines)
    return _bytes(f"##fileformat=VCFv4.2\n{more}{declared}{COLUMNS}{below}".encode())


def _explain_a_table_model() -> object:
    settings = {"model": "gbm", "architecture": "gbm", "class": class_of("gbm")}
    record = {"format_version": 1, "settings": settings, "store": {}, "fold": "fold11", "seed": 2}
    Path("model.json").write_text(json.dumps(record))
    return open_trained("store", "splits.tsv", "model.safetensors", "model.json", 65536)


EXPLAIN_CASES: tuple[Case, ...] = (
    Case(VARIANTS, "absent file", _alleles, "no such file"),
    Case(VARIANTS, "empty file", _bytes(b""), "expected a VCF"),
    Case(VARIANTS, "text that is no VCF", _bytes(b"chr1,5,A,C\n"), "expected a VCF"),
    Case(VARIANTS, "no variant below the header", _vcf(), "found none"),
    Case(VARIANTS, "position that is no number", _vcf("chr1\t1\t.\tA\tC", "chr1\tx\t.\tA\tC"),
         "something else behind 1 variants"),
    Case(VARIANTS, "chr1 against 1", _vcf("1\t1\t.\tA\tC"), "chromosome names differ"),
    Case(VARIANTS, "REF of another build, lengths in the header tell which",
         _vcf("chr1\t1\t.\tG\tC", length=249250621), "REF G, but .* has A there .*hg19"),
    Case(VARIANTS, "REF of another build, the header names it",
         _vcf("chr1\t2\t.\tG\tC", more="##reference=hg19.fa\n"), "likely of another assembly"),
    Case(VARIANTS, "variant beyond its chromosome", _vcf("chr1\t41\t.\tA\tC", length=50),
         "lies beyond chr1, which has 40 bases"),
    Case(EXPLAINED, "model that reads no sequence", _explain_a_table_model,
         "expected a network.*found gbm"),
)  # fmt: skip
