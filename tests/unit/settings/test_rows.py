"""Tables as biologists' programs write them: no row is swallowed, no position rounded."""

from __future__ import annotations

import gzip
from pathlib import Path

import pandas as pd
import pytest

from prismflow.data.gene_table import read_tss
from prismflow.data.genes import read_genes
from prismflow.data.quantification import read_quantification
from prismflow.data.windows import read_bed
from prismflow.errors import InputError
from prismflow.files import read_published_table, read_tsv, read_user_table
from prismflow.rows import read_text
from prismflow.settings.tracks import read_cells

HEADER = "gene_id\tchrom\ttss\tstrand\tnote\tA_tpm"
ROWS = ("g1\tchr1\t100\t+\tplain\t1", "g2\tchr1\t200\t-\tplain\t2", "g3\tchr1\t300\t+\tplain\t3")


def written(folder: Path, *lines: str, name: str = "genes.tsv", end: str = "\n") -> Path:
    path = folder / name
    path.write_text(end.join(lines) + end, newline="")
    return path


def genes(path: Path) -> pd.DataFrame:
    return read_genes(
        path, cells=["A"], chrom_lengths={"chr1": 10_000}, lengths_source="genome.fa",
        label_column="{cell}_tpm", label_transform="raw",
    )  # fmt: skip


def test_quotes_in_free_text_swallow_no_row(tmp_path: Path) -> None:
    rows = [row.replace("plain", '"5-prime variant') for row in ROWS]
    table = genes(written(tmp_path, HEADER, *rows))
    assert table["gene_id"].tolist() == ["g1", "g2", "g3"]
    assert table["label_A"].tolist() == [1, 2, 3]


def test_quoted_fields_are_read_without_their_quotes(tmp_path: Path) -> None:
    header = "\t".join(f'"{name}"' for name in HEADER.split("\t"))
    rows = [row.replace("chr1", '"chr1"').replace("plain", '"a ""b""\tc"') for row in ROWS]
    table = read_user_table(written(tmp_path, header, *rows))
    assert table["note"].tolist() == ['a "b"\tc'] * 3
    assert table["chrom"].tolist() == ["chr1"] * 3


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_and_trailing_tabs_change_nothing(tmp_path: Path, end: str) -> None:
    plain = genes(written(tmp_path, HEADER, *ROWS))
    other = [f"{line}\t\t" for line in (HEADER, *ROWS)]
    assert genes(written(tmp_path, *other, name="other.tsv", end=end)).equals(plain)
    only_rows = [HEADER, *(f"{row}\t" for row in ROWS)]
    assert genes(written(tmp_path, *only_rows, name="rows.tsv", end=end)).equals(plain)


def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path: Path) -> None:
    assert len(genes(written(tmp_path, "\ufeff" + HEADER, *ROWS))) == 3


@pytest.mark.parametrize("name", ["genes.tsv", "genes.tsv.gz", "genes.txt"])
def test_compression_is_seen_in_the_content_not_in_the_name(tmp_path: Path, name: str) -> None:
    text = "\n".join((HEADER, *ROWS)) + "\n"
    plain = written(tmp_path, HEADER, *ROWS, name=name)
    assert len(genes(plain)) == 3
    plain.write_bytes(gzip.compress(text.encode()))
    assert len(genes(plain)) == 3


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (
            gzip.compress(b"a\tb\n" * 999, mtime=0)[:-9],
            "whole gzip file, found one that is damaged",
        ),
        (b"\x1f\x8bnothing", "whole gzip file"),
        (b"PK\x03\x04workbook", "an Excel workbook"),
        ("gene_id\tchrom\n".encode("utf-16"), "UTF-16"),
        ("gene_id\nL\u00fcbeck\n".encode("latin-1"), "line 2: .*UTF-8"),
        (b"gene_id\nA\n\0\0\0", "line 3: .*zero bytes"),
    ],
)
def test_what_is_no_text_is_one_sentence(tmp_path: Path, data: bytes, words: str) -> None:
    path = tmp_path / "table.tsv.gz"
    path.write_bytes(data)
    for read in (read_text, read_user_table, read_cells, read_bed, read_tss):
        with pytest.raises(InputError, match=words):
            read(path)
    with pytest.raises(InputError, match=words):
        read_published_table(path, ",")


def test_a_damaged_table_of_our_own_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "splits.tsv.gz"
    path.write_bytes(b"gene_id\n")
    with pytest.raises(InputError, match="tab-separated table"):
        read_tsv(path)


