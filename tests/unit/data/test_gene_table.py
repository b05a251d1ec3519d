"""The gene table made from the published tables."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pyBigWig
import pytest

from prismflow.data.gene_table import FEATURES, build_gene_table, read_tss, sum_at_tss, ucsc_names
from prismflow.errors import InputError

# gene -> chromosome, published TSS, strand: the examples that three published tables agree on.
PUBLISHED = {
    "ENSG00000000003": ("X", 100_636_750, "-", "TSPAN6"),
    "ENSG00000000005": ("X", 100_584_935, "+", "TNMD"),
    "ENSG00000000419": ("20", 50_958_531, "-", "DPM1"),
    "ENSG00000000457": ("1", 169_893_895, "-", "SCYL3"),
}
SETTINGS = {
    "cells": {
        "K562": {"cage": "K562_CAGE_128*3_sum", "rna": "Actual_K562"},
        "H1": {"cage": None, "rna": "Actual_H1"},
    },
    "expected_genes": 4,
}


def expression() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "ENSID": list(PUBLISHED),
            "sequence": "ACGT",
            "K562_CAGE_128*3_sum": [3.0, 0.0, 120.5, 7.0],
            "Actual_K562": [-0.5, -1.25, 1.5, 0.25],
        }
    )


def features() -> pd.DataFrame:
    table = pd.DataFrame(
        {
            "chrom": [entry[0] for entry in PUBLISHED.values()],
            "TSS": [entry[1] for entry in PUBLISHED.values()],
            "gene_id": list(PUBLISHED),
            "Gene name": [entry[3] for entry in PUBLISHED.values()],
        }
    )
    for number, name in enumerate(FEATURES):
        table[name] = np.arange(4) + 10.0 * number
    table["ORFEXONDENSITY"] = [9.62, 7.42, 11.75, 5.87]
    table["ORFEXONDENSITY_log10zscore"] = -1.0
    return table.iloc[::-1]


def promoters() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "Ensembl_ID": list(PUBLISHED),
            "symbol": [entry[3] for entry in PUBLISHED.values()],
            "tss": [entry[1] for entry in PUBLISHED.values()],
            "H3K27ac.RPM.TSS1Kb": [4.0, 0.0, 2.0, 8.0],
            "DHS.RPM.TSS1Kb": [9.0, 5.0, 8.0, 2.0],
        }
    )


def bed() -> str:
    lines = [
        f"{chrom}\t{tss - 10_000}\t{tss + 10_000}\t{gene}\t0\t{strand}\n"
        for gene, (chrom, tss, strand, _) in PUBLISHED.items()
    ]
    return "".join(lines[::-1]) + "2\t100\t20100\tENSG00000000999\t0\t+\n"


@pytest.fixture
def inputs(tmp_path: Path) -> dict[str, Path]:
    paths = {
        "tss": tmp_path / "tss.bed",
        "expression": tmp_path / "expression.csv",
        "features": tmp_path / "features.csv",
        "splits": tmp_path / "splits.csv",
        "promoter_table_K562": tmp_path / "promoters.txt",
        "promoter_table_H1": tmp_path / "promoters_H1.txt",
        "cage_bigwig_H1": tmp_path / "H1.bw",
    }
    paths["tss"].write_text(bed())
    expression().to_csv(paths["expression"], index=False)
    features().to_csv(paths["features"], index=False)
    splits = pd.DataFrame({"ENSID": list(PUBLISHED), "chrom": "X", "Gene name": "x"})
    splits["fold_11"] = ["test", "test", "train", "valid"]
    splits["fold_enformer"] = ["valid", "valid", "valid", "train"]
    splits.to_csv(paths["splits"], index=False)
    promoters().to_csv(paths["promoter_table_K562"], sep="\t", index=False)
    promoters().drop(columns=["Ensembl_ID"]).to_csv(
        paths["promoter_table_H1"], sep="\t", index=False
    )
    with pyBigWig.open(str(paths["cage_bigwig_H1"]), "w") as bigwig:
        bigwig.addHeader([("chr1", 248_956_422), ("chr20", 64_444_167), ("chrX", 156_040_895)])
        tss = PUBLISHED["ENSG00000000419"][1]
        edges = [tss - 193, tss - 192, tss + 191, tss + 192]
        bigwig.addEntries("chr1", [5], values=[1.0], span=1)
        bigwig.addEntries("chr20", edges, values=[100.0, 1.0, 2.0, 100.0], span=1)
        bigwig.addEntries("chrX", [5], values=[1.0], span=1)
    return paths


def build(inputs: dict[str, Path], settings: dict = SETTINGS) -> pd.DataFrame:
    path = inputs["tss"].parent / "genes.tsv"
    build_gene_table(inputs, path, settings)
    return pd.read_csv(path, sep="\t", keep_default_na=False, na_values=["NA"])


def test_table_in_the_order_of_the_labels(inputs):
    genes = build(inputs)
    assert list(genes.columns) == [
        "gene_id", "symbol", "chrom", "tss", "strand", *FEATURES.values(), "K562_cage",
        "K562_rna", "K562_promoter_activity", "H1_cage", "H1_promoter_activity",
        "published_fold11", "enformer",
    ]  # fmt: skip
    assert list(genes["gene_id"]) == list(PUBLISHED)
    assert list(genes["chrom"]) == ["chrX", "chrX", "chr20", "chr1"]
    assert list(genes["K562_cage"]) == [3.0, 0.0, 120.5, 7.0], "labels are not transformed here"
    assert list(genes["enformer"]) == ["valid", "valid", "valid", "train"]


def test_published_tss_is_kept_on_both_strands(inputs):
    genes = build(inputs).set_index("gene_id")
    for gene, (_, tss, strand, _) in PUBLISHED.items():
        assert (genes.loc[gene, "tss"], genes.loc[gene, "strand"]) == (tss, strand)


def test_orf_exon_density_is_raw(inputs):
    assert list(build(inputs)["orf_exon_density"]) == [9.62, 7.42, 11.75, 5.87]


def test_promoter_activity_is_the_geometric_mean(inputs):
    genes = build(inputs)
    np.testing.assert_allclose(genes["K562_promoter_activity"], [6, 0, 4, 4])
    np.testing.assert_allclose(genes["H1_promoter_activity"], [6, 0, 4, 4])


def test_cage_of_a_bigwig_is_summed_over_192_bp_on_each_side(inputs):
    assert list(build(inputs)["H1_cage"]) == [0.0, 0.0, 3.0, 0.0]


def test_bytes_are_equal_for_equal_input(inputs):
    path = inputs["tss"].parent / "genes.tsv"
    build(inputs)
    first = path.read_bytes()
    build(inputs)
    assert path.read_bytes() == first


def test_the_workflow_can_read_it(inputs):
    from prismflow.data.genes import read_genes

    build(inputs)
    lengths = {"chr1": 248_956_422, "chr20": 64_444_167, "chrX": 156_040_895}
    genes = read_genes(
        inputs["tss"].parent / "genes.tsv", cells=["K562"], chrom_lengths=lengths,
        lengths_source="sizes", features=list(FEATURES.values()),
        promoter_activity_column="{cell}_promoter_activity", split_columns=["enformer"],
    )  # fmt: skip
    np.testing.assert_allclose(genes["label_K562"], np.log10(np.array([3, 0, 120.5, 7]) + 1))


def test_another_number_of_genes_is_said_not_fatal(inputs, caplog):
    with caplog.at_level(logging.INFO, "prismflow"):
        build(inputs, SETTINGS | {"expected_genes": 18377})
    assert "published gene set has 18377 genes, this table has 4" in caplog.text
    caplog.clear()
    build(inputs)
    assert "published gene set" not in caplog.text


def test_genes_without_tss_or_features_are_left_out_with_a_sentence(inputs, caplog):
    table = expression()
    table.loc[4] = ["ENSG00000099999", "A", 1.0, 1.0]
    table.to_csv(inputs["expression"], index=False)
    assert len(build(inputs)) == 4
    assert "1 genes of" in caplog.text and "have no TSS" in caplog.text
    assert "ENSG00000099999" in caplog.text


def test_tables_that_disagree_on_the_tss(inputs):
    table = features()
    table.loc[0, "TSS"] += 1
    table.to_csv(inputs["features"], index=False)
    with pytest.raises(InputError, match=r"disagree on the TSS of 1 genes, .*ENSG00000000003"):
        build(inputs)


def test_duplicated_symbols_with_one_fitting_tss(inputs, caplog):
    table = promoters().drop(columns=["Ensembl_ID"])
    extra = table.iloc[[0, 1, 2, 2]].copy()
    extra["tss"] = [5, 6, 7, 8]
    extra["DHS.RPM.TSS1Kb"] = [100.0, 5.0, 3.0, 4.0]
    twins = table.drop(index=2)
    pd.concat([twins, extra]).to_csv(inputs["promoter_table_H1"], sep="\t", index=False)
    values = build(inputs)["H1_promoter_activity"]
    assert values[0] == 6, "of two rows the one at the gene's TSS is taken"
    assert values[1] == 0, "equal rows count once"
    assert np.isnan(values[2]), "none stands at the TSS: no guess"
    assert "3 names stand in several rows" in caplog.text and "(DPM1)" in caplog.text
    assert "H1_promoter_activity is missing for 1 genes, e.g. ENSG00000000419" in caplog.text


def test_two_genes_of_one_symbol(inputs, caplog):
    table = features()
    table["Gene name"] = table["Gene name"].replace("TNMD", "TSPAN6")
    table.to_csv(inputs["features"], index=False)
    genes = build(inputs)
    assert list(genes["H1_promoter_activity"][:2]) == [6, 6]
    assert "2 genes share a symbol" in caplog.text


def test_rna_that_the_table_lacks_is_said(inputs, caplog):
    assert "H1_rna" not in build(inputs).columns
    assert "H1 has no RNA label" in caplog.text


@pytest.mark.parametrize(
    ("name", "change", "sentence"),
    [
        ("expression", {"ENSID": "gene"}, r"expected a gene column \(ENSID or gene_id"),
        ("expression", {"K562_CAGE_128*3_sum": "x"}, r"line 1: expected the column 'K562_CAGE"),
        ("features", {"UTR5GC": "x"}, "expected the column 'UTR5GC'"),
        ("splits", {"ENSID": "y"}, "expected a gene column"),
    ],
)
def test_absent_columns(inputs, name, change, sentence):
    pd.read_csv(inputs[name]).rename(columns=change).to_csv(inputs[name], index=False)
    with pytest.raises(InputError, match=sentence):
        build(inputs)


def test_duplicated_gene_names_its_lines(inputs):
    table = expression()
    pd.concat([table, table.iloc[[1]]]).to_csv(inputs["expression"], index=False)
    with pytest.raises(InputError, match=r"'ENSG00000000005' stands in lines 3, 6"):
        build(inputs)


def test_tables_without_a_gene_in_common(inputs):
    table = expression()
    table["ENSID"] = ["g1", "g2", "g3", "g4"]
    table.to_csv(inputs["expression"], index=False)
    with pytest.raises(InputError, match="have no gene in common"):
        build(inputs)


def test_promoter_table_of_something_else(inputs):
    table = promoters()
    table["Ensembl_ID"] = table["symbol"] = "x"
    table.to_csv(inputs["promoter_table_K562"], sep="\t", index=False)
    with pytest.raises(InputError, match="expected genes of the gene list by Ensembl id"):
        build(inputs)


def test_strange_split_values(inputs):
    table = pd.read_csv(inputs["splits"])
    table["fold_11"] = "training"
    table.to_csv(inputs["splits"], index=False)
    with pytest.raises(InputError, match=r"expected train, valid or test .*'training'"):
        build(inputs)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("1\t100\t201\tg\t0\t+\n", "line 1: expected a window of even length"),
        ("1\t100\t200\tg\t0\t.\n", "a strand \\+ or -"),
        ("1\t100\t200\n", "expected 6 columns"),
        ("1\tx\t200\tg\t0\t+\n", "whole numbers in the BED column 'start'"),
        ("7_alt\t100\t200\tg\t0\t+\n", "expected chromosomes 1-22, X, Y, MT"),
        ("", "expected a BED file"),
    ],
)
def test_wrong_bed(tmp_path, text, sentence):
    path = tmp_path / "a.bed"
    path.write_text(text)
    with pytest.raises(InputError, match=sentence):
        read_tss(path)


def test_names_are_renamed_by_the_table_only(tmp_path):
    names = ucsc_names(pd.Series(["1", "chr2", "X", "MT"]), Path("table"))
    assert list(names) == ["chr1", "chr2", "chrX", "chrM"]


def test_bigwig_with_other_names_and_ends(tmp_path):
    path = tmp_path / "a.bw"
    with pyBigWig.open(str(path), "w") as bigwig:
        bigwig.addHeader([("1", 1000)])
        bigwig.addEntries("1", [0, 999], values=[1.0, 2.0], span=1)
    sums = sum_at_tss(path, pd.Series(["chr1", "chr1"]), pd.Series([10, 990]), 192)
    assert list(sums) == [1.0, 2.0]
    with pytest.raises(InputError, match=r"found none on chr5 \(1 genes\); the bigWig has 1\."):
        sum_at_tss(path, pd.Series(["chr5"]), pd.Series([10]), 192)
    path.write_text("text")
    with pytest.raises(InputError, match="expected a bigWig"):
        sum_at_tss(path, pd.Series(["chr5"]), pd.Series([10]), 192)


def test_promoter_activity_of_a_real_table(realdata_dir, tmp_path):
    """A table of a real activity-by-contact run against the activity computed apart from it."""
    from prismflow.data.gene_table import _promoter_activity

    table = realdata_dir / "genes" / "ABC_GeneList_K562_chr22.txt"
    genes = pd.read_csv(realdata_dir / "genes" / "genes_K562_chr22.tsv", sep="\t")
    genes = genes[~genes["Ensembl_ID"].duplicated(keep=False)].reset_index(drop=True)
    wanted = genes.rename(columns={"Ensembl_ID": "gene_id"})[["gene_id", "symbol", "tss"]]
    values = _promoter_activity(table, wanted, "K562")
    np.testing.assert_allclose(values, genes["promoter_activity"], rtol=1e-4, atol=1e-4)


def test_a_cage_bigwig_without_values_on_a_chromosome_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cage.bw"
    with pyBigWig.open(str(path), "w") as out:
        out.addHeader([("chr1", 9000), ("chr2", 9000)])
        out.addEntries(["chr1"], [100], ends=[200], values=[2.0])
    chroms, tss = pd.Series(["chr1", "chr2", "chr2"]), pd.Series([150, 150, 300])
    with pytest.raises(InputError, match=r"found none on chr2 \(2 genes\)"):
        sum_at_tss(path, chroms, tss, 192)
    assert sum_at_tss(path, chroms[:1], tss[:1], 192).tolist() == [200.0]


def test_a_cage_bigwig_of_infinite_values_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cage.bw"
    with pyBigWig.open(str(path), "w") as out:
        out.addHeader([("chr1", 9000)])
        out.addEntries(["chr1"], [100], ends=[200], values=[float("inf")])
    with pytest.raises(InputError, match="infinite values"):
        sum_at_tss(path, pd.Series(["chr1"]), pd.Series([150]), 192)
