"""Scores of variants, and windows that hold another allele."""

from __future__ import annotations

import gzip
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from prismflow.data.genome import Genome
from prismflow.data.store import Store
from prismflow.errors import InputError
from prismflow.explain.alleles import REMOVED, SYMBOL, touches, with_allele
from prismflow.explain.substitutions import substitutions
from prismflow.explain.variants import (
    BELOW,
    ROUNDING,
    main,
    percentile_of,
    read_scores,
    reverse_complement,
    score_variants,
)
from prismflow.explain.vcf import assembly_of, read_alleles

HEADER = "##fileformat=VCFv4.2\n##contig=<ID=chr1,length={length}>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"  # noqa: E501
LENGTH = 720_000
LETTERS = np.array(list("ACGTN"))


@pytest.fixture(scope="module")
def fasta(data, tmp_path_factory):
    """A genome that has the store's windows."""
    store = Store.open(data[0])
    codes = np.random.default_rng(3).integers(0, 4, LENGTH)
    for row, start in enumerate(store.genes["window_start"]):
        codes[start : start + store.window_bp] = store.arrays["sequence"][row]
    path = tmp_path_factory.mktemp("genome") / "genome.fa"
    path.write_text(">chr1\n" + "".join(LETTERS[codes]) + "\n")
    return path


def write_vcf(path, *lines, length=LENGTH):
    text = HEADER.format(length=length)
    text += "".join("\t".join(map(str, (*line, ".", ".", "."))) + "\n" for line in lines)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def base_at(fasta, position):
    """Letter at a 0-based position."""
    return fasta.read_text().split("\n")[1][position]


def other(letter, step=1):
    return "ACGT"[("ACGT".index(letter) + step) % 4]


@pytest.fixture
def score(data, fasta, run_of, tmp_path):
    def call(*lines, runs=(("prism", 2),), name="variants.vcf", **options):
        vcf = write_vcf(tmp_path / name, *lines)
        folders = [run_of(*run) for run in runs]
        score_variants(vcf, fasta, *data, folders, tmp_path / "out.tsv", device="cpu",
                       pass_bp=1 << 16, **options)  # fmt: skip
        return read_scores(tmp_path / "out.tsv")

    return call


def test_a_difference_is_that_of_two_predictions_and_both_strands_are_averaged(
    score, fasta, opened
) -> None:
    trained = opened("prism")
    gene = trained.gene(7)
    tss = int(trained.inputs.store.genes["tss"][7])
    here = base_at(fasta, tss + 10)
    table = score(("chr1", tss + 11, "rs1", here, other(here)), percentile=True)
    found = table[table["seed"] == "2"].set_index("output")
    sequence = gene.sequence.clone()
    sequence[64 + 10] = torch.eye(4)["ACGT".index(other(here))]
    alone = trained.predict(gene, torch.stack([gene.sequence, sequence]),
                            gene.signals.expand(2, -1, -1))  # fmt: skip
    turned = torch.stack([gene.sequence, sequence]).flip(1, 2)
    reverse = trained.predict(gene, turned, gene.signals.flip(0).expand(2, -1, -1))
    effects = substitutions(trained, gene)
    for number, output in enumerate(("direct", "backdoor")):
        row = found.loc[output]
        forward = alone[1, number] - alone[0, number]
        backward = reverse[1, number] - reverse[0, number]
        assert row["reference"] == pytest.approx(alone[0, number], abs=1e-5)
        assert row["difference"] == pytest.approx(forward, abs=2e-6)
        assert row["difference_both_strands"] == pytest.approx((forward + backward) / 2, abs=2e-6)
        assert row["percentile"] == pytest.approx(percentile_of(forward, effects[number]), abs=1.0)
        assert row["gene_id"] == "gene007" and row["id"] == "rs1"
    # gene007 lies on the minus strand: its TSS base is tss - 1.
    assert set(found["distance"]) == {-11}
    assert abs(found["difference"]).min() > 0


def test_several_alleles_seeds_and_a_packed_file_give_a_row_each_and_the_mean_of_seeds(
    score, fasta, data, tmp_path
) -> None:
    tss = int(Store.open(data[0]).genes["tss"][0])
    here = base_at(fasta, tss)
    line = ("chr1", tss + 1, ".", here, f"{other(here)},{other(here, 2)},<DEL>")
    runs = (("prism", 2), ("prism", 22))
    table = score(line, runs=runs, percentile=False)
    assert len(table) == 3 * 2 * (2 + 1)
    assert set(table["seed"]) == {"2", "22", "mean"}
    one = table[(table["alt"] == other(here)) & (table["output"] == "direct")].set_index("seed")
    assert one.loc["mean", "difference"] == pytest.approx(
        one.loc[["2", "22"], "difference"].mean(), abs=1e-8
    )
    assert one.loc["2", "difference"] != one.loc["22", "difference"]
    symbols = table[table["alt"] == "<DEL>"]
    assert symbols["difference"].isna().all()
    assert set(symbols["note"]) == {SYMBOL}
    packed = score(line, runs=runs, percentile=False, name="variants.vcf.gz")
    assert packed.equals(table)
    head = (tmp_path / "out.tsv").read_text().split("\n")[0]
    assert "signals and gene features are held fixed" in head


def test_a_difference_within_rounding_is_marked(score, fasta, data) -> None:
    tss = int(Store.open(data[0]).genes["tss"][0])
    here = base_at(fasta, tss)
    table = score(("chr1", tss + 1, ".", here, f"{other(here)},{here}"), percentile=False)
    same = table["alt"] == here
    assert set(table.loc[same, "note"]) == {BELOW}
    assert set(table.loc[~same, "note"]) == {""}
    # The same window at another place of a batch may differ in its last bits, which is marked.
    assert (table.loc[same, "difference"].abs() <= ROUNDING).all()