def test_a_doubled_name_is_refused_with_its_line(tmp_path: Path) -> None:
    twice = [f"{line}\t{value}" for line, value in zip((HEADER, *ROWS), ("A_tpm", 7, 8, 9),
                                                      strict=True)]  # fmt: skip
    with pytest.raises(InputError, match=r"genes.tsv line 1: .*column 'A_tpm' 2 times"):
        genes(written(tmp_path, *twice))
    sheet = written(tmp_path, "cell\tbiosample\tbiosample", "K562\ta\tb", name="cells.tsv")
    with pytest.raises(InputError, match=r"cells.tsv, line 1: .*'biosample' 2 times"):
        read_cells(sheet)
    with pytest.raises(InputError, match=r"line 1: .*'TSS' 2 times"):
        read_published_table(written(tmp_path, "TSS,x,TSS", "1,2,3", name="a.csv"), ",")


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("g4\tchr1\t400\t+\tplain", "line 5: expected 6 fields .*found 5; check for spaces"),
        ("1\tg4\tchr1\t400\t+\tplain\t4", "line 5: .*found 7; .*row.names"),
        ('g4\tchr1\t400\t+\t"two', "line 5: .*found 5; a quote is opened and not closed"),
    ],
)
def test_a_line_of_another_width_is_refused(tmp_path: Path, row: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        genes(written(tmp_path, HEADER, *ROWS, row))


@pytest.mark.parametrize("tss", ["1.12E+03", "1E+03", "1.12e3", "1,12E+03"])
def test_positions_that_a_spreadsheet_rounded_are_refused(tmp_path: Path, tss: str) -> None:
    row = f"g4\tchr1\t{tss}\t+\tplain\t4"
    with pytest.raises(InputError, match=r"genes.tsv line 5: .*lost its last digits"):
        genes(written(tmp_path, HEADER, *ROWS, row))
    bed = written(tmp_path, "chr1\t5\t9", f"chr1\t{tss}\t2000", name="peaks.bed")
    with pytest.raises(InputError, match=r"peaks.bed line 2: expected .*whole numbers"):
        read_bed(bed)
    tss_bed = written(tmp_path, f"chr1\t{tss}\t3000\tg1\t0\t+", name="tss.bed")
    with pytest.raises(InputError, match=r"tss.bed, row 1: expected whole numbers"):
        read_tss(tss_bed)


def test_positions_written_as_floats_are_whole(tmp_path: Path) -> None:
    assert genes(written(tmp_path, HEADER, "g4\tchr1\t400.0\t+\t\t4"))["tss"].tolist() == [400]


@pytest.mark.parametrize("name", ["1-Mar", "Sep-02", "2.31E+13"])
def test_names_that_a_spreadsheet_changed_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"line 2: .*a spreadsheet has made of one"):
        genes(written(tmp_path, HEADER, f"{name}\tchr1\t400\t+\t\t4"))


def test_quotes_swallow_no_region_of_a_bed(tmp_path: Path) -> None:
    rows = [f'chr1\t{at}\t{at + 5}\t"peak' for at in (10, 20, 30)]
    assert len(read_bed(written(tmp_path, *rows, name="peaks.bed"))) == 3


def test_a_published_table_with_fewer_rows_than_lines_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "gene_id,note", 'g1,"a', 'g2,b"', "g3,c", name="table.csv")
    with pytest.raises(InputError, match="3 lines below the header, found 2 rows"):
        read_published_table(path, ",")


def test_quotes_of_a_sheet_stay_in_their_line(tmp_path: Path) -> None:
    sheet = written(tmp_path, "cell\tdescription", 'K562\t5" dish', 'HepG2\t"a', name="cells.tsv")
    assert list(read_cells(sheet)) == ["K562", "HepG2"]


@pytest.mark.parametrize("name", ["quant.sf", "quant.sf.gz"])
def test_every_line_of_a_quantification_is_a_row(tmp_path: Path, name: str) -> None:
    lines = ["# Program: x", "gene_id\tnote\ttpm", 'A\t5" end\t1', "B\ta # b\t2", "C\t\t3"]
    found, counts = read_quantification(written(tmp_path, *lines, name=name), {})
    assert found.to_dict() == {"A": 1, "B": 2, "C": 3}
    assert sum(counts.values()) == 3


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["gene_id\ttpm\ttpm", "A\t1\t2"], "line 1: .*column 'tpm' 2 times"),
        (["gene_id\ttpm", "1\tA\t3"], "line 2: expected 2 fields .*row.names"),
        (["#x", "gene_id\ttpm", "A\t1", "B"], "line 4: expected 2 fields"),
        (["#x", "gene_id\ttpm", "A\t1", "B\thigh"], "line 4: expected a number"),
    ],
)
def test_a_quantification_that_is_not_what_it_seems_is_refused_with_the_line(
    tmp_path: Path, lines: list[str], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        read_quantification(written(tmp_path, *lines, name="quant.tsv"), {})


@pytest.mark.parametrize("written_so", ["1e+05", "1E5", "1,2E+05", "1.0e+05"])
def test_a_position_with_an_exponent_says_how_to_write_it(tmp_path: Path, written_so: str) -> None:
    row = f"g4\tchr1\t{written_so}\t+\tplain\t4"
    advice = r"in R as integers or with format\(x, scientific = FALSE\)"
    with pytest.raises(InputError, match=advice):
        genes(written(tmp_path, HEADER, *ROWS, row))
    for column in ("start", "end"):
        pair = (written_so, "900000") if column == "start" else ("5", written_so)
        line = "\t".join(("chr1", *pair, "g1", "0", "+"))
        for read in (read_bed, read_tss):
            with pytest.raises(InputError, match=advice):
                read(written(tmp_path, line, name="x.bed"))
