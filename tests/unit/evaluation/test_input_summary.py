"""What was read for a dataset: kept and skipped add up, whatever was dropped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from prismflow.data.counts import rows_of
from prismflow.evaluation.input_summary import input_summary, write_input_summary
from prismflow.files import read_tsv, write_json, write_tsv


@pytest.fixture
def inputs(tmp_path: Path) -> dict[str, Any]:
    """Ten genes of which seven are kept, one for each way to lose one."""
    raw = pd.DataFrame({"gene_id": [f"g{i}" for i in range(10)], "A_cage": np.arange(10.0)})
    raw.loc[7, "A_cage"] = np.nan
    write_tsv(raw, tmp_path / "table.tsv")
    kept = raw.head(7).assign(chrom=["chr1"] * 4 + ["chr2"] * 3, label_A=1.0)
    write_tsv(kept, tmp_path / "genes.tsv")
    reasons = ["missing_label:A_cage;blacklisted", "blacklisted", "blacklisted"]
    write_tsv(raw.tail(3).assign(reason=reasons), tmp_path / "dropped.tsv")
    splits = ["train", "train", "train", "valid", "test", "none", "none"]
    write_tsv(kept[["gene_id"]].assign(fold1=splits), tmp_path / "splits.tsv")
    shared = pd.DataFrame({"fold": ["fold1"], "gene_id": ["g5"], "action": ["drop"]})
    write_tsv(shared, tmp_path / "shared.tsv")
    (tmp_path / "sizes").write_text("1\t500\nchr2\t300\nchrM\t20\n")
    (tmp_path / "bad.bed").write_text("# x\nchr1\t5\t9\n")
    count = {"unit": "bases", "read": 820, "kept": 800, "skipped": {"without a value": 20}}
    write_json({"counts": [count]}, tmp_path / "dnase.json")
    count = {"unit": "genes", "read": 7, "kept": 7, "skipped": {}}
    write_json({"shares": [], "counts": {"dnase": [count]}}, tmp_path / "store.json")
    return {
        "table": tmp_path / "table.tsv", "genes": tmp_path / "genes.tsv",
        "dropped": tmp_path / "dropped.tsv", "splits": tmp_path / "splits.tsv",
        "sizes": tmp_path / "sizes", "shared": tmp_path / "shared.tsv",
        "blacklist": tmp_path / "bad.bed", "label_columns": {"A": "A_cage"},
        "summaries": {"A": {"dnase": tmp_path / "dnase.json"}},
        "stores": {"A": tmp_path / "store.json"}, "aliases": {"1": "chr1"},
    }  # fmt: skip


def test_kept_and_skipped_are_all_that_was_read(inputs: dict[str, Any]) -> None:
    table = input_summary(**inputs)
    for _, own in table.groupby(["input", "cell", "unit"]):
        number = own.groupby("outcome")["n"].sum()
        assert number["read"] == number["kept"] + number.get("skipped", 0)
    skipped = table[table["outcome"] == "skipped"]
    found = {(r.input, r.unit, r.reason): r.n for r in skipped.itertuples()}
    assert found == {
        ("genes", "rows", "blacklisted"): 2,
        ("genes", "rows", "missing_label:A_cage;blacklisted"): 1,
        ("genome", "sequences", "no gene on it"): 1,
        ("genome", "bases", "no gene on their sequence"): 20,
        ("labels", "values", "no value"): 1,
        ("labels", "values", "its gene was dropped for another reason"): 2,
        ("split fold1", "genes", "sequence stands in another split"): 1,
        ("split fold1", "genes", "in no split"): 1,
        ("blacklist", "lines", "comment, track line or empty"): 1,
        ("dnase", "bases", "without a value"): 20,
    }


def test_files_behind_a_table_that_the_workflow_made_come_first(
    inputs: dict[str, Any], tmp_path: Path
) -> None:
    count = {"unit": "lines", "read": 5, "kept": 3, "skipped": {"of feature gene": 2}}
    rows = [
        *rows_of([count], input="annotation", cell=""),
        *rows_of([count], input="quantification", cell="A"),
        *rows_of([count], input="quantification", cell="of another dataset"),
    ]
    write_tsv(pd.DataFrame(rows), tmp_path / "genes.inputs.tsv")
    table = input_summary(**inputs, own=tmp_path / "genes.inputs.tsv")
    assert table["input"].tolist()[:7] == ["annotation"] * 3 + ["quantification"] * 3 + ["genes"]
    assert table["cell"].tolist()[:4] == ["", "", "", "A"] and table["n"].tolist()[:3] == [5, 3, 2]


def test_a_row_that_nobody_accounts_for_is_a_fault(inputs: dict[str, Any]) -> None:
    kept = read_tsv(inputs["genes"])
    write_tsv(kept.head(6), inputs["genes"])
    with pytest.raises(RuntimeError, match="6 rows kept of 10"):
        input_summary(**inputs)


def test_the_file_has_what_the_job_is_given(inputs: dict[str, Any], tmp_path: Path) -> None:
    names = ("label_columns", "summaries", "stores", "aliases")
    settings = {name: inputs[name] for name in names}
    given = {name: path for name, path in inputs.items() if name not in names}
    write_input_summary(settings, {**given, "blacklist": [], "own": []}, tmp_path / "out.tsv")
    found = read_tsv(tmp_path / "out.tsv")
    assert "blacklist" not in set(found["input"])
    assert len(found) == len(input_summary(**{**inputs, "blacklist": None}))
