"""Genes of a GTF: which transcript, which TSS, which features; checked against plain arithmetic."""

from __future__ import annotations

import gzip
import re
from collections import defaultdict
from pathlib import Path

import pytest

from prismflow.data import annotation
from prismflow.errors import InputError

LINE = "{chrom}\tX\t{feature}\t{start}\t{end}\t.\t{strand}\t.\t{attributes}\n"


def gtf_line(feature: str, start: int, end: int, transcript: str = "T1.2", gene: str = "G1.3",
             strand: str = "+", kind: str = "protein_coding", tag: str = "",
             chrom: str = "chr1") -> str:  # fmt: skip
    attributes = (
        f'gene_id "{gene}"; transcript_id "{transcript}"; gene_type "{kind}"; gene_name "N"; '
        + (f'tag "basic"; tag "{tag}";' if tag else "")
    )
    return LINE.format(chrom=chrom, feature=feature, start=start, end=end, strand=strand,
                       attributes=attributes)  # fmt: skip


# Exons 101-200 and 301-420; the sequence is coded from 151 to 330, its stop codon is 328-330.
CODING = (
    ("transcript", 101, 420), ("exon", 101, 200), ("exon", 301, 420), ("CDS", 151, 200),
    ("CDS", 301, 327), ("stop_codon", 328, 330),
)  # fmt: skip


def written(path: Path, *lines: str) -> Path:
    path.write_text("#!genome-build test\n" + "".join(lines))
    return path


def test_intervals_are_zero_based_and_the_stop_codon_is_coding(tmp_path: Path) -> None:
    path = written(tmp_path / "a.gtf", *(gtf_line(*part) for part in CODING))
    (transcript,) = annotation.read_transcripts(path)
    assert (transcript.gene_id, transcript.transcript_id) == ("G1", "T1")
    assert (transcript.start, transcript.end, transcript.tss) == (100, 420, 100)
    assert transcript.coding == [(150, 200), (300, 330)]
    assert transcript.untranslated() == ([(100, 150)], [(330, 420)])


def test_minus_transcripts_start_at_their_end(tmp_path: Path) -> None:
    minus = [("stop_codon", 151, 153) if part[0] == "stop_codon" else part for part in CODING]
    minus = [("CDS", 154, 200) if part == ("CDS", 151, 200) else part for part in minus]
    minus = [("CDS", 301, 330) if part == ("CDS", 301, 327) else part for part in minus]
    path = written(tmp_path / "a.gtf", *(gtf_line(*part, strand="-") for part in minus))
    (transcript,) = annotation.read_transcripts(path)
    assert transcript.tss == 420
    assert transcript.untranslated() == ([(330, 420)], [(100, 150)])


def test_features_are_those_of_the_definitions(tmp_path: Path) -> None:
    path = written(tmp_path / "a.gtf", *(gtf_line(*part) for part in CODING))
    (transcript,) = annotation.read_transcripts(path)
    features = annotation.mrna_features(
        transcript, lambda start, end: "G" * 10 + "A" * (end - start - 10)
    )
    assert features["utr5_length"] == pytest.approx(1.699838, abs=1e-6)  # log10(50.1)
    assert 10 ** features["cds_length"] == pytest.approx(80.1)
    assert 10 ** features["intron_length"] == pytest.approx(100.1)
    assert 10 ** features["utr3_length"] == pytest.approx(90.1)
    assert features["utr5_gc"] == 10 / 50 and features["cds_gc"] == 20 / 80
    assert features["orf_exon_density"] == pytest.approx(1000 / 80)
    assert tuple(features) == annotation.FEATURES


def test_the_canonical_transcript_is_chosen_else_the_one_furthest_upstream(tmp_path: Path) -> None:
    def transcript(name: str, start: int, gene: str, tag: str = "") -> list[str]:
        return [
            gtf_line("transcript", start, 420, name, gene, tag=tag),
            gtf_line("CDS", 350, 400, name, gene, tag=tag),
        ]

    path = written(
        tmp_path / "a.gtf", *transcript("T1", 101, "G1"),
        *transcript("T2", 151, "G1", "Ensembl_canonical"), *transcript("T3", 201, "G2"),
        *transcript("T4", 191, "G2"), *transcript("T5", 111, "G2", "cds_start_NF"),
    )  # fmt: skip
    transcripts = annotation.read_transcripts(path)
    chosen, counts = annotation.choose(transcripts, "canonical")
    assert [t.transcript_id for t in chosen] == ["T2", "T4"]
    assert counts == {"genes without a canonical transcript": 1}
    chosen, _ = annotation.choose(transcripts, "most_5prime")
    assert [t.transcript_id for t in chosen] == ["T1", "T4"]


