"""Windows moved against the TSS, on both strands."""

from __future__ import annotations

import numpy as np
import pytest
from make_store import make_store, settings

from prismflow.data.inputs import GeneInputs
from prismflow.data.shifted_inputs import shifted
from prismflow.data.store import Store
from prismflow.data.strands import COMPLEMENT
from prismflow.training.record import open_inputs

ROWS = np.array([3, 7])


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store.open(make_store(tmp_path_factory.mktemp("shifted"))[0])


def _inputs(store: Store, window_bp: int) -> GeneInputs:
    return open_inputs(store, settings(window_bp=window_bp))


@pytest.mark.parametrize("offset", [-43, 0, 43])
def test_a_moved_window_is_a_cut_of_the_stored_one(store: Store, offset: int) -> None:
    found, whole = shifted(_inputs(store, 128), offset), _inputs(store, 256)
    cut = slice(64 + offset, 192 + offset)
    np.testing.assert_array_equal(found.codes(ROWS), whole.codes(ROWS)[:, cut])
    np.testing.assert_array_equal(found.signals(ROWS), whole.signals(ROWS)[:, cut])
    np.testing.assert_array_equal(found.features(ROWS), whole.features(ROWS))


def test_what_the_store_does_not_hold_is_unknown_and_without_signal(store: Store) -> None:
    found, whole = shifted(_inputs(store, 256), 43), _inputs(store, 256)
    np.testing.assert_array_equal(found.codes(ROWS)[:, :-43], whole.codes(ROWS)[:, 43:])
    assert (found.codes(ROWS)[:, -43:] == 4).all()
    assert (found.signals(ROWS)[:, -43:] == 0).all()


def test_the_other_strand_is_turned_after_the_move(store: Store) -> None:
    forward = shifted(_inputs(store, 128), 43)
    turned = shifted(_inputs(store, 128), 43, other_strand=True)
    expected = COMPLEMENT[forward.codes(ROWS)][:, ::-1]
    np.testing.assert_array_equal(turned.codes(ROWS), expected)
    np.testing.assert_array_equal(turned.signal("dnase", ROWS),
                                  forward.signal("dnase", ROWS)[:, ::-1])  # fmt: skip
