"""Scores of pairs in one table and for a browser."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from prismflow.errors import InputError
from prismflow.explain.enhancer_gene import export_pairs, mean_scores
from prismflow.files import read_tsv, write_tsv


def _scores(path: Path, pairs: list[int], held: list[bool], values: list[float]) -> Path:
    write_tsv(pd.DataFrame({"pair": pairs, "held_out": held, "reached": True, "knockout": values,
                            "attention": np.nan}), path)  # fmt: skip
    return path


def _pairs(path: Path) -> Path:
    write_tsv(
        pd.DataFrame(
            {
                "source": "candidates", "kind": ["promoter", "candidate", "candidate"],
                "chrom": ["chr2", "chr2", "chr1"], "start": [900, 5000, 100],
                "end": [1100, 5500, 600], "gene_id": ["a", "a", "b"], "tss": [1000, 1000, 9000],
                "strand": ["+", "+", "-"], "distance": [0, 4250, 8650], "activity": [2.0, 1.0, 3.0],
                "contact": 1.0, "activity_x_contact": [2.0, 1.0, 3.0], "share": [2 / 3, 1 / 3, 1.0],
            }
        ),
        path,
    )  # fmt: skip
    return path


def test_a_score_is_the_mean_over_runs_that_held_the_gene_out(tmp_path: Path) -> None:
    first = _scores(tmp_path / "1.tsv", [0, 1, 2], [True, True, False], [1.0, 2.0, 3.0])
    second = _scores(tmp_path / "2.tsv", [0, 1, 2], [True, False, False], [3.0, 9.0, 5.0])
    found = mean_scores(pd.concat([read_tsv(first), read_tsv(second)]), 4)
    np.testing.assert_array_equal(found["knockout"], [2.0, 2.0, 4.0, np.nan])
    np.testing.assert_array_equal(found["held_out"], [1.0, 1.0, 0.0, np.nan])
    assert "attention" not in found


def test_the_browser_sees_elements_and_their_genes_in_order(tmp_path: Path) -> None:
    run = _scores(tmp_path / "1.tsv", [1], [True], [0.5])
    outputs = tmp_path / "t.tsv.gz", tmp_path / "b.bedpe"
    export_pairs(_pairs(tmp_path / "pairs.tsv"), {"cnn": [run]}, *outputs)
    table = read_tsv(outputs[0])
    np.testing.assert_array_equal(table["knockout_cnn"], [np.nan, 0.5, np.nan])
    heads, *lines = outputs[1].read_text().splitlines()
    assert heads.startswith("#chrom1\tstart1") and heads.endswith("share\tknockout_cnn")
    assert [line.split("\t")[:10] for line in lines] == [
        ["chr1", "100", "600", "chr1", "9000", "9001", "b", "1000", ".", "-"],
        ["chr2", "5000", "5500", "chr2", "1000", "1001", "a", "333", ".", "+"],
    ]


def test_scores_of_other_pairs_are_refused(tmp_path: Path) -> None:
    run = _scores(tmp_path / "1.tsv", [3], [True], [0.5])
    with pytest.raises(InputError, match="expected scores of 3 pairs, found pair 3"):
        export_pairs(_pairs(tmp_path / "pairs.tsv"), {"cnn": [run]}, tmp_path / "t", tmp_path / "b")
