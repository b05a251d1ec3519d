"""A split whose input says nothing is refused or flagged, chance and the sheet's word are not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from prismflow.data import constant_inputs
from prismflow.errors import InputError

N = {"train": 200, "valid": 40, "test": 40}
SPLIT = np.repeat(list(N), list(N.values()))
CHROMS = np.repeat(["chr1", "chr2", "chr3"], list(N.values())).astype(object)


def table(constant: np.ndarray, absent: str = "error", modality: str = "dnase") -> pd.DataFrame:
    splits = pd.DataFrame({"gene_id": [f"g{i}" for i in range(len(SPLIT))], "fold1": SPLIT})
    return constant_inputs.shares("A", {modality: constant}, CHROMS, splits, {modality: absent})


def states(found: pd.DataFrame) -> list[str]:
    return found.set_index("split").loc[list(N), "state"].tolist()


def some(**shares: float) -> np.ndarray:
    """The first genes of each split say nothing."""
    result = np.zeros(len(SPLIT), dtype=bool)
    for name, share in shares.items():
        rows = np.flatnonzero(name == SPLIT)
        result[rows[: round(share * len(rows))]] = True
    return result


def test_rows_of_one_value_are_found_in_blocks_of_any_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = np.random.default_rng(1).normal(size=(23, 7)).astype(np.float32)
    values[[0, 5, 22]] = [[0.0], [3.5], [1.0]]
    np.save(tmp_path / "a.npy", values)
    for block in (1, 60, 1 << 20):
        monkeypatch.setattr(constant_inputs, "_BLOCK_BYTES", block)
        found = constant_inputs.constant_rows(tmp_path / "a.npy")
        assert np.flatnonzero(found).tolist() == [0, 5, 22]


def test_contacts_of_one_bin_are_constant_without_fault(tmp_path: Path) -> None:
    np.save(tmp_path / "two.npy", np.array([[3.0, 3.0], [0.0, 0.0], [1.0, 2.0]]))
    found = constant_inputs.constant_rows(tmp_path / "two.npy", is_binned=True)
    assert found.tolist() == [False, True, False]
    np.save(tmp_path / "three.npy", np.array([[3.0, 3.0, 3.0], [3.0, 9.0, 3.0]]))
    found = constant_inputs.constant_rows(tmp_path / "three.npy", is_binned=True)
    assert found.tolist() == [True, False]


def test_a_test_split_without_input_is_refused_and_says_what_there_is() -> None:
    found = table(some(test=1, train=0.1))
    assert states(found) == ["ok", "ok", "refused"]
    with pytest.raises(
        InputError,
        match=r"x.bw: expected dnase of A to vary in the windows of test genes .* in all 40 of "
        r"them \(fold fold1: chr3 \(40 genes\)\) and in 8% of the other genes; it has values on "
        r"chr1 \(180 genes\), chr2 \(40 genes\)\. .*absent_chromosomes: missing",
    ):
        constant_inputs.refuse(
            found, {"dnase": "x.bw"},
            {"dnase": constant_inputs.varying_on(some(test=1, train=0.1), CHROMS)},
        )  # fmt: skip


def test_the_word_of_the_sheet_turns_the_refusal_into_a_flag_with_a_count() -> None:
    found = table(some(test=1), absent="missing")
    assert states(found) == ["ok", "ok", "flag"]
    constant_inputs.refuse(found, {}, {})
    flags = constant_inputs.flags([found])
    assert flags[0].startswith("A dnase: 40 of 40 test genes (fold fold1)")
    assert "chr3 (40 genes)" in flags[0]


@pytest.mark.parametrize(
    ("shares", "expected"),
    [
        ({"test": 0.2}, "ok"),
        ({"test": 0.5}, "flag"),
        ({"test": 0.5, "train": 0.5, "valid": 0.5}, "ok"),
        ({"test": 0.9, "train": 0.7, "valid": 0.7}, "ok"),  # not far enough
        ({"test": 1.0, "train": 1.0, "valid": 1.0}, "flag"),
    ],
)
def test_what_is_far(shares: dict[str, float], expected: str) -> None:
    assert states(table(some(**shares)))[2] == expected


def test_few_genes_are_not_judged() -> None:
    assert not constant_inputs.is_far(19, 19, 0, 500)
    assert constant_inputs.is_far(20, 20, 0, 500)


def test_cells_share_one_flag_on_unknown_sequence() -> None:
    found = [table(some(test=1), "missing", "sequence")] * 2
    flags = constant_inputs.flags(found)
    assert len(flags) == 1 and flags[0].startswith("sequence: 40 of 40 test genes")