def gene_at(tss, strand="+"):
    return SimpleNamespace(chrom="chr1", tss=tss, strand=strand)


@pytest.mark.parametrize("strand", ["+", "-"])
@pytest.mark.parametrize(
    ("offset", "ref_bp", "alt"),
    [(-30, 1, "ACGTTA"), (-30, 8, "A"), (-5, 5, ""), (0, 6, "T"), (20, 1, "GATTACA"), (40, 9, "C"),
     (0, 0, "GGG"), (-3, 2, "TT"), (-2, 4, "ACGT"), (-64, 3, "A"), (60, 4, "ACGTACGTACGT")],
)  # fmt: skip
def test_an_allele_leaves_the_tss_in_the_middle_of_its_window(
    fasta, offset, ref_bp, alt, strand
) -> None:
    text, tss, half = fasta.read_text().split("\n")[1], 300_000, 64
    start, end = tss + offset, tss + offset + ref_bp
    allele = SimpleNamespace(start=start, end=end, inserted=alt, chrom="chr1")
    with Genome(fasta) as genome:
        codes, note = with_allele(genome, gene_at(tss, strand), 2 * half, allele)
    # The base that is transcribed first keeps its place; where it goes, nothing is scored.
    tss_base = tss if strand == "+" else tss - 1
    if start <= tss_base < end and len(alt) != ref_bp:
        assert (codes, note) == (None, REMOVED)
        return
    assert note == ""
    window = "".join(LETTERS[codes])
    haplotype = text[:start] + alt + text[end:]
    middle = tss + (len(alt) - ref_bp if end <= tss_base else 0)
    assert window == haplotype[middle - half : middle + half]


def test_a_deletion_of_the_tss_is_not_scored(fasta) -> None:
    allele = SimpleNamespace(start=299_998, end=300_003, inserted="", chrom="chr1")
    with Genome(fasta) as genome:
        assert with_allele(genome, gene_at(300_000), 128, allele) == (None, REMOVED)


def test_an_allele_touches_a_window_by_its_changed_bases_only() -> None:
    def at(start, end):
        return SimpleNamespace(start=start, end=end)

    assert touches(at(10, 11), 10, 20) and touches(at(19, 25), 10, 20)
    assert not touches(at(9, 10), 10, 20) and not touches(at(20, 21), 10, 20)
    assert touches(at(15, 15), 10, 20) and not touches(at(10, 10), 10, 20)


def test_common_ends_of_alleles_are_no_change(fasta, tmp_path) -> None:
    path = write_vcf(tmp_path / "a.vcf", ("chr1", 101, ".", "ACCT", "ACT"))
    with Genome(fasta) as genome:
        (allele,) = read_alleles(path, genome)
    assert (allele.end - allele.start, allele.inserted) == (1, "")
    assert 101 <= allele.start <= 102


def test_the_other_strand_of_the_other_strand_is_the_gene(opened) -> None:
    trained = opened("cnn")
    gene = trained.gene(3)
    turned = reverse_complement(gene)
    again = reverse_complement(turned)
    assert torch.equal(again.sequence, gene.sequence) and torch.equal(again.signals, gene.signals)
    assert (again.codes == gene.codes).all()
    assert torch.equal(turned.sequence, trained.one_hot(turned.codes))
    assert not torch.equal(turned.sequence, gene.sequence)


def test_a_percentile_counts_smaller_effects_and_half_of_the_equal_ones() -> None:
    effects = np.array([[0, 1, -2, 3], [np.nan] * 4, [4, 0, 5, -6]], np.float32)
    assert percentile_of(-3.0, effects) == pytest.approx(100 * (2 + 0.5) / 6)
    assert percentile_of(9.0, effects) == 100
    assert np.isnan(percentile_of(1.0, np.zeros((2, 4), np.float32)))


def test_a_wrong_reference_base_is_named_with_that_of_the_genome(score, fasta, data) -> None:
    tss = int(Store.open(data[0]).genes["tss"][0])
    here = base_at(fasta, tss)
    with pytest.raises(InputError, match=rf"has REF {other(here)}, but .*genome\.fa has {here} "):
        score(("chr1", tss + 1, ".", other(here), here))
    # Outside every window nothing is read of the genome.
    assert score(("chr1", 5, ".", other(base_at(fasta, 4)), "A")).empty


def test_assemblies_are_told_by_lengths_with_or_without_chr() -> None:
    assert assembly_of({"chr1": 249250621}) == assembly_of({"1": 249250621}) == "hg19 (GRCh37)"
    assert assembly_of({"chr1": 248956422, "chrUn": 5}) == "hg38 (GRCh38)"
    assert assembly_of({"chr1": 720000}) is None


def test_the_command_line_says_its_sentence_and_fails(
    data, fasta, run_of, tmp_path, capsys
) -> None:
    run = str(run_of("prism"))
    given = ["--fasta", str(fasta), "--store", str(data[0]), "--splits", str(data[1]), "--run", run,
             "--out", str(tmp_path / "out.tsv.gz"), "--device", "cpu"]  # fmt: skip
    assert main(["--vcf", str(write_vcf(tmp_path / "a.vcf")), *given]) == 1
    assert "error: " in capsys.readouterr().err
    here = base_at(fasta, 100_128)
    vcf = write_vcf(tmp_path / "b.vcf", ("chr1", 100_129, ".", here, other(here)))
    assert main(["--vcf", str(vcf), *given]) == 0
    assert len(read_scores(tmp_path / "out.tsv.gz")) == 4
