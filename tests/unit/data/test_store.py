"""Stores: reading, cropping, expanding contacts, agreement of files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from make_store import write_store

from prismflow.data.store import Store
from prismflow.errors import InputError


def make_store(path: Path, n_genes: int = 6, window_bp: int = 40, resolution_bp: int = 7) -> Path:
    """A small store with every kind of modality, written from memory."""
    rng = np.random.default_rng(1)
    tss = np.array([10, 30, 100, 200, 310, 395])[:n_genes]
    start = tss - window_bp // 2
    genes = pd.DataFrame(
        {
            "gene_id": [f"g{i}" for i in range(n_genes)],
            "chrom": "chr1",
            "tss": tss,
            "strand": "+",
            "window_start": start,
            "window_end": start + window_bp,
            "pad_left": np.maximum(0, -start),
            "pad_right": np.maximum(0, start + window_bp - 400),
            "label": rng.random(n_genes),
        }
    )
    n_bins = (window_bp - 1 + resolution_bp - 1) // resolution_bp + 1
    write_store(
        path,
        dataset="d",
        cell="c",
        window_bp=window_bp,
        genes=genes,
        sequence=rng.integers(0, 5, (n_genes, window_bp)),
        signals={
            "zeta": rng.random((n_genes, window_bp), dtype=np.float32),
            "alpha": rng.random((n_genes, window_bp)).astype(np.float16),
        },
        contacts={"hic": (rng.random((n_genes, n_bins), dtype=np.float32) + 1, resolution_bp)},
        peaks={"peaks": rng.integers(0, 2, (n_genes, window_bp))},
        gene_features=pd.DataFrame(rng.random((n_genes, 2)), columns=["f1", "f2"]),
    )
    return path


def test_read_back(tmp_path: Path) -> None:
    store = Store.open(make_store(tmp_path / "store"), verify_digests=True)
    assert store.window_bp == 40
    assert store.modalities == ("zeta", "alpha", "hic")
    assert store.peaks == ("peaks",)
    assert store.labels.shape == (6,)
    assert store.gene_features.shape == (6, 2)
    rows = np.array([3, 0])
    assert store.sequence(rows, 10).tolist() == store.arrays["sequence"][rows, 15:25].tolist()
    crop = store.signal("alpha", rows, 10)
    assert crop.dtype == np.float32
    assert crop.tolist() == store.arrays["alpha"][rows, 15:25].astype(np.float32).tolist()
    assert set(np.unique(store.signal("peaks", rows, 40))) <= {0.0, 1.0}


@pytest.mark.parametrize("window_bp", [2, 10, 38, 40])
def test_contacts_are_expanded_by_absolute_bin(tmp_path: Path, window_bp: int) -> None:
    store = Store.open(make_store(tmp_path / "store"))
    rows = np.arange(6)
    found = store.signal("hic", rows, window_bp)
    for row in rows:
        start = int(store.genes["window_start"][row])
        first = start + (40 - window_bp) // 2
        for i in range(window_bp):
            base = first + i
            bin_column = base // 7 - start // 7
            inside = 0 <= base < 400
            expected = store.arrays["hic"][row, bin_column] if inside else 0.0
            assert found[row, i] == expected


def test_longer_or_odd_window_is_refused(tmp_path: Path) -> None:
    store = Store.open(make_store(tmp_path / "store"))
    with pytest.raises(InputError, match=r"window of 80 bp .* windows of 40 bp"):
        store.sequence([0], 80)
    with pytest.raises(InputError, match="even window, found 7 bp"):
        store.signal("zeta", [0], 7)
    with pytest.raises(InputError, match=r"'dnase'; it has: .*zeta"):
        store.signal("dnase", [0], 10)


def test_files_must_agree_with_the_manifest(tmp_path: Path) -> None:
    path = make_store(tmp_path / "store")
    np.save(path / "alpha.npy", np.zeros((6, 38), dtype=np.float16))
    with pytest.raises(InputError, match=r"alpha.npy: store.json says float16 of shape \(6, 40\)"):
        Store.open(path)
    (path / "alpha.npy").write_bytes((path / "alpha.npy").read_bytes()[:150])
    with pytest.raises(InputError, match="expected a complete array file"):
        Store.open(path)
    (path / "alpha.npy").unlink()
    with pytest.raises(InputError, match="found no such file"):
        Store.open(path)


def test_manifest_faults(tmp_path: Path) -> None:
    path = make_store(tmp_path / "store")
    good = json.loads((path / "store.json").read_text())
    for change, words in [
        ({"format_version": 99}, "expected format_version 1, found 99"),
        ({"modality_order": ["zeta"]}, "modality_order names"),
        ({"n_genes": 7}, r"\(7, 40\)"),
    ]:
        (path / "store.json").write_text(json.dumps(good | change))
        with pytest.raises(InputError, match=words):
            Store.open(path)
    del good["digests"]
    (path / "store.json").write_text(json.dumps(good))
    with pytest.raises(InputError, match="digests"):
        Store.open(path)
    with pytest.raises(InputError, match="no such folder"):
        Store.open(tmp_path / "absent")


def test_changed_bytes_are_noticed(tmp_path: Path) -> None:
    path = make_store(tmp_path / "store")
    values = np.load(path / "zeta.npy")
    np.save(path / "zeta.npy", values + 1)
    Store.open(path)
    with pytest.raises(InputError, match="SHA-256"):
        Store.open(path, verify_digests=True)


def test_folder_with_other_files_is_not_replaced(tmp_path: Path) -> None:
    target = tmp_path / "store"
    target.mkdir()
    make_store(target)
    make_store(target)
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.txt").write_text("precious")
    with pytest.raises(InputError, match=r"thesis\.txt"):
        make_store(other)
    assert (other / "thesis.txt").read_text() == "precious"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["other", "store"]


def test_equal_input_gives_equal_bytes(tmp_path: Path) -> None:
    one, two = make_store(tmp_path / "one"), make_store(tmp_path / "two")
    for file in sorted(one.iterdir()):
        assert file.read_bytes() == (two / file.name).read_bytes(), file.name


def mapped_kb(path: Path) -> int:
    """Resident KiB of a mapped file in this process."""
    lines = iter(Path("/proc/self/smaps").read_text().splitlines())
    return sum(
        next(int(later.split()[1]) for later in lines if later.startswith("Rss:"))
        for line in lines
        if line.endswith(str(path))
    )


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="no list of mappings")
def test_what_was_read_is_let_go_and_read_again(tmp_path: Path) -> None:
    store = Store.open(make_store(tmp_path / "store"))
    file = store.path / store.modality("zeta")["file"]
    before = store.signal("zeta", range(6), 40)
    assert mapped_kb(file) > 0
    store.let_go()
    assert mapped_kb(file) == 0
    np.testing.assert_array_equal(store.signal("zeta", range(6), 40), before)
