"""Wrong data files: how to make each kind, what reads it, and the sentence that it must give.

The tests and docs/errors.md are made from this table and from the wrong configurations and sheets
of tests/unit/settings/damaged.py.
"""

from __future__ import annotations

import gzip
import json
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from errors.case import Case
from errors.own_cases import OWN_CASES
from fuzz.mutants import mutant
from fuzz.samples import LENGTHS, RESOLUTION_BP, WRITERS, arrays
from unit.make_store import make_store

from prismflow.arrays import load_arrays
from prismflow.data import constant_inputs
from prismflow.data.chromosomes import Genes
from prismflow.data.contact_guard import inspect_contacts
from prismflow.data.genes import read_genes
from prismflow.data.genome import Genome, read_chrom_sizes
from prismflow.data.splits import assign_splits
from prismflow.data.store import Store
from prismflow.data.tracks import inspect_track
from prismflow.data.windows import check_window, define_windows, read_bed
from prismflow.files import read_json, read_tsv, sha256
from prismflow.portals.archives import extract_member
from prismflow.portals.network import Network
from prismflow.settings import config as configuration
from prismflow.simulate import SimulationSettings


def _constant() -> None:
    """Judge a track that holds nothing on the chromosome of the test genes."""
    chroms = np.repeat(["chr1", "chr2"], [60, 30]).astype(object)
    splits = pd.DataFrame({"gene_id": range(90), "fold1": np.repeat(["train", "test"], [60, 30])})
    lacks = chroms == "chr2"
    found = constant_inputs.shares("K562", {"hic": lacks}, chroms, splits, {"hic": "error"})
    where = {"hic": constant_inputs.varying_on(lacks, chroms)}
    constant_inputs.refuse(found, {"hic": "K562.hic"}, where)


HEADER = "gene_id\tchrom\ttss\tstrand\tcds_gc\tK562_cage"
BROAD = "chr1\t39000\t41000\tp1\t9\t.\t5.5\t3\t2\nchr2\t1\t900\tp2\t9\t.\t5.5\t3\t2\n"
ROWS = ("GENE1\tchr1\t40000\t+\t0.4\t7", "GENE2\tchr1\t150000\t-\t0.5\t0",
        "GENE3\tchr2\t60000\t+\t0.6\t99")  # fmt: skip


def _genes(*rows: str, header: str = HEADER, **options: object) -> Callable[[], object]:
    """Read a gene table of these lines."""

    def run() -> object:
        Path("genes.tsv").write_text("\n".join((header, *rows)) + "\n")
        settings: dict = {
            "cells": ["K562"], "chrom_lengths": LENGTHS, "lengths_source": "genome.fa",
            "features": ["cds_gc"],
        }  # fmt: skip
        return read_genes("genes.tsv", **(settings | options))

    return run


def _changed(old: str, new: str, **options: object) -> Callable[[], object]:
    """Read a gene table with one value replaced."""
    text = "\n".join(ROWS)
    assert old in text
    return _genes(*text.replace(old, new, 1).split("\n"), **options)


def _written(name: str, content: bytes | str, read: Callable[[str], object]) -> Callable:
    """Read a file of these bytes."""

    def run() -> object:
        data = content.encode() if isinstance(content, str) else content
        Path(name).write_bytes(data)
        return read(name)

    return run


def _damaged(
    name: str, change: Callable[[bytes], bytes], read: Callable[[str], object]
) -> Callable[[], object]:
    """Read a changed copy of a whole file."""

    def run() -> object:
        WRITERS[name](Path(f"whole-{name}"))
        Path(name).write_bytes(change(Path(f"whole-{name}").read_bytes()))
        return read(name)

    return run


def _where(chroms: tuple[str, ...] = ("chr1", "chr2"), lengths: dict | None = None) -> Genes:
    tss = np.full(len(chroms), 40_000)
    return Genes(np.array(chroms, dtype=object), tss, lengths or LENGTHS, "genes.tsv", "genome.fa")


def _signal(where: Genes | None = None, **options: object) -> Callable[[str], object]:
    return lambda name: inspect_track(
        name, "signal", where or _where(), modality="dnase", **options
    )


