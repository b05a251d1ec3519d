"""Candidate elements out of a table of enhancer links."""

from __future__ import annotations

import gzip
from pathlib import Path

import pandas as pd
import pytest

from prismflow.errors import InputError
from prismflow.released import elements
from prismflow.released.elements import convert_elements

HEADER = "chr\tstart\tend\tname\tTargetGene\tABC.Score\n"


def links(path: Path, rows: list[tuple[str, int, int, str]]) -> Path:
    text = HEADER + "".join(f"{c}\t{s}\t{e}\tx|{c}\t{g}\t0.1\n" for c, s, e, g in rows)
    path.write_bytes(gzip.compress(text.encode(), mtime=0))
    return path


def test_every_element_once_and_sorted(tmp_path, monkeypatch):
    monkeypatch.setattr(elements, "_ROWS_AT_A_TIME", 2)  # the same element in two pieces
    rows = [("chr2", 5, 9, "A"), ("chr1", 70, 90, "A"), ("chr1", 5, 9, "B"), ("chr2", 5, 9, "B")]
    table = links(tmp_path / "links.txt.gz", [*rows, ("chr1", 5, 9, "C")])
    convert_elements(table, tmp_path / "elements.bed")
    expected = "chr1\t5\t9\nchr1\t70\t90\nchr2\t5\t9\n"
    assert (tmp_path / "elements.bed").read_text() == expected


def test_real_links_of_chr22(realdata_dir, tmp_path):
    source = realdata_dir / "elements" / "ABC_K562_chr22_predictions_threshold0.027.tsv"
    convert_elements(source, tmp_path / "elements.bed")
    found = pd.read_csv(tmp_path / "elements.bed", sep="\t", header=None)
    truth = pd.read_csv(source, sep="\t")[["chr", "start", "end"]].drop_duplicates()
    assert len(found) == len(truth) > 100
    assert (found[2] > found[1]).all() and set(found[0]) == {"chr22"}


@pytest.mark.parametrize(
    "content, sentence",
    [
        (b"chrom\tbegin\n", "columns chr, start, end"),
        (HEADER.encode(), "found no line"),
        (HEADER.encode() + b"chr1\t9\t5\tx\tA\t0\n", "0 <= start < end"),
        (HEADER.encode() + b"chr1\tfive\t9\tx\tA\t0\n", "download it again"),
        (b"", "download it again"),
    ],
    ids=["other columns", "no link", "end before start", "words", "empty"],
)
def test_other_tables_are_refused(tmp_path, content, sentence):
    table = tmp_path / "links.txt"
    table.write_bytes(content)
    with pytest.raises(InputError, match=sentence):
        convert_elements(table, tmp_path / "elements.bed")
    assert not (tmp_path / "elements.bed").exists()


def test_a_cut_file_is_refused(tmp_path):
    table = links(tmp_path / "links.txt.gz", [("chr1", i, i + 9, "A") for i in range(2000)])
    table.write_bytes(table.read_bytes()[:-300])
    with pytest.raises(InputError, match="download it again"):
        convert_elements(table, tmp_path / "elements.bed")
