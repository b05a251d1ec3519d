"""Knock-outs in batches against a plain loop, killed and continued, and models with elements."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from make_store import add_elements, make_store, settings

from prismflow.data.store import Store
from prismflow.explain import knockouts
from prismflow.explain.attention import promoter_attention
from prismflow.explain.knockouts import Model, Targets, knock_out, score_pairs
from prismflow.files import read_tsv, write_tsv
from prismflow.training.run import train_run

SIGNALS = ["h3k27ac", "dnase", "hic"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A store with elements, and its splits."""
    store, splits = make_store(tmp_path_factory.mktemp("knockouts"))
    add_elements(store)
    return store, splits


@pytest.fixture(scope="module")
def run_of(
    data: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    """Folder of a run of an architecture with windows of 200 bp; trained once."""
    folders: dict[str, Path] = {}

    def trained(name: str) -> Path:
        if name not in folders:
            folder = folders[name] = tmp_path_factory.mktemp(name)
            files = (folder / f for f in ("model.safetensors", "model.json", "history.tsv"))
            train_run(*data, "fold11", 2, settings(name, window_bp=200), *files, device="cpu")
        return folders[name]

    return trained


def _pairs(store: Path) -> pd.DataFrame:
    """Of every gene its promoter, an element in the window, one half in it, and one beyond."""
    genes = Store.open(store).genes
    parts = []
    for kind, first, last in (("promoter", -64, 64), ("candidate", 60, 100),
                              ("candidate", 85, 125), ("candidate", 1980, 2020)):  # fmt: skip
        parts.append(pd.DataFrame({
            "source": "candidates", "kind": kind, "chrom": "chr1", "start": genes["tss"] + first,
            "end": genes["tss"] + last, "gene_id": genes["gene_id"],
        }))  # fmt: skip
    return pd.concat(parts, ignore_index=True)


@pytest.fixture(scope="module")
def pairs(data: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pairs") / "pairs.tsv"
    write_tsv(_pairs(data[0]), path)
    return path


def _score(run: Path, data: tuple[Path, Path], pairs: Path, out: Path, split: str = "test"):
    score_pairs(*data, run, pairs, {"split": split}, out, device="cpu", threads=1)
    return read_tsv(out)


def _alone(model: Model, row: int, start: int, end: int) -> float:
    """Prediction of one gene minus that with a stretch of its arrays overwritten."""
    inputs = model.inputs
    codes, signals = inputs.codes, type(inputs).signal

    class Changed(type(inputs)):  # type: ignore[misc]  # the class of these inputs
        def codes(self, rows: np.ndarray) -> np.ndarray:
            values = codes(rows)
            values[:, start:end] = 4
            return values

        def signal(self, name: str, rows: np.ndarray) -> np.ndarray:
            values = signals(self, name, rows)
            if name != "hic":
                values[:, start:end] = 0
            return values

    changed = Changed(**{name: getattr(inputs, name) for name in inputs.__dataclass_fields__})
    one = np.array([row])
    return float(model.predict(inputs, one)[0]) - float(model.predict(changed, one)[0])


@pytest.mark.parametrize("name", ["cnn", "gbm"])
def test_batched_knock_outs_equal_a_loop_over_elements(
    data: tuple[Path, Path], run_of: Callable[[str], Path], pairs: Path, tmp_path: Path, name: str
) -> None:
    found = _score(run_of(name), data, pairs, tmp_path / "scores.tsv")
    model = Model.open(*data, run_of(name), device="cpu", threads=1)
    test = model.split.rows["test"]
    n = len(Store.open(data[0]).genes)
    assert set(found["pair"] % n) == set(test) and found["held_out"].all()
    assert len(found) == 4 * len(test) and found["attention"].isna().all()
    stretches = {0: (36, 164), 1: (160, 200), 2: (185, 200), 3: (0, 0)}
    for row in found.itertuples():
        expected = _alone(model, row.pair % n, *stretches[row.pair // n])
        assert row.knockout == pytest.approx(expected, abs=1e-5)
        assert row.reached == (row.pair // n != 3)
    assert found[found["pair"] < n]["knockout"].abs().max() > 1e-3


def test_all_genes_are_scored_where_asked_and_those_trained_on_are_told(
    data: tuple[Path, Path], run_of: Callable[[str], Path], pairs: Path, tmp_path: Path
) -> None:
    found = _score(run_of("cnn"), data, pairs, tmp_path / "scores.tsv", split="all")
    n = len(Store.open(data[0]).genes)
    assert len(found) == 4 * n
    held = Model.open(*data, run_of("cnn"), device="cpu").split.rows["test"]
    assert set(found[found["held_out"]]["pair"] % n) == set(held)


def test_a_killed_job_goes_on_and_ends_with_the_same_bytes(
    data: tuple[Path, Path], run_of: Callable[[str], Path], pairs: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    whole, again = tmp_path / "whole.tsv", tmp_path / "again.tsv"
    monkeypatch.setattr(knockouts, "CHUNK", 10)
    _score(run_of("cnn"), data, pairs, whole)
    done: list[int] = []

    def killed(model: Model, targets: Targets) -> np.ndarray:
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(len(targets.genes))
        return knock_out(model, targets)

    monkeypatch.setattr(knockouts, "knock_out", killed)
    with pytest.raises(KeyboardInterrupt):
        _score(run_of("cnn"), data, pairs, again)
    later: list[int] = []

    def counted(model: Model, targets: Targets) -> np.ndarray:
        later.append(len(targets.genes))
        return knock_out(model, targets)

    monkeypatch.setattr(knockouts, "knock_out", counted)
    _score(run_of("cnn"), data, pairs, again)
    assert again.read_bytes() == whole.read_bytes()
    reached = int(read_tsv(whole)["reached"].sum())
    assert sum(done) == 20 and sum(later) == reached - 20
    assert not list(tmp_path.glob("*.state"))


def test_epinformer_loses_the_element_and_its_attention_is_exported(
    data: tuple[Path, Path], run_of: Callable[[str], Path], pairs: Path, tmp_path: Path
) -> None:
    found = _score(run_of("epinformer"), data, pairs, tmp_path / "scores.tsv")
    n = len(Store.open(data[0]).genes)
    kind = found["pair"] // n
    assert found["reached"].all()
    model = Model.open(*data, run_of("epinformer"), device="cpu", threads=1)
    rows = found["pair"].to_numpy() % n
    attention = promoter_attention(
        model.settings, run_of("epinformer") / "model.safetensors", model.inputs, rows, 7, "cpu", 1
    )
    np.testing.assert_allclose(attention.sum(axis=1), 1, rtol=1e-5)
    # The first candidate begins within the promoter.
    for number, slots in ((0, [0, 1]), (1, [1]), (2, [1]), (3, [2])):
        own = (kind == number).to_numpy()
        expected = attention[own][:, slots].max(axis=1)
        np.testing.assert_allclose(found["attention"][own], expected, rtol=1e-5)
    assert found[kind == 3]["knockout"].abs().max() > 1e-6


def test_many_knock_outs_together_are_faster_than_one_by_one(
    data: tuple[Path, Path], run_of: Callable[[str], Path], pairs: Path
) -> None:
    # Windows of 200 bp; docs/benchmarks.md has the real sizes. Half of the bound, as cores vary.
    model = Model.open(*data, run_of("gbm"), device="cpu", threads=1)
    table = read_tsv(pairs)
    targets = Targets.of(table, np.arange(len(table)) % len(model.inputs.store.genes), model.inputs)
    some = np.arange(60)
    start = time.perf_counter()
    together = knock_out(model, targets.rows(some))
    middle = time.perf_counter()
    apart = np.concatenate([knock_out(model, targets.rows(some[[i]])) for i in some])
    last = time.perf_counter() - middle
    np.testing.assert_allclose(together, apart, rtol=1e-6)
    assert last > 2.5 * (middle - start)
