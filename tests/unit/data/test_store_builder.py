"""Building stores from files: agreement with plain loops and with the released window cutting."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyBigWig
import pytest
from safetensors.numpy import load_file

from prismflow.data.contacts import PSEUDOCOUNT
from prismflow.data.store import Store
from prismflow.data.store_builder import build_store
from prismflow.errors import InputError
from prismflow.files import write_tsv
from prismflow.jobs.patches.hictk import hictkpy

LENGTHS = {"chr1": 30_000, "chr2": 12_000}
WINDOW_BP = 2000
LETTERS = np.array(list("ACGTN"))


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Any]:
    """A genome, two tracks, a contact matrix, peaks and a gene table with known content."""
    rng = np.random.default_rng(6)
    content: dict[str, Any] = {"codes": {}, "a": {}, "b": {}}
    for chrom, length in LENGTHS.items():
        content["codes"][chrom] = rng.integers(0, 5, length).astype(np.uint8)
        content["a"][chrom] = rng.random(length).astype(np.float32)
        content["b"][chrom] = (rng.random(length) * 300).astype(np.float32)
        content["a"][chrom][rng.random(length) < 0.3] = np.nan
    (tmp_path / "g.fa").write_text(
        "".join(f">{c}\n{''.join(LETTERS[v])}\n" for c, v in content["codes"].items())
    )
    for name in "ab":
        with pyBigWig.open(str(tmp_path / f"{name}.bw"), "w") as out:
            out.addHeader(list(LENGTHS.items()))
            for chrom, values in content[name].items():
                at = np.flatnonzero(~np.isnan(values))
                out.addEntries(
                    [chrom] * len(at), at.tolist(), ends=(at + 1).tolist(),
                    values=values[at].astype(float).tolist(),
                )  # fmt: skip
    writer = hictkpy.cooler.FileWriter(str(tmp_path / "x.cool"), LENGTHS, 1000)
    pairs = [(i, j) for i in range(42) for j in range(i, 42) if (i < 30) == (j < 30) and i != 5]
    content["hic"] = {(i, j): i + 2 * j + 1 for i, j in pairs}
    writer.add_pixels_from_dict(
        {
            "bin1_id": [i for i, _ in pairs],
            "bin2_id": [j for _, j in pairs],
            "count": [content["hic"][pair] for pair in pairs],
        }
    )
    writer.finalize()
    (tmp_path / "p.bed").write_text("chr1\t0\t300\nchr2\t5000\t5100\n")
    tss = np.array([15_000, 6000, 400, 5500, 29_500, 15_000])
    genes = pd.DataFrame(
        {
            "gene_id": [f"g{i}" for i in range(6)],
            "chrom": ["chr1", "chr2", "chr1", "chr1", "chr1", "chr2"],
            "tss": tss.clip(max=np.array([30_000, 12_000, 30_000, 30_000, 30_000, 12_000])),
            "strand": ["+", "-", "+", "-", "+", "-"],
        }
    )
    genes["window_start"] = genes["tss"] - WINDOW_BP // 2
    genes["window_end"] = genes["tss"] + WINDOW_BP // 2
    genes["gc"] = np.linspace(0, 1, 6)
    genes["promoter_activity_A"] = np.arange(6.0)
    genes["label_A"] = np.linspace(1, 2, 6)
    write_tsv(genes, tmp_path / "genes.tsv")
    return content | {"folder": tmp_path, "genes": genes}


def build(files: dict[str, Any], **options: Any) -> Path:
    folder = files["folder"]
    settings: dict[str, Any] = {
        "dataset": "d",
        "cell": "A",
        "genes_path": folder / "genes.tsv",
        "fasta": folder / "g.fa",
        "window_bp": WINDOW_BP,
        "features": ["gc"],
        "tracks": [
            {"modality": "b", "kind": "signal", "path": folder / "b.bw"},
            {"modality": "a", "kind": "signal", "path": folder / "a.bw", "missing": "zero"},
            {
                "modality": "hic", "kind": "contacts", "path": folder / "x.cool",
                "resolution_bp": 1000, "normalisation": "NONE",
            },
            {"modality": "peaks", "kind": "peaks", "path": folder / "p.bed"},
        ],
    }  # fmt: skip
    path = folder / "out" / "store"
    build_store(path, **(settings | options))
    return path


def padded(values: np.ndarray, start: int, end: int, outside: float) -> np.ndarray:
    result = np.full(end - start, outside, dtype=np.float64)
    for at in range(max(start, 0), min(end, len(values))):
        result[at - start] = values[at]
    return result


def test_store_against_plain_loops(files: dict[str, Any]) -> None:
    store = Store.open(build(files), verify_digests=True)
    rows = np.arange(6)
    assert store.modalities == ("b", "a", "hic")
    assert store.genes["pad_left"].tolist() == [0, 0, 600, 0, 0, 0]
    assert store.genes["pad_right"].tolist() == [0, 0, 0, 0, 500, 1000]
    # Gene 3 lies in a bin without contacts, the TSS of gene 5 is the end of the last bin.
    uncovered = (3, 5)
    for row, gene in files["genes"].iterrows():
        chrom, start, end = gene["chrom"], gene["window_start"], gene["window_end"]
        codes = padded(files["codes"][chrom], start, end, 4)
        np.testing.assert_array_equal(store.sequence(rows, WINDOW_BP)[row], codes)
        for name in "ab":
            values = padded(np.nan_to_num(files[name][chrom]), start, end, 0)
            np.testing.assert_array_equal(store.signal(name, rows, WINDOW_BP)[row], values)
        first_bin = 0 if chrom == "chr1" else 30
        contacts = store.signal("hic", rows, WINDOW_BP)[row]
        own = first_bin + gene["tss"] // 1000
        for at in range(0, WINDOW_BP, 37):
            base = start + at
            if row in uncovered or not 0 <= base < LENGTHS[chrom]:
                assert contacts[at] == 0
                continue
            pair = tuple(sorted((first_bin + base // 1000, own)))
            expected = files["hic"].get(pair, 0) + PSEUDOCOUNT
            assert contacts[at] == pytest.approx(expected, rel=1e-6)
    assert store.signal("peaks", rows, WINDOW_BP).sum(axis=1).tolist() == [0, 100, 300, 0, 0, 0]
    entry = store.manifest["modalities"]["a"]
    expected = sum(
        int(np.isnan(files["a"][g["chrom"]][max(g["window_start"], 0) : g["window_end"]]).sum())
        for _, g in files["genes"].iterrows()
    )
    assert entry["n_missing_bases"] == expected
    assert store.manifest["modalities"]["hic"]["n_genes_without_coverage"] == 2
    np.testing.assert_array_equal(store.labels, files["genes"]["label_A"].astype(np.float32))


def test_released_window_cutting(golden_dir: Path, tmp_path: Path) -> None:
    cases = json.loads((golden_dir / "loader" / "cases.json").read_text())
    stored = load_file(golden_dir / "loader" / "windows.safetensors")
    (tmp_path / "g.fa").write_text(f">chr1\n{cases['chrom_sequence']}\n")
    tss = np.array(cases["tss"])
    genes = pd.DataFrame({"gene_id": [f"g{t}" for t in tss], "chrom": "chr1", "tss": tss})
    genes = genes.assign(strand="+", window_start=tss - 1000, window_end=tss + 1000, label_A=0.0)
    write_tsv(genes, tmp_path / "genes.tsv")
    with pyBigWig.open(str(tmp_path / "x.bw"), "w") as out:
        out.addHeader([("chr1", 5000)])
        at = np.flatnonzero(~np.isnan(stored["in.values"]))
        out.addEntries(
            ["chr1"] * len(at), at.tolist(), ends=(at + 1).tolist(),
            values=stored["in.values"][at].astype(float).tolist(),
        )  # fmt: skip
    build_store(
        tmp_path / "store", dataset="d", cell="A", genes_path=tmp_path / "genes.tsv",
        fasta=tmp_path / "g.fa", window_bp=2000,
        tracks=[{"modality": "x", "kind": "signal", "path": tmp_path / "x.bw"}],
    )  # fmt: skip
    store = Store.open(tmp_path / "store")
    codes = store.sequence(np.arange(len(tss)), 2000)
    one_hot = np.concatenate([np.eye(4, dtype=np.uint8), np.zeros((1, 4), np.uint8)])[codes]
    for row, position in enumerate(tss):
        np.testing.assert_array_equal(one_hot[row], stored[f"seq_onehot.{position}"])
        np.testing.assert_array_equal(
            store.signal("x", [row], 2000)[0], np.nan_to_num(stored[f"signal.{position}"])
        )


def test_promoter_activity(files: dict[str, Any]) -> None:
    store = Store.open(build(files))
    assert store.manifest["gene_features"] == ["gc"]
    store = Store.open(build(files, promoter_activity="{cell}_activity"))
    assert store.manifest["gene_features"] == ["gc", "promoter_activity"]
    assert store.gene_features[:, 1].tolist() == [0, 1, 2, 3, 4, 5]
    modalities = {"promoter_activity_modalities": ("a", "b")}
    store = Store.open(build(files, promoter_activity="computed", **modalities))
    at = slice(14_500, 15_500)
    means = [np.nan_to_num(files[name]["chr1"][at]).mean() for name in "ab"]
    assert store.gene_features[0, 1] == pytest.approx(np.sqrt(means[0] * means[1]), rel=1e-5)
    with pytest.raises(InputError, match=r"cell 'A' has no h3k27ac and no dnase \(it has b, a"):
        build(files, promoter_activity="computed")


def test_float16_and_its_limit(files: dict[str, Any]) -> None:
    store = Store.open(build(files, signal_dtype="float16"))
    assert store.arrays["a"].dtype == np.float16
    with pyBigWig.open(str(files["folder"] / "big.bw"), "w") as out:
        out.addHeader(list(LENGTHS.items()))
        out.addEntries(["chr1", "chr2"], [14_900, 10], ends=[14_950, 20], values=[70_000.0, 1.0])
    track = {"modality": "big", "kind": "signal", "path": files["folder"] / "big.bw"}
    with pytest.raises(InputError, match="the value 70000 does not fit into float16"):
        build(files, signal_dtype="float16", tracks=[track])
    build(files, tracks=[track])
    with pytest.raises(InputError, match="expected float32 or float16, found 'int8'"):
        build(files, signal_dtype="int8")


def test_nothing_is_left_of_a_failed_build(files: dict[str, Any]) -> None:
    path = build(files)
    before = (path / "store.json").read_bytes()
    (files["folder"] / "a.bw").write_text("chr1\t0\t10\t5\n")
    with pytest.raises(InputError, match="found a file of text"):
        build(files)
    assert (path / "store.json").read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == ["store"]


def test_equal_bytes(files: dict[str, Any]) -> None:
    path = build(files)
    first = {file.name: file.read_bytes() for file in path.iterdir()}
    path = build(files)
    assert {file.name: file.read_bytes() for file in path.iterdir()} == first


def test_settings_that_do_not_fit(files: dict[str, Any]) -> None:
    for options, words in [
        ({"window_bp": 4000}, r"expected windows of 4000 bp, found \[2000\] bp"),
        ({"window_bp": 2001}, "positive even number"),
        ({"cell": "B"}, "absent: label_B"),
        ({"features": ["gc", "utr"]}, "gene features utr can't be found"),
        ({"tracks": [{"modality": "x", "kind": "image", "path": "y"}]}, "kind 'image'"),
        ({"tracks": [{"modality": "hic", "kind": "contacts", "path": "y"}]}, "resolution_bp"),
        ({"tracks": 2 * [{"modality": "a", "kind": "signal", "path": "a.bw"}]}, "a.bw"),
        ({"fasta": files["folder"] / "a.bw"}, "starts with '>'"),
    ]:
        with pytest.raises(InputError, match=words):
            build(files, **options)
    twice = 2 * [{"modality": "a", "kind": "signal", "path": files["folder"] / "a.bw"}]
    with pytest.raises(InputError, match="'a' is given twice"):
        build(files, tracks=twice)
    (files["folder"] / "g.fa").write_text(">1\nACGT\n>2\nAC\n")
    with pytest.raises(InputError, match=r"genes.tsv has chr1, chr2; .*g.fa has 1, 2"):
        build(files)


@pytest.fixture
def many(files: dict[str, Any]) -> dict[str, Any]:
    """Twenty-five genes on each chromosome, those of chr2 tested, and a track of zeros there."""
    folder = files["folder"]
    genes = pd.concat([files["genes"].iloc[[0]]] * 25 + [files["genes"].iloc[[1]]] * 25)
    genes["gene_id"] = [f"g{i}" for i in range(50)]
    genes["tss"] += np.arange(50)
    genes["window_start"], genes["window_end"] = genes["tss"] - 1000, genes["tss"] + 1000
    write_tsv(genes, folder / "genes.tsv")
    splits = pd.DataFrame({"gene_id": genes["gene_id"], "fold1": ["train"] * 25 + ["test"] * 25})
    write_tsv(splits, folder / "splits.tsv")
    with pyBigWig.open(str(folder / "flat.bw"), "w") as out:
        out.addHeader(list(LENGTHS.items()))
        at = np.arange(0, 30_000, 50)
        out.addEntries(
            ["chr1"] * len(at), at.tolist(), ends=(at + 50).tolist(),
            values=np.linspace(1, 2, len(at)).tolist(),
        )  # fmt: skip
        out.addEntries(["chr2"], [0], ends=[12_000], values=[0.0])
    return files


def test_zeros_on_the_whole_test_chromosome_are_refused(many: dict[str, Any]) -> None:
    folder = many["folder"]
    track = {"modality": "flat", "kind": "signal", "path": folder / "flat.bw"}
    further = {"splits": folder / "splits.tsv", "report": folder / "report.json"}
    with pytest.raises(
        InputError, match=r"flat.bw: .* all 25 of them \(fold fold1: chr2 \(25 genes\)\) .* has "
        r"values on chr1 \(25 genes\)"
    ):  # fmt: skip
        build(many, tracks=[track], **further)
    assert not (folder / "out" / "store").exists() and not (folder / "report.json").exists()
    build(many, tracks=[{**track, "absent_chromosomes": "missing"}], **further)
    shares = json.loads((folder / "report.json").read_text())["shares"]
    states = {(row["modality"], row["split"]): row["state"] for row in shares}
    assert states["flat", "test"] == "flag"
    assert states["flat", "train"] == states["sequence", "test"] == "ok"


def test_what_a_store_keeps_of_its_tracks_adds_up(many: dict[str, Any]) -> None:
    folder = many["folder"]
    (folder / "p.bed").write_text("chr1\t14900\t15100\nchr2\t5900\t6000\n")
    build(many, splits=folder / "splits.tsv", report=folder / "report.json")
    counts = json.loads((folder / "report.json").read_text())["counts"]
    assert set(counts) == {"a", "b", "hic", "peaks"}
    for count in [count for found in counts.values() for count in found]:
        assert count["read"] == count["kept"] + sum(count["skipped"].values())
    bases = next(count for count in counts["a"] if count["unit"] == "bases of windows")
    table = pd.read_csv(folder / "genes.tsv", sep="\t")
    expected = sum(
        int((~np.isnan(many["a"][row.chrom][max(row.window_start, 0) : row.window_end])).sum())
        for row in table.itertuples()
    )
    assert bases["read"] == 50 * WINDOW_BP and bases["kept"] == expected
