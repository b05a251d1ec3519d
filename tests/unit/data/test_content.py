"""A file is read by its content; what the sheet or its name promise must agree with it."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from samples import LENGTHS, RESOLUTION_BP, write_bigwig, write_contacts

from prismflow.data.chromosomes import Genes
from prismflow.data.content import peak_format
from prismflow.data.elements import candidate_elements
from prismflow.data.tracks import inspect_track
from prismflow.errors import InputError

GENES = Genes(np.array(["chr1", "chr2"], dtype=object), np.array([40_000, 40_000]), LENGTHS)
NARROW = "".join(
    f"{chrom}\t{start}\t{start + 200}\tp{start}\t9\t.\t5.5\t3\t2\t{summit}\n"
    for chrom, start, summit in (("chr1", 39_900, 150), ("chr1", 50_000, 0), ("chr2", 40_000, -1))
)
BROAD = "".join("\t".join(line.split("\t")[:9]) + "\n" for line in NARROW.splitlines())
BED9 = "".join(
    f"{chrom}\t{start}\t{start + 200}\tx\t0\t+\t{start}\t{start + 100}\t0\n"
    for chrom, start in (("chr1", 39_900), ("chr2", 40_000))
)
BED = "chr1\t39900\t40100\nchr2\t40000\t40200\n"
TEXTS = {"narrowpeak": NARROW, "broadpeak": BROAD, "bed": BED}
CONTENTS = [*TEXTS, "bigwig"]
NAMES = ["p.narrowPeak", "p.broadPeak", "p.bed", "p.bw", "p.txt", "p.bed.gz", "p.narrowPeak.gz"]


def write(path: Path, content: str) -> Path:
    """A file of that content, packed or not as its name does NOT say."""
    if content == "bigwig":
        write_bigwig(path)
        return path
    data = TEXTS[content].encode()
    path.write_bytes(data if path.suffix == ".gz" else gzip.compress(data))
    return path


@pytest.mark.parametrize(
    ("text", "found"),
    [(NARROW, "narrowpeak"), (BROAD, "broadpeak"), (BED, "bed"), (BED9, "bed"), ("", "bed"),
     ('track name="x"\n#c\n' + NARROW, "narrowpeak"),
     (NARROW.replace("p50000", 'p"50000'), "narrowpeak")],
)  # fmt: skip
def test_columns_tell_the_formats_of_peaks_apart(tmp_path: Path, text: str, found: str) -> None:
    (tmp_path / "x").write_text(text)
    assert peak_format(tmp_path / "x") == found


def test_a_quote_in_a_name_does_not_move_the_summits(tmp_path: Path) -> None:
    plain, quoted = tmp_path / "a.narrowPeak", tmp_path / "b.narrowPeak"
    plain.write_text(NARROW)
    quoted.write_text(NARROW.replace("p50000", '"p50000'))
    wanted = candidate_elements(plain, GENES)
    assert wanted["start"].tolist() == [39_800, 49_750, 39_850]
    assert candidate_elements(quoted, GENES).equals(wanted)


def test_a_narrowpeak_with_a_wrong_line_is_refused(tmp_path: Path) -> None:
    lines = [line for _ in range(10) for line in NARROW.splitlines()]
    lines[7] = lines[7].rsplit("\t", 1)[0] + "\t999"
    (tmp_path / "x.bed").write_text("\n".join(lines) + "\n")
    with pytest.raises(InputError, match=r"x\.bed line 8: expected a narrowPeak as in the other"):
        peak_format(tmp_path / "x.bed")


@pytest.mark.parametrize("content", CONTENTS)
@pytest.mark.parametrize("given", ["narrowpeak", "broadpeak", "bed", "bigwig"])
def test_peaks_that_contradict_the_sheet_are_refused_with_both_sides(
    tmp_path: Path, content: str, given: str
) -> None:
    path = write(tmp_path / "peaks.any", content)
    if given == content or (given == "bed" and content in TEXTS):
        assert inspect_track(path, "peaks", GENES, format=given)["n_genes"] == 2
        return
    pattern = rf"(?i)the sheet gives the format {given}, the content is a {content}"
    with pytest.raises(InputError, match=pattern) as refused:
        inspect_track(path, "peaks", GENES, format=given)
    assert f"write format {content}" in str(refused.value)


@pytest.mark.parametrize("content", CONTENTS)
@pytest.mark.parametrize("name", NAMES)
def test_a_name_changes_nothing_that_is_read(tmp_path: Path, content: str, name: str) -> None:
    right = write(tmp_path / "right.any", content)
    path = write(tmp_path / name, content)
    wanted = inspect_track(right, "peaks", GENES, format=content)
    found = inspect_track(path, "peaks", GENES, format=content)
    different = ("file", "md5", "bytes")
    assert {k: v for k, v in found.items() if k not in different} == {
        k: v for k, v in wanted.items() if k not in different
    }
    try:
        alone = inspect_track(path, "peaks", GENES)
    except InputError as error:
        assert "its name ends as that of" in str(error) and f"format {content}" in str(error)
        return
    assert alone == found


@pytest.mark.parametrize("content", ["hic", "cool"])
@pytest.mark.parametrize("given", ["hic", "cool", "mcool", ""])
@pytest.mark.parametrize("suffix", ["hic", "cool", "mcool", "dat"])
def test_contacts_that_contradict_the_sheet_are_refused(
    tmp_path: Path, content: str, given: str, suffix: str
) -> None:
    written = tmp_path / f"whole.{content}"
    write_contacts(written)
    path = written.rename(tmp_path / f"contacts.{suffix}")
    settings = {"resolution_bp": RESOLUTION_BP, "normalisation": "NONE", "format": given}
    named = {"dat": ""}.get(suffix, suffix)
    fine = given == content if given else (
        named in ("", content) or {named, content} == {"cool", "mcool"}
    )  # fmt: skip
    if fine:
        assert inspect_track(path, "contacts", GENES, **settings)["n_records"] > 100
        return
    with pytest.raises(InputError, match=rf"the content is a \.{content}; write format {content}"):
        inspect_track(path, "contacts", GENES, **settings)


@pytest.mark.parametrize(
    ("text", "words"),
    [("chr1\t0\t9\t3.5\n", "bedGraphToBigWig"), ("chr1\t0\t9\n", "a file of text"),
     (gzip.compress(b"chr1\t0\t9\t3.5\n", mtime=0), "a file of gzip"),
     (bytes.fromhex("ebf28987") + bytes(90), "found a bigBed")],
    ids=["bedGraph", "text", "gzip", "bigBed"],
)  # fmt: skip
def test_what_is_no_bigwig_is_called_what_it_is(
    tmp_path: Path, text: str | bytes, words: str
) -> None:
    path = tmp_path / "track.bw"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(InputError, match=words):
        inspect_track(path, "signal", GENES)


@pytest.mark.parametrize(
    ("head", "words"),
    [(bytes.fromhex("ebf28987") + bytes(90), "a bigBed; make a BED of it with bigBedToBed"),
     (b"track type=bedGraph name=x\nchr1\t0\t9\t3\n", "a bedGraph"),
     (b"fixedStep chrom=chr1 start=1 step=1\n3\n", "a wiggle"), (b"HIC\0" + bytes(90), r"a \.hic"),
     (b"\x89HDF\r\n\x1a\n" + bytes(90), "a HDF5")],
    ids=["bigBed", "bedGraph", "wiggle", "hic", "HDF5"],
)  # fmt: skip
def test_what_is_no_file_of_peaks_is_called_what_it_is(
    tmp_path: Path, head: bytes, words: str
) -> None:
    (tmp_path / "peaks.bed").write_bytes(head)
    with pytest.raises(InputError, match=words):
        inspect_track(tmp_path / "peaks.bed", "peaks", GENES)