def test_an_annotation_without_tags_names_the_other_rule(tmp_path: Path) -> None:
    path = written(tmp_path / "a.gtf", *(gtf_line(*part) for part in CODING))
    with pytest.raises(InputError, match="take the rule most_5prime"):
        annotation.choose(annotation.read_transcripts(path), "canonical")


def test_par_copies_and_other_types_are_counted(tmp_path: Path) -> None:
    path = written(
        tmp_path / "a.gtf",
        gtf_line("transcript", 1, 9, "T1", "G1"),
        gtf_line("transcript", 1, 9, "T1.1_PAR_Y", "G1.1_PAR_Y", chrom="chrY"),
        gtf_line("transcript", 1, 9, "T3", "G3", kind="lincRNA"),
    )
    transcripts = annotation.read_transcripts(path)
    kept, skipped = annotation.of_kinds(transcripts, ["protein_coding"])
    assert [t.gene_id for t in kept] == ["G1"]
    assert skipped == {"transcripts of PAR copies on Y": 1, "transcripts of lincRNA": 1}
    assert len(kept) + sum(skipped.values()) == len(transcripts)
    with pytest.raises(InputError, match="found 2 transcripts of protein_coding, 1 transcripts of"):
        annotation.of_kinds(transcripts, ["miRNA"])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "expected lines of feature 'transcript', found none"),
        (b"a,b,c\n1,2,3\n", "expected a GTF"),
        (b"chr1\tX\tgene\t1\t9\t.\t+\t.\tID=gene1\n", "found 1 of gene"),
        (b"chr1\tX\ttranscript\t1\t9\t.\t+\t.\tID=t1;Parent=g1\n", "not a GFF3"),
    ],
)
def test_what_is_no_gtf_is_one_sentence(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "a.gtf"
    path.write_bytes(content)
    with pytest.raises(InputError, match=said):
        annotation.read_transcripts(path)


def test_a_damaged_gzip_is_one_sentence_and_the_name_does_not_matter(tmp_path: Path) -> None:
    packed = gzip.compress("".join(gtf_line(*part) for part in CODING * 500).encode())
    path = tmp_path / "named.gtf"
    path.write_bytes(packed)
    assert len(annotation.read_transcripts(path)) == 1
    path.write_bytes(packed[: len(packed) // 2])
    with pytest.raises(InputError, match="damaged"):
        annotation.read_transcripts(path)


def test_real_chr19_agrees_with_its_utr_lines(realdata_genomewide_dir: Path) -> None:
    """GENCODE lists UTRs itself (with the stop codon): an independent sum per transcript."""
    (path,) = (realdata_genomewide_dir / "formats").glob("gencodeV24*.gtf.gz")
    listed: dict[str, int] = defaultdict(int)
    stops: dict[str, int] = defaultdict(int)
    with gzip.open(path, "rt") as file:
        for line in file:
            columns = line.split("\t")
            if columns[2] in ("UTR", "stop_codon"):
                name = re.search(r'transcript_id "([^".]+)', columns[8])[1]
                length = int(columns[4]) - int(columns[3]) + 1
                (listed if columns[2] == "UTR" else stops)[name] += length
    transcripts, _ = annotation.of_kinds(annotation.read_transcripts(path), ["protein_coding"])
    chosen, _ = annotation.choose(transcripts, "most_5prime")
    assert len(chosen) == 1456
    for transcript in chosen:
        if not transcript.coding:
            continue
        sides = transcript.untranslated()
        ours = sum(end - start for side in sides for start, end in side)
        name = transcript.transcript_id
        assert ours == listed[name] - stops[name], name
