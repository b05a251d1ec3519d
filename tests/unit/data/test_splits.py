"""Splits by chromosome fold and by column."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from prismflow.data.splits import PAPER_FOLDS, assign_splits, count_overlaps
from prismflow.errors import InputError

CHROMS = [*(f"chr{i}" for i in range(1, 23)), "chrX"]


@pytest.fixture
def genes() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "gene_id": [f"g{c}_{i}" for c in CHROMS for i in range(2)],
            "chrom": [c for c in CHROMS for _ in range(2)],
            "split": ["train", "valid", "test", "gap", None, "train"] * 7 + ["1", "2", "3", "4"],
        }
    )


def test_fold_11_of_the_paper(genes: pd.DataFrame) -> None:
    splits = assign_splits(genes, kind="chromosome", folds=["fold11"])
    by_chrom = splits["fold11"].groupby(genes["chrom"]).unique().map(list)
    assert by_chrom["chr22"] == by_chrom["chrX"] == ["test"]
    assert by_chrom["chr3"] == by_chrom["chr21"] == ["valid"]
    others = [c for c in CHROMS if c not in ("chr3", "chr21", "chr22", "chrX")]
    assert all(by_chrom[c] == ["train"] for c in others)
    assert list(splits.columns) == ["gene_id", "fold11"]


def test_every_chromosome_is_tested_once() -> None:
    tested = [chrom for fold in PAPER_FOLDS.values() for chrom in fold["test"]]
    assert sorted(tested) == sorted(CHROMS)
    assert len(PAPER_FOLDS) == 12
    validated = [chrom for fold in PAPER_FOLDS.values() for chrom in fold["valid"]]
    assert "chrX" not in validated
    for fold in PAPER_FOLDS.values():
        assert not set(fold["valid"]) & set(fold["test"])


def test_column(genes: pd.DataFrame) -> None:
    numbered = genes.assign(split=genes["split"].replace(["1", "2", "3", "4"], "gap"))
    splits = assign_splits(numbered, kind="column", folds=["split"])
    assert splits["split"].tolist()[:6] == ["train", "valid", "test", "none", "none", "train"]
    mapped = assign_splits(
        genes, kind="column", folds=["split"], values={"1": "train", "2": "valid", "3": "test"}
    )
    assert mapped["split"].tolist()[-5:] == ["none", "train", "valid", "test", "none"]
    with pytest.raises(InputError, match="found 'dev'"):
        assign_splits(genes, kind="column", folds=["split"], values={"1": "dev"})


@pytest.mark.parametrize("stray", ["Train", "validation", "test ", "tset", "1", "holdout"])
def test_stray_values_of_a_column_are_refused(genes: pd.DataFrame, stray: str) -> None:
    kept = genes["split"].where(genes["split"].isin(["train", "valid", "test"]), "none")
    assign_splits(genes.assign(split=kept), kind="column", folds=["split"])
    kept.iloc[4] = stray
    table = genes.assign(split=kept, line=range(2, len(genes) + 2))
    with pytest.raises(InputError, match=f"line 6: the split column 'split': .*'{stray}' \\(1"):
        assign_splits(table, kind="column", folds=["split"])


def test_unknown_names(genes: pd.DataFrame) -> None:
    with pytest.raises(InputError, match="'fold13' does not exist; existing folds: fold1, fold2"):
        assign_splits(genes, kind="chromosome", folds=["fold13"])
    with pytest.raises(InputError, match="'block' can't be found; the table has gene_id, chrom"):
        assign_splits(genes, kind="column", folds=["block"])
    with pytest.raises(InputError, match="kind 'random'"):
        assign_splits(genes, kind="random", folds=["x"])
    with pytest.raises(InputError, match="at least one fold"):
        assign_splits(genes, kind="column", folds=[])


def test_empty_set_prints_counts(genes: pd.DataFrame) -> None:
    few = genes[genes["chrom"].isin(["chr1", "chr3"])]
    with pytest.raises(InputError, match=r"no genes for test; .*chr1: train 2; chr3: valid 2"):
        assign_splits(few, kind="chromosome", folds=["fold11"], source="genes.tsv")
    with pytest.raises(InputError, match=r"no genes for valid and test"):
        assign_splits(genes.assign(split="train"), kind="column", folds=["split"])


def test_custom_folds(genes: pd.DataFrame) -> None:
    custom = {"mine": {"valid": ["chr1"], "test": ["chr2"]}}
    splits = assign_splits(genes, kind="chromosome", folds=["mine"], custom_folds=custom)
    assert (splits["mine"] == "test").sum() == 2
    custom["mine"]["test"] = ["chr1", "chr2"]
    with pytest.raises(InputError, match="chr1 in valid and in test"):
        assign_splits(genes, kind="chromosome", folds=["mine"], custom_folds=custom)


def test_overlaps_against_pairs() -> None:
    rng = np.random.default_rng(3)
    start = rng.integers(0, 300, 60)
    chrom = rng.choice(["a", "b", "c"], 60)
    split = rng.choice(["train", "valid", "test", "none"], 60)
    split[chrom == "c"] = "test"
    genes = pd.DataFrame({"chrom": chrom, "window_start": start, "window_end": start + 10})
    expected = {"valid": 0, "test": 0}
    for i in range(60):
        hits = [
            abs(start[i] - start[j]) < 10
            for j in range(60)
            if split[j] == "train" and chrom[i] == chrom[j]
        ]
        if split[i] in expected and any(hits):
            expected[split[i]] += 1
    assert count_overlaps(genes, split) == expected
    assert sum(expected.values()) > 3
