"""Reference genome: base codes, accidents with FASTA files, chromosome names."""

from __future__ import annotations

import gzip
import os
import stat
from pathlib import Path

import numpy as np
import pysam
import pytest

from prismflow.data import genome as module
from prismflow.data.chromosomes import by_chromosome, check_lengths, match_chromosomes
from prismflow.data.fasta_index import belongs
from prismflow.data.genome import Genome, index_genome, read_chrom_sizes, unknown_runs
from prismflow.errors import InputError

TEXT = ">chr1 first\nACGTN\nacgtn\nRyA\n>chr2\nTTTT\n"


@pytest.fixture
def fasta(tmp_path: Path) -> Path:
    path = tmp_path / "in" / "genome.fa"
    path.parent.mkdir()
    path.write_text(TEXT)
    return path


def test_index_is_kept_where_it_is_asked_for(tmp_path: Path) -> None:
    fasta = tmp_path / "g.fa"
    fasta.write_text(">chr1\nACGT\n")
    assert index_genome(fasta, tmp_path / "sizes", tmp_path / "index") == {"chr1": 4}
    kept = tmp_path / "index" / "g.fa.fai"
    before = kept.stat().st_mtime_ns
    with Genome(fasta, tmp_path / "index") as genome:
        assert genome.codes("chr1", 1, 3).tolist() == [1, 2]
    assert kept.stat().st_mtime_ns == before
    assert not (tmp_path / "g.fa.fai").exists()


def test_codes_case_iupac_and_padding(fasta: Path) -> None:
    with Genome(fasta) as genome:
        assert genome.lengths == {"chr1": 13, "chr2": 4}
        expected = [0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 4, 4, 0]
        assert genome.codes("chr1", 0, 13).tolist() == expected
        assert genome.codes("chr1", -2, 15).tolist() == [4, 4, *expected, 4, 4]
        assert genome.codes("chr2", 4, 6).tolist() == [4, 4]
        assert genome.codes("chr2", 5, 5).tolist() == []
        assert genome.chromosome("chr1").tolist() == expected
        assert genome.codes("chr1", 3, 7).tolist() == expected[3:7]
        assert genome.ambiguous == {"chr1": 2}
        assert genome.codes("chr1", 0, 1).dtype == np.uint8