def _peaks(given: str) -> Callable[[str], object]:
    return lambda name: inspect_track(name, "peaks", _where(), modality="peaks", format=given)


def _contacts(
    resolution_bp: int = RESOLUTION_BP,
    normalisation: str = "NONE",
    where: Genes | None = None,
    **limits: Any,
) -> Callable[[str], object]:
    genes = where or _where()
    return lambda name: inspect_contacts(name, genes, resolution_bp, normalisation, **limits)


def _bases(name: str) -> object:
    with Genome(name) as genome:
        return [genome.chromosome(chrom) for chrom in genome.lengths]


def _same(data: bytes) -> bytes:
    return data


def _half(data: bytes) -> bytes:
    return data[: len(data) // 2]


def _flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]


def _first_block(data: bytes) -> bytes:
    """A bigWig with one byte of its first data block changed."""
    (start,) = struct.unpack_from("<Q", data, 16)
    return _flipped(data, start + 8 + 40)


def _infinite(name: str) -> object:
    import pyBigWig

    with pyBigWig.open(name, "w") as out:
        out.addHeader(list(LENGTHS.items()))
        out.addEntries(["chr1"], [40_000], ends=[40_100], values=[float("inf")])
        out.addEntries(["chr2"], [40_000], ends=[40_100], values=[1.0])
    return _signal()(name)


def _split(kind: str, fold: str) -> Callable[[], object]:
    def run() -> object:
        genes = _genes(*ROWS)()
        return assign_splits(genes, kind=kind, folds=[fold], source="genes.tsv")

    return run


def _store(change: Callable[[Path], object], verify: bool = True) -> Callable[[], object]:
    """Open a changed copy of a whole store."""

    def run() -> object:
        path, _ = make_store(Path("dataset"), n_genes=6)
        change(path)
        return Store.open(path, verify_digests=verify)

    return run


def _manifest(**changes: object) -> Callable[[Path], object]:
    def change(path: Path) -> None:
        content = json.loads((path / "store.json").read_text())
        (path / "store.json").write_text(json.dumps(content | changes))

    return change


def _cut_array(path: Path) -> None:
    file = path / "dnase.npy"
    file.write_bytes(_half(file.read_bytes()))


def _change_label(path: Path) -> None:
    file = path / "labels.npy"
    _manifest(digests={file.name: sha256(file)})(path)
    file.write_bytes(_flipped(file.read_bytes(), file.stat().st_size - 3))


def _archive(members: dict[str, str], wanted: str = "genes.tsv") -> Callable[[], object]:
    def run() -> object:
        with zipfile.ZipFile("bundle.zip", "w") as out:
            for name, content in members.items():
                out.writestr(name, content)
        return extract_member("bundle.zip", wanted, "genes.tsv", "references.tsv, line 4")

    return run


def _weights(change: Callable[[bytes], bytes]) -> Callable[[], object]:
    return _damaged("model.safetensors", change, load_arrays)


def _misfit() -> object:
    import torch

    from prismflow.training.inference import load_weights

    WRITERS["model.safetensors"](Path("model.safetensors"))
    shape = arrays()["layer0.weight"].shape
    return load_weights(torch.nn.Linear(*shape), "model.safetensors")


def _checkpoint(change: Callable[[bytes], bytes]) -> Callable[[], object]:
    def read(name: str) -> object:
        from prismflow.released.adopt import read_released

        return read_released(name)

    return _damaged("model.ckpt", change, read)


def _no_window_left() -> object:
    genes = _genes(*ROWS)()
    genes["drop_reason"] = "missing_label:K562_cage"
    return define_windows(genes, LENGTHS, 2000)


def _switch() -> object:
    import os
    from unittest import mock

    with mock.patch.dict(os.environ, {"PRISMFLOW_OFFLINE": "yes"}):
        return Network.from_settings({})


def _sheet(text: str | bytes) -> Callable[[], object]:
    return _written("cells.tsv", text, configuration.read_cells)


