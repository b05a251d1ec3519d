"""Layouts: told from an entry of store.json, and what each says of its values."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from prismflow.data.layouts import Mask, PerBase, PerBin, StoredWindows, layout_of
from prismflow.errors import InputError

WINDOWS = StoredWindows(4, np.array([8, 18]), np.array([[0, 0], [0, 1]]))
BINS = {"dtype": "float32", "n_bins": 2, "resolution_bp": 10}


def test_an_entry_tells_its_layout() -> None:
    assert type(layout_of({"dtype": "float16"})) is PerBase
    assert type(layout_of({"dtype": "uint8"})) is Mask
    assert type(layout_of(BINS)) is PerBin


def test_only_masks_are_no_model_input_and_only_bins_are_logarithms_by_default() -> None:
    layouts = (PerBase(), Mask(), PerBin())
    assert [layout.is_input for layout in layouts] == [True, False, True]
    assert [layout.is_binned for layout in layouts] == [False, False, True]
    assert [layout.default_transform for layout in layouts] == ["raw", "raw", "log10p1"]


def test_values_per_base_are_cropped_in_the_order_of_rows() -> None:
    stored = np.arange(8, dtype=np.float16).reshape(2, 4)
    found = PerBase().read(stored, {"dtype": "float16"}, np.array([1, 0]), WINDOWS, 2)
    assert found.dtype == np.float32
    assert found.tolist() == [[5, 6], [1, 2]]


def test_bins_are_expanded_and_nothing_stands_behind_the_chromosome() -> None:
    stored = np.array([[1.0, 2.0], [3.0, 4.0]], dtype=np.float32)
    found = PerBin().read(stored, BINS, np.array([0, 1]), WINDOWS, 4)
    assert found.tolist() == [[1, 1, 2, 2], [3, 3, 4, 0]]


def test_bins_that_do_not_fit_the_windows_are_refused() -> None:
    assert PerBin().width(Path("store.json"), "hic", BINS, 4) == 2
    assert PerBase().width(Path("store.json"), "dnase", {"dtype": "float32"}, 4) == 4
    with pytest.raises(InputError, match=r"store.json: hic needs 2 bins of 10 bp .* n_bins 3"):
        PerBin().width(Path("store.json"), "hic", {**BINS, "n_bins": 3}, 4)