def test_blocks_join(fasta: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BLOCK_BP", 3)
    with Genome(fasta) as genome:
        assert genome.chromosome("chr1").tolist() == [0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 4, 4, 0]
        assert genome.ambiguous == {"chr1": 2}


def test_folder_of_the_fasta_is_not_written(fasta: Path, tmp_path: Path) -> None:
    fasta.parent.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        with Genome(fasta) as genome:
            assert genome.lengths["chr2"] == 4
        with Genome(fasta, index_dir=tmp_path / "index"):
            assert (tmp_path / "index" / "genome.fa.fai").is_file()
        assert [p.name for p in fasta.parent.iterdir()] == ["genome.fa"]
    finally:
        fasta.parent.chmod(stat.S_IRWXU)


def test_current_index_beside_is_used_and_a_stale_one_is_not(fasta: Path, tmp_path: Path) -> None:
    index = Path(f"{fasta}.fai")
    pysam.faidx(str(fasta))
    assert list(Genome(fasta, tmp_path / "a").lengths) == ["chr1", "chr2"]
    assert not (tmp_path / "a").exists()
    os.utime(index, (1, 1))
    assert list(Genome(fasta, tmp_path / "b").lengths) == ["chr1", "chr2"]
    assert (tmp_path / "b" / "genome.fa.fai").is_file()


def test_a_file_that_changes_under_its_index_is_refused(fasta: Path) -> None:
    fasta.write_text(f">chr1\n{'ACGT' * 200_000}\n")
    with Genome(fasta) as genome:
        os.truncate(fasta, 100_000)
        with pytest.raises(InputError, match="the index belongs to another file"):
            genome.chromosome("chr1")


def test_bgzip(tmp_path: Path) -> None:
    path = tmp_path / "genome.fa.gz"
    with pysam.BGZFile(str(path), "wb") as out:
        out.write(TEXT.encode())
    with Genome(path) as genome:
        assert genome.codes("chr1", 0, 4).tolist() == [0, 1, 2, 3]
        assert genome.lengths == {"chr1": 13, "chr2": 4}
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(InputError, match="truncated"):
        Genome(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "found an empty file"),
        (b"\n\n", "found an empty file"),
        (b"chrom\tstart\n", r"starts with '>', found b'chrom"),
        (gzip.compress(TEXT.encode(), mtime=0), "found ordinary gzip; repack it"),
        (b">a\nACGT\nA\nACGT\n", "can't be indexed"),
    ],
)
def test_files_that_are_no_fasta(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "x.fa"
    path.write_bytes(content)
    with pytest.raises(InputError, match=words) as caught:
        Genome(path)
    assert str(path) in str(caught.value)


def test_absent_file_chromosome_and_wrong_letter(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        Genome(tmp_path / "none.fa")
    path = tmp_path / "x.fa"
    path.write_text(">chr1\nACGEA\n")
    with Genome(path) as genome:
        with pytest.raises(InputError, match="'chr2'; the FASTA has chr1"):
            genome.codes("chr2", 0, 1)
        with pytest.raises(InputError, match="'E' at base 3"):
            genome.codes("chr1", 1, 5)


@pytest.mark.parametrize(
    ("codes", "runs"),
    [
        ([], []),
        ([0, 1], []),
        ([4, 4], [(0, 2)]),
        ([4, 0, 4, 4, 1, 4], [(0, 1), (2, 4), (5, 6)]),
        ([0, 4, 4, 0], [(1, 3)]),
    ],
)
def test_unknown_runs(codes: list[int], runs: list[tuple[int, int]]) -> None:
    starts, ends = unknown_runs(np.array(codes, dtype=np.uint8))
    assert list(zip(starts.tolist(), ends.tolist(), strict=True)) == runs


def test_chrom_sizes(fasta: Path, tmp_path: Path) -> None:
    sizes = tmp_path / "chrom.sizes"
    index_genome(fasta, sizes)
    assert sizes.read_text() == "chrom\tlength\nchr1\t13\nchr2\t4\n"
    assert read_chrom_sizes(sizes) == {"chr1": 13, "chr2": 4}
    sizes.write_text("chr1\t13\nchr2\tmany\n")
    with pytest.raises(InputError, match="line 2"):
        read_chrom_sizes(sizes)


def test_names_that_differ_print_both_sides() -> None:
    with pytest.raises(InputError) as caught:
        match_chromosomes("genes.tsv", {"chr1": 4, "chr2": 1}, "x.bw", ["1", "2"])
    text = str(caught.value)
    assert "genes.tsv has chr1, chr2" in text
    assert "x.bw has 1, 2" in text
    assert 'chrom_aliases: {"1": "chr1", "2": "chr2"}' in text


def test_aliases_reconcile() -> None:
    aliases = {"1": "chr1", "MT": "chrM"}
    found = match_chromosomes("g", {"chr1": 1, "chrM": 1}, "x", ["1", "MT", "Y"], aliases)
    assert found == {"chr1": "1", "chrM": "MT"}
    with pytest.raises(InputError, match="'1' and 'chr1' both mean 'chr1'"):
        match_chromosomes("g", {"chr1": 1}, "x", ["1", "chr1"], aliases)


def test_absent_chromosome_is_an_error_or_missing() -> None:
    counts = {"chr1": 3, "chrX": 2}
    with pytest.raises(InputError, match=r"x.bw: no data for chrX \(2 genes\).*has chr1"):
        match_chromosomes("g", counts, "x.bw", ["chr1"])
    assert match_chromosomes("g", counts, "x", ["chr1"], absent="missing") == {"chr1": "chr1"}
    with pytest.raises(InputError, match="names differ"):
        match_chromosomes("g", counts, "x", ["1"], absent="missing")


def test_another_assembly() -> None:
    with pytest.raises(InputError, match=r"chr1 has 10 .* in a.fa but 11 \(1\) in b.bw"):
        check_lengths("a.fa", {"chr1": 10}, "b.bw", {"1": 11}, {"chr1": "1"})


def test_by_chromosome_keeps_first_appearance() -> None:
    found = {c: r.tolist() for c, r in by_chromosome(np.array(["b", "a", "b", "c"]))}
    assert found == {"b": [0, 2], "a": [1], "c": [3]}
    assert list(found) == ["b", "a", "c"]


def test_real_bgzip_fasta(realdata_dir: Path) -> None:
    with Genome(realdata_dir / "genome" / "chr22.fa.gz") as genome:
        assert genome.lengths == {"chr22": 50_818_468}
        assert set(np.unique(genome.codes("chr22", 16_500_000, 16_500_100))) == {0, 1, 2, 3}
        assert set(genome.codes("chr22", 30_000_000, 30_000_100)) == {4}


def _lines(text: str, width: int) -> str:
    return "".join(f"{text[at : at + width]}\n" for at in range(0, len(text), width))


def _two_fastas(folder: Path, compressed: bool) -> tuple[Path, dict[str, str]]:
    """A FASTA whose index, younger than it, is that of another wrapping and other headers."""
    rng = np.random.default_rng(4)
    texts = {c: "".join(rng.choice(list("ACGT"), n)) for c, n in (("chr1", 150_000), ("chr2", 90))}
    path = folder / ("genome.fa.gz" if compressed else "genome.fa")
    other = folder / "other.fa"
    other.write_text("".join(f">{c} of 2019\n{_lines(t, 90)}" for c, t in texts.items()))
    own = folder / "own.fa"
    own.write_text("".join(f">{c}\n{_lines(t, 90)}" for c, t in texts.items()))
    for plain, kept in ((own, path), (other, folder / "old.fa")):
        if compressed:
            pysam.tabix_compress(str(plain), str(kept), force=True)
        else:
            kept.write_bytes(plain.read_bytes())
    pysam.faidx(str(folder / "old.fa"))
    return path, texts


@pytest.mark.parametrize("compressed", [False, True])
def test_the_index_of_another_file_is_not_used(tmp_path: Path, compressed: bool) -> None:
    path, texts = _two_fastas(tmp_path, compressed)
    for suffix in (".fai", ".gzi") if compressed else (".fai",):
        (tmp_path / f"old.fa{suffix}").rename(f"{path}{suffix}")
    with Genome(path, tmp_path / "index") as genome:
        found = genome.codes("chr1", 100, 140)
    assert found.tolist() == ["ACGT".index(base) for base in texts["chr1"][100:140]]
    assert (tmp_path / "index" / f"{path.name}.fai").is_file()


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("width", [7, 60, 1_000_000])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_the_own_index_is_used(tmp_path: Path, compressed: bool, width: int, end: str) -> None:
    texts = {"chr1": "ACGT" * 40_000, "chr2": "AC" * 30, "chr3": "G"}
    plain = tmp_path / "plain.fa"
    text = "".join(f">{c} words\n{_lines(t, width)}" for c, t in texts.items())
    plain.write_text(text.replace("\n", end), newline="")
    path = plain
    if compressed:
        path = tmp_path / "genome.fa.gz"
        pysam.tabix_compress(str(plain), str(path), force=True)
    pysam.faidx(str(path))
    blocks = Path(f"{path}.gzi") if compressed else None
    assert belongs(path, Path(f"{path}.fai"), blocks)
    with Genome(path, tmp_path / "index") as genome:
        assert genome.lengths == {c: len(t) for c, t in texts.items()}
    assert not (tmp_path / "index").exists()


@pytest.mark.parametrize(
    "change", ["name", "length", "offset", "bases", "text", "one line", "more"]
)
def test_every_number_of_an_index_is_looked_at(tmp_path: Path, change: str) -> None:
    path = tmp_path / "genome.fa"
    path.write_text(f">chr1\n{_lines('ACGTA' * 100, 50)}>chr2\n{_lines('AC' * 30, 50)}")
    pysam.faidx(str(path))
    index = Path(f"{path}.fai")
    assert belongs(path, index, None)
    row = index.read_text().splitlines()[0].split("\t")
    at = {"name": 0, "length": 1, "offset": 2, "bases": 3}.get(change)
    if at is not None:
        row[at] = "chr9" if at == 0 else str(int(row[at]) - 1)
        index.write_text("\t".join(row) + "\n")
    elif change == "text":
        index.write_text("no index\n")
    elif change == "one line":
        path.write_text(path.read_text().replace("ACGTA\n", "ACGT\nA", 1))
    else:
        path.write_text(path.read_text() + ">chr3\nACGT\n")
    assert not belongs(path, index, None)
