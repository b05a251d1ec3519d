"""A gene table from an annotation, a genome and quantifications; labels from each format."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyBigWig
import pytest

from prismflow.data.gene_blocks import GAP_BP, split_of_genes
from prismflow.data.own_genes import main, make_gene_table
from prismflow.data.quantification import mean_of_replicates, read_quantification
from prismflow.data.tss_places import moved_to_bed
from prismflow.data.tss_signal import signal_at_tss
from prismflow.errors import InputError

from .test_annotation import gtf_line, written

GENES_OF = {"T1": "G1", "T2": "G1", "T3": "G2"}
SALMON = "Name\tLength\tEffectiveLength\tTPM\tNumReads\n"


def file_of(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    "text",
    [
        SALMON + "T1.1\t9\t9\t3\t1\nT2.5\t9\t9\t4\t1\nT3\t9\t9\t5\t1\nT9\t9\t9\t0\t0\n",
        "target_id\tlength\teff_length\test_counts\ttpm\nT1.1|G1.2|x|\t9\t9\t1\t3\n"
        "T2.1|G1.2|\t9\t9\t1\t4\nT3.1|G2|\t9\t9\t1\t5\n",
        "gene_id\ttranscript_id(s)\tlength\teffective_length\texpected_count\tTPM\tFPKM\n"
        "G1.4\tT1,T2\t9\t9\t1\t7\t1\nG2.1\tT3\t9\t9\t1\t5\t1\n",
        "gene_id\tTPM\nG1\t7\nG2.1\t5\n",
    ],
    ids=["Salmon", "kallisto", "RSEM", "plain"],
)
def test_every_format_gives_tpm_per_gene(tmp_path: Path, text: str) -> None:
    found, _ = read_quantification(file_of(tmp_path / "a.txt", text), GENES_OF)
    assert found.to_dict() == {"G1": 7.0, "G2": 5.0}


def test_feature_counts_become_tpm(tmp_path: Path) -> None:
    text = (
        "# Program:featureCounts v2.0.1\nGeneid\tChr\tStart\tEnd\tStrand\tLength\ts.bam\n"
        "G1\tc\t1\t2\t+\t1000\t30\nG2\tc\t1\t2\t+\t500\t5\n"
    )
    found, _ = read_quantification(file_of(tmp_path / "a.txt", text), GENES_OF)
    assert found.to_dict() == pytest.approx({"G1": 750_000, "G2": 250_000})


@pytest.mark.parametrize(
    "text",
    [
        SALMON + "T1.1\t9\t9\t3\t10\nT2.5\t9\t9\t4\t20\nT3\t9\t9\t5\t10\nT9\t9\t9\t0\t60\n",
        "target_id\tlength\teff_length\test_counts\ttpm\nT1.1|G1|\t9\t9\t10\t3\n"
        "T2|G1|\t9\t9\t20\t4\nT3.1|G2|\t9\t9\t10\t5\nT9|\t9\t9\t60\t5\n",
        "gene_id\ttranscript_id(s)\tlength\teffective_length\texpected_count\tTPM\tFPKM\n"
        "G1.4\tT1,T2\t9\t9\t30\t7\t1\nG2.1\tT3\t9\t9\t10\t5\t1\nG9\tT9\t9\t9\t60\t5\t1\n",
        "gene_id\tCount\nG1\t30\nG2.1\t10\nG9\t60\n",
        "Geneid\tChr\tStart\tEnd\tStrand\tLength\ts.bam\n"
        "G1\tc\t1\t2\t+\t1000\t30\nG2\tc\t1\t2\t+\t500\t10\nG9\tc\t1\t2\t+\t7\t60\n",
    ],
    ids=["Salmon", "kallisto", "RSEM", "plain", "featureCounts"],
)
def test_counts_of_every_format_become_counts_per_million_of_the_file(
    tmp_path: Path, text: str
) -> None:
    found, _ = read_quantification(file_of(tmp_path / "a.txt", text), GENES_OF, "cpm")
    assert found[["G1", "G2"]].to_dict() == pytest.approx({"G1": 300_000, "G2": 100_000})


def test_counts_per_million_need_a_column_of_counts(tmp_path: Path) -> None:
    salmon = file_of(tmp_path / "a.sf", "Name\tEffectiveLength\tTPM\nT1\t9\t5\n")
    with pytest.raises(InputError, match="expected the column NumReads of Salmon"):
        read_quantification(salmon, GENES_OF, "cpm")
    plain = file_of(tmp_path / "a.tsv", "gene_id\ttpm\nG1\t5\n")
    with pytest.raises(InputError, match="or gene_id and count, found gene_id, tpm"):
        read_quantification(plain, GENES_OF, "cpm")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (SALMON + "T1\t9\t9\t0\t0\n", "found zeros only"),
        (SALMON + "T1\t9\t9\tNaN\t0\n", "line 2: expected a number >= 0 in column TPM"),
        (SALMON + "T1\t9\t9\t-1\t0\n", "found '-1'"),
        (SALMON + "T1.1\t9\t9\t1\t0\nT1.2\t9\t9\t1\t0\n", "line 3: expected every transcript"),
        (SALMON + "ENSMUST1\t9\t9\t1\t0\n", "give the annotation that the sample"),
        (SALMON, "found none"),
        ("a\tb\n1\t2\n", "expected the columns of a quantifier"),
    ],
)
def test_what_cannot_be_a_label_is_one_sentence(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        read_quantification(file_of(tmp_path / "a.sf", text), GENES_OF)


def test_replicates_are_averaged_and_their_agreement_is_said(tmp_path: Path) -> None:
    one = file_of(tmp_path / "1.tsv", "gene_id\ttpm\nG1\t1\nG2\t2\nG3\t9\nG4\t1\n")
    two = file_of(tmp_path / "2.tsv", "gene_id\ttpm\nG1\t3\nG2\t6\nG3\t7\n")
    mean, counts, (sentence,) = mean_of_replicates([one, two], {})
    assert mean.to_dict() == {"G1": 2.0, "G2": 4.0, "G3": 8.0}
    assert counts["genes that not every replicate has"] == 1
    assert "Spearman correlation 1.000 over 3 genes" in sentence
    with pytest.raises(InputError, match="found one twice"):
        mean_of_replicates([one, one], {})


@pytest.fixture
def sources(tmp_path: Path) -> tuple[Path, Path]:
    """An annotation of three genes, the last one on a sequence that the FASTA lacks."""
    lines = []
    for number, (chrom, start) in enumerate((("chr1", 101), ("chr22", 301), ("alt1", 1)), start=1):
        name, gene = f"T{number}", f"G{number}.1"
        for feature, first, last in (
            ("transcript", 0, 300),
            ("exon", 0, 300),
            ("CDS", 60, 89 + 30 * number),
        ):
            lines.append(gtf_line(feature, start + first, start + last, name, gene, chrom=chrom,
                                  tag="MANE_Select"))  # fmt: skip
    for chrom, number in (("chr2", 4), ("chr3", 5)):
        lines += [
            line.replace("chr1\t", f"{chrom}\t").replace("G1", f"G{number}").replace(
                "T1", f"T{number}")
            for line in lines[:3]
        ]  # fmt: skip
    fasta = "".join(f">{chrom}\n{'ACGTG' * 200}\n" for chrom in ("chr1", "chr2", "chr3", "chr22"))
    return written(tmp_path / "a.gtf", *lines), file_of(tmp_path / "g.fa", fasta)


def test_the_table_has_genes_features_and_labels_and_the_summary_adds_up(
    tmp_path: Path, sources: tuple[Path, Path]
) -> None:
    label = file_of(tmp_path / "l.tsv", "gene_id\ttpm\nG1\t1\nG2\t2\nG9\t3\n")
    made = make_gene_table(*sources, {"K562": [str(label)]})
    genes, summary = made.genes, made.summary
    assert list(genes["gene_id"]) == ["G1", "G2", "G4", "G5"]
    assert list(genes["tss"]) == [100, 300, 100, 100]
    assert genes["K562_label"].tolist()[:2] == [1.0, 2.0] and genes["K562_label"].isna()[2]
    counts = dict(zip(summary["what"], summary["count"], strict=True))
    assert counts["genes on alt1, which the FASTA lacks"] == 1
    assert counts["genes matched"] == 2 and counts["genes without a value"] == 2
    # Standardised over the training genes G1 and G4, which are equal: their z-scores are 0.
    assert genes["cds_length"].tolist()[0] == 0 and genes["cds_length"].tolist()[1] != 0
    assert genes["split"].tolist() == ["train", "test", "train", "valid"]
    scale = made.scale.set_index("feature").loc["cds_length"]
    # 60 coding bases and none in introns: log10(60.1) is the training mean of G1 and G4.
    assert scale["mean"] == pytest.approx(1.778874, abs=1e-6) and scale["sd"] == 1.0


def added_up(inputs: pd.DataFrame) -> dict[tuple[str, str], tuple[int, int]]:
    """Input and unit -> read and kept, once kept and skipped have been seen to add up."""
    found = {}
    for (name, unit), own in inputs.groupby(["input", "unit"]):
        n = own.groupby("outcome")["n"].sum()
        assert n["read"] == n["kept"] + n.get("skipped", 0)
        found[name, unit] = int(n["read"]), int(n["kept"])
    return found


def test_every_line_of_every_file_is_kept_or_skipped_for_a_reason(
    tmp_path: Path, sources: tuple[Path, Path]
) -> None:
    with sources[0].open("a") as gtf:
        gtf.write(gtf_line("gene", 101, 401, "", "G1.1", chrom="chr1"))
        gtf.write(gtf_line("exon", 101, 401, "T99", "G99", chrom="chr1"))
        gtf.write(gtf_line("transcript", 101, 401, "T50", "G1.1", chrom="chr1"))
    one = file_of(tmp_path / "1.sf", SALMON + "T1\t9\t9\t3\t1\nT2\t9\t9\t4\t1\nT77\t9\t9\t1\t1\n")
    two = file_of(tmp_path / "2.tsv", "gene_id\ttpm\nG1\t3\nG77\t4\nG3_PAR_Y\t1\n")
    bed = file_of(tmp_path / "tss.bed", "# places\nchr1\t90\t91\n")
    labels = {"K562": [str(one), str(two)]}
    inputs = make_gene_table(*sources, labels, tss_bed=bed).inputs
    n_lines = sum(not line.startswith("#") for line in sources[0].read_text().splitlines())
    assert added_up(inputs) == {
        ("annotation", "lines"): (n_lines, 16),
        ("annotation", "transcripts"): (6, 5),
        ("annotation", "genes"): (5, 4),
        ("places of TSS", "lines"): (2, 1),
        ("quantification", f"rows of {one}"): (3, 2),
        ("quantification", f"rows of {two}"): (3, 2),
        ("quantification", "genes"): (3, 1),
    }
    skipped = inputs[inputs["outcome"] == "skipped"]
    assert set(skipped["reason"]) == {
        "of feature gene", "of an exon or coding sequence without its transcript",
        "not the one of its gene", "on alt1, which the FASTA lacks",
        "comment, track line or empty", "transcripts that the annotation lacks",
        "rows of PAR copies on Y", "that not every replicate has",
    }  # fmt: skip


def test_bases_of_a_bigwig_label_are_counted(tmp_path: Path, sources: tuple[Path, Path]) -> None:
    with pyBigWig.open(str(tmp_path / "a.bw"), "w") as out:
        chroms = ["chr1", "chr2", "chr22", "chr3"]
        out.addHeader([(chrom, 1000) for chrom in chroms])
        for chrom in chroms:
            out.addEntries([chrom], [95], ends=[105], values=[1.0])
    inputs = make_gene_table(*sources, {"K562": [str(tmp_path / "a.bw")]}, half_window_bp=20).inputs
    # Three of the genes start at 100 and one at 300.
    assert added_up(inputs)["quantification", f"bases around TSS in {tmp_path / 'a.bw'}"] == (
        160, 30)  # fmt: skip


def test_an_exon_that_stands_above_its_transcript_is_not_lost(
    tmp_path: Path, sources: tuple[Path, Path]
) -> None:
    lines = sources[0].read_text().splitlines(keepends=True)
    turned = written(tmp_path / "turned.gtf", *reversed(lines))
    straight, other = (make_gene_table(gtf, sources[1], {}).genes for gtf in (sources[0], turned))
    own = straight.set_index("gene_id").sort_index()
    pd.testing.assert_frame_equal(own, other.set_index("gene_id").sort_index())


def test_the_command_writes_both_tables_or_one_sentence(
    tmp_path: Path, sources: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    gtf, fasta = map(str, sources)
    label = file_of(tmp_path / "l.tsv", "gene_id\ttpm\nG1\t1\nG2\t2\n")
    out = tmp_path / "genes.tsv"
    given = ["--gtf", gtf, "--fasta", fasta, "--out", str(out)]
    assert main([*given, "--label", f"K562={label}"]) == 0
    assert len(pd.read_csv(out, sep="\t")) == 4
    assert (tmp_path / "genes.summary.tsv").is_file() and (tmp_path / "genes.inputs.tsv").is_file()
    assert "4 genes" in capsys.readouterr().out
    assert main([*given, "--label", "K562"]) == 2
    assert "expected CELL=FILE, found 'K562'" in capsys.readouterr().err


def test_an_annotation_of_another_assembly_is_noticed(
    sources: tuple[Path, Path], tmp_path: Path
) -> None:
    short = file_of(tmp_path / "short.fa", ">chr1\nACGT\n")
    with pytest.raises(InputError, match="of another assembly"):
        make_gene_table(sources[0], short, {})
    other = file_of(tmp_path / "other.fa", ">1\nACGT\n")
    with pytest.raises(InputError, match="give --alias"):
        make_gene_table(sources[0], other, {})


def test_real_salmon_and_rsem_of_one_line_agree(realdata_genomewide_dir: Path) -> None:
    from prismflow.data.annotation import read_transcripts

    formats = realdata_genomewide_dir / "formats"
    (gtf,) = formats.glob("gencodeV24*.gtf.gz")
    genes_of = {t.transcript_id: t.gene_id for t in read_transcripts(gtf)}
    salmon, counts = read_quantification(formats / "salmon_ERR188297.quant.sf.gz", genes_of)
    rsem, _ = read_quantification(formats / "rsem_ERR188297.genes.results.gz", genes_of)
    assert counts["transcripts that the annotation lacks"] == 187_669
    joined = pd.concat([salmon, rsem], axis=1, join="inner")
    assert len(joined) == 2894
    assert joined.corr(method="spearman").iloc[0, 1] > 0.9


def test_all_genes_count_for_z_scores_where_the_published_scale_is_asked_for(
    sources: tuple[Path, Path],
) -> None:
    table = make_gene_table(*sources, {}, z_scores="all").genes
    assert table["cds_length"].mean() == pytest.approx(0) and table["cds_length"][0] != 0


def test_blocks_of_position_stand_apart_and_hold_all_three_sets() -> None:
    genes = pd.DataFrame(
        {"chrom": ["b"] * 50 + ["a"] * 50, "tss": [20_000 * i for i in range(50)] * 2}
    )
    roles, way = split_of_genes(genes, ["a", "b"], "auto")
    assert way == "blocks" and set(roles) == {"train", "valid", "test", "none"}
    assert set(roles[50:]) == {"train"}  # the genome's order, not the table's
    at = genes["tss"][:50]
    for first, second in (("train", "valid"), ("valid", "test")):
        gap = at[roles[:50] == second].min() - at[roles[:50] == first].max()
        assert gap >= GAP_BP
    with pytest.raises(InputError, match="expected genes that train, validate and test"):
        split_of_genes(genes, ["a", "b"], "chromosome")


def test_tss_move_to_the_nearest_place_on_their_strand(tmp_path: Path) -> None:
    genes = pd.DataFrame(
        {
            "gene_id": list("abc"),
            "chrom": "chr1",
            "tss": [1000, 1000, 90_000],
            "strand": list("+-+"),
        }
    )
    bed = "chr1\t1010\t1011\tp\t0\t+\nchr1\t989\t990\tq\t0\t-\nchr1\t5000\t5001\tr\t0\t+\n"
    moved, counts = moved_to_bed(genes, file_of(tmp_path / "cage.bed", bed))
    # The base 989 is the first one transcribed where tss, a BED bound, is 990 on the minus strand.
    assert moved["tss"].tolist() == [1010, 990, 90_000]
    assert counts == {"moved to the nearest place": 2, "without a place within 1000 bp": 1}
    with pytest.raises(InputError, match="found none for 3 genes"):
        moved_to_bed(genes, file_of(tmp_path / "far.bed", "chr9\t1\t2\n"))


def bigwig(path: Path, values: dict[int, float]) -> str:
    with pyBigWig.open(str(path), "w") as out:
        out.addHeader([("chr1", 10_000)])
        at = sorted(values)
        out.addEntries(["chr1"] * len(at), at, ends=[i + 1 for i in at],
                       values=[values[i] for i in at])  # fmt: skip
    return str(path)


def test_signal_is_summed_on_each_genes_own_strand_and_minus_tracks_may_be_negative(
    tmp_path: Path,
) -> None:
    genes = pd.DataFrame(
        {"gene_id": ["a", "b"], "chrom": "chr1", "tss": [1000, 1000], "strand": ["+", "-"]}
    )
    plus = bigwig(tmp_path / "p.bw", {808: 1.0, 1191: 2.0, 1192: 9.0})
    minus = bigwig(tmp_path / "m.bw", {807: -9.0, 900: -4.0, 1100: -1.0})
    assert signal_at_tss([plus, minus], genes).to_dict() == {"a": 3.0, "b": 5.0}
    assert signal_at_tss([plus], genes).to_dict() == {"a": 3.0, "b": 3.0}
    both = bigwig(tmp_path / "b.bw", {900: -4.0, 1100: 7.0})
    with pytest.raises(InputError, match="found none at 2 genes"):
        signal_at_tss([bigwig(tmp_path / "o.bw", {9000: 1.0})], genes)
    other = genes.assign(tss=[900, 1100])
    with pytest.raises(InputError, match="expected values of one sign"):
        signal_at_tss([both], other, half_window_bp=50)


def test_replicate_bigwigs_are_labels_and_their_agreement_is_said(
    tmp_path: Path, sources: tuple[Path, Path]
) -> None:
    fasta_lengths = [("chr1", 1000), ("chr2", 1000), ("chr3", 1000), ("chr22", 1000)]
    paths = []
    for number in (1, 3):
        paths.append(str(tmp_path / f"{number}.bw"))
        with pyBigWig.open(paths[-1], "w") as out:
            out.addHeader(fasta_lengths)
            for place, (chrom, _) in enumerate(fasta_lengths):
                out.addEntries([chrom], [110], ends=[111], values=[float(number * (place + 1))])
    made = make_gene_table(*sources, {"K562": paths})
    # chr1, chr22 (its TSS 300 sums over [108, 492)), chr2, chr3: means of both replicates.
    assert made.genes["K562_label"].tolist() == [2.0, 8.0, 4.0, 6.0]
    assert any("Spearman correlation 1.000" in what for what in made.summary["what"])
    with pytest.raises(InputError, match="replicates of one kind"):
        label = file_of(tmp_path / "l.tsv", "gene_id\ttpm\nG1\t1\n")
        make_gene_table(*sources, {"K562": [paths[0], str(label)]})