GENES, GENOME, SIGNAL, CONTACTS = "Gene table", "Genome (FASTA)", "Signals (bigWig)", "Contacts"
PEAKS, STORE, MODELS = "Peaks and regions (BED)", "Stores", "Trained models and checkpoints"
OTHER = "Archives, tables, settings of jobs"

CASES: tuple[Case, ...] = (
    Case(GENES, "absent file", lambda: read_tsv("genes.tsv"), r"genes\.tsv: .*no such file"),
    Case(GENES, "empty file", _written("genes.tsv", "", read_tsv), r"tab-separated table"),
    Case(GENES, "header without genes", _genes(), "a header and nothing else"),
    Case(GENES, "missing column", _genes(*ROWS, features=["cds_length"]), "'cds_length' can't be"),
    Case(GENES, "spaces in place of tabs", _genes("GENE1 chr1 5", header="gene_id chrom tss"),
         r"line 1: the columns 'gene_id'"),
    Case(GENES, "gene twice", _changed("GENE3", "GENE1"), r"'GENE1' stands in lines 2 and 4"),
    Case(GENES, "gene without a name", _changed("GENE2", ""), r"line 3: gene_id is empty"),
    Case(GENES, "strand other than + and -", _changed("\t-\t", "\t.\t"), r"line 3: .*found '\.'"),
    Case(GENES, "TSS that is no number", _changed("150000", "15O000"), r"line 3: .*'15O000'"),
    Case(GENES, "TSS between two bases", _changed("150000", "150000.5"), "a whole number"),
    Case(GENES, "TSS beyond the chromosome", _changed("60000", "6000000"), "lies outside chr2"),
    Case(GENES, "TSS before the chromosome", _changed("40000", "-40000"), "lies outside chr1"),
    Case(GENES, "unknown chromosome", _changed("chr2", "chr7"), r"no data for chr7 \(1 genes\)"),
    Case(GENES, "chr1 against 1",
         _genes(*(row.replace("chr", "") for row in ROWS)), r"has 1, 2; genome\.fa has chr1, chr2"),
    Case(GENES, "missing label", _changed("\t99", "\tNaN"), r"line 4: the label 'K562_cage'"),
    Case(GENES, "label that is no number", _changed("\t99", "\thigh"), "expected a number"),
    Case(GENES, "infinite label", _changed("\t99", "\tinf"), "expected a number"),
    Case(GENES, "negative label under a logarithm", _changed("\t99", "\t-3"), "needs values >= 0"),
    Case(GENES, "missing gene feature", _changed("0.5", "NA"), "the feature 'cds_gc'"),
    Case(GENES, "fold that leaves a set empty", _split("chromosome", "fold11"), "leaves no genes"),
    Case(GENES, "split column that isn't there", _split("column", "block"), "split column 'block'"),
    Case(GENES, "no gene left", _no_window_left, "no gene is left of 3"),
    Case(GENOME, "absent file", lambda: Genome("genome.fa"), "no such file"),
    Case(GENOME, "empty file", _written("genome.fa", "", Genome), "found an empty file"),
    Case(GENOME, "text that is no FASTA", _written("genome.fa", "chr1\tACGT\n", Genome),
         "text that starts with '>'"),
    Case(GENOME, "gzip in place of bgzip",
         _written("genome.fa.gz", gzip.compress(b">chr1\nACGT\n", mtime=0), Genome), "bgzip"),
    Case(GENOME, "letter that is no base", _written("genome.fa", ">chr1\nACGT\nAC!T\n", _bases),
         r"the character '!' at base 6"),
    Case(GENOME, "lines of uneven length",
         _written("genome.fa", ">chr1\nACGT\nAC\nACGT\n", _bases), "can't be indexed"),
    Case(GENOME, "name of other bytes", _written("genome.fa", b">ch\xa0r1\nACGT\n", Genome),
         "printable ASCII"),
    Case(GENOME, "chromosome lengths that are no numbers",
         _written("chrom.sizes", "chrom\tlength\nchr1\tlong\n", read_chrom_sizes), "line 2"),
    Case(SIGNAL, "absent file", lambda: _signal()("K562.dnase.bw"), "no such file"),
    Case(SIGNAL, "empty file", _written("track.bw", b"", _signal()), "found an empty file"),
    Case(SIGNAL, "text file named .bw", _written("track.bw", "chr1\t0\t9\t3.5\n", _signal()),
         "a file of text"),
    Case(SIGNAL, "gzip file named .bw",
         _written("track.bw", gzip.compress(b"chr1", mtime=0), _signal()), "a file of gzip"),
    Case(SIGNAL, "bedGraph in 4 columns", _written("track.bw", "chr1\t0\t9\t3.5\n", _signal()),
         "bedGraphToBigWig"),
    Case(SIGNAL, "bigBed", _written("track.bw", bytes.fromhex("ebf28987") + bytes(90), _signal()),
         "found a bigBed"),
    Case(SIGNAL, "truncated", _damaged("track.bw", _half, _signal()), "is truncated"),
    Case(SIGNAL, "one changed byte in the data", _damaged("track.bw", _first_block, _signal()),
         "can't be unpacked"),
    Case(SIGNAL, "infinite values", lambda: _infinite("track.bw"), "infinite values in chr1"),
    Case(SIGNAL, "chr1 against 1",
         _damaged("track.bw", _same, _signal(_where(("1", "2"), {"1": 300_300, "2": 90_000}))),
         "chromosome names differ"),
    Case(SIGNAL, "absent chromosome",
         _damaged("track.bw", _same, _signal(_where(("chr1", "chrX"), LENGTHS | {"chrX": 9}))),
         "absent_chromosomes: missing"),
    Case(SIGNAL, "another assembly",
         _damaged("track.bw", _same, _signal(_where(lengths={"chr1": 300_300, "chr2": 90_210}))),
         "different assemblies"),
    Case(SIGNAL, "another file than the sheet's md5",
         _damaged("track.bw", _same, _signal(md5="0123456789abcdef0123456789abcdef")),
         "expected a file with the md5 0123"),
    Case(CONTACTS, "absent file", lambda: _contacts()("K562.hic"), "no such file"),
    Case(CONTACTS, "text file named .hic", _written("K562.hic", "chr1\t5\n", _contacts()),
         "a file of another kind"),
    Case(CONTACTS, "truncated .hic", _damaged("contacts.hic", _half, _contacts()), "truncated"),
    Case(CONTACTS, "truncated .cool", _damaged("contacts.cool", _half, _contacts()), "truncated"),
    Case(CONTACTS, "resolution that isn't there",
         _damaged("contacts.cool", _same, _contacts(10_000)), r"the file has 5000 bp"),
    Case(CONTACTS, "normalisation that isn't there",
         _damaged("contacts.cool", _same, _contacts(normalisation="KR")), "the file has NONE"),
    Case(CONTACTS, "chr1 against 1",
         _damaged("contacts.cool", _same, _contacts(where=_where(("1",), {"1": 300_300}))),
         "chromosome names differ"),
    Case(CONTACTS, "another assembly",
         _damaged("contacts.cool", _same, _contacts(where=_where(lengths={**LENGTHS, "chr1": 7}))),
         "different assemblies"),
    Case(CONTACTS, "damaged index of a .hic",
         _damaged("contacts.hic", lambda data: mutant(data, 16), _contacts()),
         "no contacts with normalisation"),
    Case(CONTACTS, "damage that crashes the reading library",
         _damaged("contacts.hic", lambda data: mutant(data, 895), _contacts()),
         r"crashed the library that reads it"),
    Case(CONTACTS, "reading that does not end",
         _damaged("contacts.hic", _same, _contacts(seconds=0.01)), "did not end within"),
    Case(CONTACTS, "a .cool that the sheet calls .hic",
         _damaged("contacts.cool", _same, _contacts(file_format="hic")), r"content is a \.cool"),
    Case(PEAKS, "broadPeak given as narrowPeak", _written("peaks.bed", BROAD, _peaks("narrowPeak")),
         "the content is a broadPeak"),
    Case(PEAKS, "broadPeak named narrowPeak", _written("x.narrowPeak", BROAD, _peaks("")),
         "its name ends as that of a narrowPeak"),
    Case(PEAKS, "bigBed", _written("peaks.bed", bytes.fromhex("ebf28987") + bytes(90), _peaks("")),
         "bigBedToBed"),
    Case(PEAKS, "start that R has written", _written("peaks.bed", "chr1\t1e+05\t2e5\n", read_bed),
         "scientific = FALSE"),
    Case(PEAKS, "absent file", lambda: read_bed("peaks.bed"), "no such file"),
    Case(PEAKS, "line without an end", _written("peaks.bed", "chr1\t5\t9\nchr1\t7\n", read_bed),
         "peaks.bed line 2: expected chromosome, start and end"),
    Case(PEAKS, "end before the start", _written("peaks.bed", "chr1\t9\t5\n", read_bed), "line 1"),
    Case(PEAKS, "start that is no number", _written("peaks.bed", "chr1\tfive\t9\n", read_bed),
         "line 1"),
    Case(PEAKS, "broken gzip", _written("peaks.bed.gz", b"\x1f\x8b\x08\x00broken", read_bed),
         "expected a whole gzip file"),
    Case(PEAKS, "no peak on a chromosome with genes",
         _written("peaks.bed", "chr1\t5\t9\n", lambda name: inspect_track(name, "peaks", _where())),
         r"no data for chr2 \(1 genes\) of genes\.tsv; it has chr1"),
    Case(STORE, "a split without any input", _constant, "found one value only in all 30 of them"),
    Case(STORE, "absent folder", lambda: Store.open("results/demo/simA/store"), "no such folder"),
    Case(STORE, "absent file", _store(lambda path: (path / "labels.npy").unlink()), "no such file"),
    Case(STORE, "truncated array", _store(_cut_array), "expected a complete array file"),
    Case(STORE, "one changed byte", _store(_change_label), "SHA-256"),
    Case(STORE, "array of another shape", _store(_manifest(n_genes=7)), r"of shape \(7"),
    Case(STORE, "written by another version", _store(_manifest(format_version=99)), "found 99"),
    Case(STORE, "store.json that is no JSON",
         _store(lambda path: (path / "store.json").write_text("{")), "expected JSON"),
    Case(STORE, "odd window", lambda: check_window(2001), "positive even number"),
    Case(MODELS, "absent weights", lambda: load_arrays("model.safetensors"), "no such file"),
    Case(MODELS, "truncated weights", _weights(_half), "expected a safetensors file"),
    Case(MODELS, "one changed byte in a weight",
         _weights(lambda data: _flipped(data, len(data) - 9)), "other weights than the digest"),
    Case(MODELS, "weights of another model", _misfit, "do not fit the model"),
    Case(MODELS, "truncated checkpoint", _checkpoint(_half), "a file that is truncated or of"),
    Case(MODELS, "checkpoint of another program", _checkpoint(_same), r"model\.ckpt"),
    Case(OTHER, "broken zip", _damaged("bundle.zip", _half, lambda name: extract_member(
        name, "data/genes.tsv", "genes.tsv", "references.tsv, line 4")), "a whole archive"),
    Case(OTHER, "archive with a path that climbs out", _archive({"../../genes.tsv": "x"}),
         "which leaves the folder"),
    Case(OTHER, "archive without the file asked for", _archive({"notes.txt": "x"}),
         r"expected one file like 'genes\.tsv'"),
    Case(OTHER, "JSON that is no JSON", _written("model.json", "{'a': 1}", read_json),
         "expected JSON"),
    Case(OTHER, "sheet in another encoding", _sheet("cell\tdescription\nK562\tL\xfcbeck\n".encode(
        "latin-1")), "UTF-8"),
    Case(OTHER, "environment variable", _switch, "PRISMFLOW_OFFLINE"),
    Case(OTHER, "setting of the simulation out of range",
         lambda: SimulationSettings.from_dict({"n_genes": 3}), "n_genes"),
    *OWN_CASES,
)  # fmt: skip
