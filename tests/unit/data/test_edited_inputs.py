"""Stretches of windows replaced: against plain loops over the unchanged arrays."""

from __future__ import annotations

import numpy as np
import pytest
from make_store import add_elements, make_store, settings

from prismflow.data.edited_inputs import Edits, edited, one_stretch_each
from prismflow.data.inputs import GeneInputs
from prismflow.data.store import Store
from prismflow.training.record import open_inputs

SIGNALS = ("h3k27ac", "dnase", "hic")
GENES = np.array([4, 4, 9])


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> GeneInputs:
    """Inputs of a store with elements, windows of 200 bp."""
    store, _ = make_store(tmp_path_factory.mktemp("edited"))
    add_elements(store)
    chosen = settings(window_bp=200, transforms=dict.fromkeys(SIGNALS, "log10p1"))
    return open_inputs(Store.open(store), chosen, ("elements", "element_features"))


def _edits(replace: str, **changes: object) -> Edits:
    """Bases 10 to 30 and 150 to 160 of gene 4, none of it again, and 0 to 50 of gene 9."""
    known = {"sequence": True, "signals": SIGNALS, "donors": np.array([2, 0, 0])} | changes
    return Edits(GENES, np.array([0, 2, 2, 3]), np.array([10, 150, 0]), np.array([30, 160, 50]),
                 replace=replace, **known)  # type: ignore[arg-type]  # fmt: skip


AT = [np.r_[10:30, 150:160], np.r_[0:0], np.r_[0:50]]


def test_a_blank_has_unknown_bases_and_no_signal_and_all_else_stays(inputs: GeneInputs) -> None:
    changed, rows = edited(inputs, _edits("blank")), np.arange(3)
    codes, signals = inputs.codes(GENES), inputs.signals(GENES)
    for row, at in enumerate(AT):
        codes[row, at], signals[row, at] = 4, 0
    np.testing.assert_array_equal(changed.codes(rows), codes)
    np.testing.assert_array_equal(changed.signals(rows), signals)
    np.testing.assert_array_equal(changed.features(rows), inputs.features(GENES))
    np.testing.assert_array_equal(changed.labels(rows), inputs.labels(GENES))


def test_a_shuffle_moves_bases_and_signals_of_a_gene_together(inputs: GeneInputs) -> None:
    changed = edited(inputs, _edits("shuffle"))
    own, moved = inputs.codes(GENES)[0], changed.codes(np.array([0]))[0]
    signal, moved_signal = (x.signal("dnase", r)[0] for x, r in (
        (inputs, GENES[:1]), (changed, np.array([0]))))  # fmt: skip
    outside = np.setdiff1d(np.arange(200), AT[0])
    np.testing.assert_array_equal(moved[outside], own[outside])
    before = sorted(zip(own[AT[0]], signal[AT[0]], strict=True))
    assert sorted(zip(moved[AT[0]], moved_signal[AT[0]], strict=True)) == before
    assert (moved_signal[AT[0]] != signal[AT[0]]).any()


def test_an_exchange_takes_what_the_donor_has_in_its_stretches(inputs: GeneInputs) -> None:
    changed = edited(inputs, _edits("exchange"))
    donor = inputs.signal("h3k27ac", GENES[2:])[0, :50]
    found = changed.signal("h3k27ac", np.array([0]))[0]
    np.testing.assert_array_equal(found[AT[0]], donor[:30])
    theirs = inputs.codes(GENES[:1])[0, AT[0]]
    np.testing.assert_array_equal(changed.codes(np.array([2]))[0, :50], np.resize(theirs, 50))


@pytest.mark.parametrize("signals", [(), ("dnase",)])
def test_only_what_is_named_is_replaced(inputs: GeneInputs, signals: tuple[str, ...]) -> None:
    changed = edited(inputs, _edits("blank", sequence=not signals, signals=signals))
    rows = np.array([0])
    assert (changed.codes(rows) == inputs.codes(GENES[:1])).all() == bool(signals)
    for name in SIGNALS:
        same = (changed.signal(name, rows) == inputs.signal(name, GENES[:1])).all()
        assert same == (name not in signals)


def test_elements_are_replaced_by_slots_and_keep_their_distance(inputs: GeneInputs) -> None:
    slots = np.zeros((3, 4), bool)
    slots[0, 1] = slots[2, 2] = True
    codes, features = (inputs.extra(n, GENES) for n in ("elements", "element_features"))
    blank = edited(inputs, _edits("blank", slots=slots))
    found = blank.extra("elements", np.arange(3))
    assert (found[0, 1] == 4).all() and (found[2, 2] == 4).all()
    np.testing.assert_array_equal(found[~slots], codes[~slots])
    left = blank.extra("element_features", np.arange(3))
    np.testing.assert_array_equal(left[0, 1], [features[0, 1, 0], 0, 0])
    np.testing.assert_array_equal(left[~slots], features[~slots])
    exchanged = edited(inputs, _edits("exchange", slots=slots))
    found = exchanged.extra("elements", np.arange(3))
    np.testing.assert_array_equal(found[0, 1], codes[2, 2])
    left = exchanged.extra("element_features", np.arange(3))
    np.testing.assert_array_equal(left[0, 1], [features[0, 1, 0], *features[2, 2, 1:]])


def test_one_stretch_each_may_be_empty(inputs: GeneInputs) -> None:
    edits = one_stretch_each(GENES, np.array([5, 7, 9]), np.array([8, 7, 10]), SIGNALS)
    changed = edited(inputs, edits).codes(np.arange(3))
    expected = inputs.codes(GENES)
    expected[0, 5:8] = expected[2, 9] = 4
    np.testing.assert_array_equal(changed, expected)
