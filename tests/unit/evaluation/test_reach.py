"""Input beyond a distance replaced, as scenarios of an evaluation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from make_store import add_elements, make_store, settings

from prismflow.data.inputs import GeneInputs
from prismflow.data.store import Store
from prismflow.errors import InputError
from prismflow.evaluation.reach import donors, replaced_beyond, shifts_and_strands, too_near
from prismflow.evaluation.scenarios import evaluate_run
from prismflow.files import read_tsv
from prismflow.settings.scenarios import Scenario, scenarios_beyond
from prismflow.training.record import open_inputs
from prismflow.training.run import train_run

ROWS = np.array([3, 8, 13])


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    store, splits = make_store(tmp_path_factory.mktemp("reach"))
    add_elements(store)
    return store, splits


@pytest.fixture(scope="module")
def inputs(data: tuple[Path, Path]) -> GeneInputs:
    return open_inputs(Store.open(data[0]), settings(window_bp=200))


def _beyond(distance: int, **changes: object) -> Scenario:
    return Scenario.parse("own", {"beyond_bp": distance, **changes})


def test_all_beyond_the_distance_is_taken_out_on_both_sides(inputs: GeneInputs) -> None:
    changed, rows = replaced_beyond(inputs, _beyond(30), ROWS)
    codes, signals = inputs.codes(ROWS), inputs.signals(ROWS)
    for array, nothing in ((codes, 4), (signals, 0)):
        array[:, :70], array[:, 130:] = nothing, nothing
    np.testing.assert_array_equal(changed.codes(rows), codes)
    np.testing.assert_array_equal(changed.signals(rows), signals)


def test_elements_are_those_whose_centre_lies_beyond(inputs: GeneInputs) -> None:
    changed, rows = replaced_beyond(inputs, _beyond(79, where="elements"), ROWS)
    codes = inputs.codes(ROWS)
    codes[:, 160:] = 4
    np.testing.assert_array_equal(changed.codes(rows), codes)
    nearer, rows = replaced_beyond(inputs, _beyond(80, where="elements"), ROWS)
    np.testing.assert_array_equal(nearer.codes(rows), inputs.codes(ROWS))


@pytest.mark.parametrize("kind", ["sequence", "signals"])
def test_sequence_and_signals_are_exchanged_apart(inputs: GeneInputs, kind: str) -> None:
    scenario = _beyond(30, inputs=kind, replace="exchange")
    changed, rows = replaced_beyond(inputs, scenario, ROWS)
    other = ROWS[donors(3)]
    codes, signals = inputs.codes(ROWS), inputs.signals(ROWS)
    for part in (slice(0, 70), slice(130, 200)):
        if kind == "sequence":
            codes[:, part] = inputs.codes(other)[:, part]
        else:
            signals[:, part] = inputs.signals(other)[:, part]
    np.testing.assert_array_equal(changed.codes(rows), codes)
    np.testing.assert_array_equal(changed.signals(rows), signals)


def test_nobody_exchanges_with_itself() -> None:
    for n in (2, 3, 50):
        found = donors(n)
        assert sorted(found) == list(range(n)) and (found != np.arange(n)).all()


def test_a_window_that_ends_before_the_distance_is_left_alone(inputs: GeneInputs) -> None:
    assert too_near(_beyond(100), inputs) is not None and too_near(_beyond(99), inputs) is None


def test_a_store_without_elements_is_refused(tmp_path: Path) -> None:
    plain = open_inputs(Store.open(make_store(tmp_path)[0]), settings(window_bp=200))
    with pytest.raises(InputError, match="has no candidate enhancers; declare `elements`"):
        replaced_beyond(plain, _beyond(30, where="elements"), ROWS)


def test_the_average_is_that_of_six_views(inputs: GeneInputs) -> None:
    views = list(shifts_and_strands(inputs))
    assert len(views) == 6
    assert len({view.codes(ROWS).tobytes() for view in views}) == 6


@pytest.mark.parametrize("name", ["cnn", "gbm", "epinformer"])
def test_every_way_is_a_scenario_of_an_evaluation(
    data: tuple[Path, Path], tmp_path: Path, name: str
) -> None:
    files = [tmp_path / file for file in ("model.safetensors", "model.json", "history.tsv")]
    train_run(*data, "fold11", 2, settings(name, window_bp=200), *files, device="cpu")
    wanted = {"full": {}, **scenarios_beyond([60, 5000], elements=True)}
    outputs = (tmp_path / file for file in ("p.tsv.gz", "m.tsv", "e.safetensors"))
    evaluate_run(*data, *files[:2], wanted, *outputs, device="cpu", threads=1)
    found = {scenario: part["predicted"].to_numpy()
             for scenario, part in read_tsv(tmp_path / "p.tsv.gz").groupby("scenario")}  # fmt: skip
    near = {scenario for scenario in wanted if "5000bp" not in scenario}
    # EPInformer's own candidates reach further than its window.
    assert set(found) == (set(wanted) if name == "epinformer" else near)
    changed = found["beyond_60bp_all_both_blank"] - found["full"]
    assert np.abs(changed).max() > 1e-4
    assert np.abs(found["averaged"] - found["full"]).max() > 0
