"""Contacts: the released feature exactly, files of all kinds, accidents."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

from prismflow.data.chromosomes import Genes
from prismflow.data.contact_bins import bins_per_window, expand_bins
from prismflow.data.contact_guard import inspect_contacts
from prismflow.data.contacts import (
    PSEUDOCOUNT,
    ContactFile,
    contact_bins,
    feature_per_bin,
    power_law_contact,
    released_contact_feature,
    rows_of_bins,
)
from prismflow.errors import InputError
from prismflow.jobs.patches.hictk import hictkpy

LENGTHS = {"chr1": 100_300, "chr2": 40_000}


def pixels() -> dict[str, list]:
    """A few contacts on two chromosomes, symmetric, sorted."""
    rng = np.random.default_rng(2)
    columns: dict[str, list] = {
        k: [] for k in ("chrom1", "start1", "end1", "chrom2", "start2", "end2", "count")
    }
    for chrom, length in LENGTHS.items():
        n_bins = -(-length // 5000)
        for i in range(n_bins):
            for j in range(i, n_bins):
                if rng.random() < 0.3 and i != j:
                    continue
                row = (chrom, i * 5000, min((i + 1) * 5000, length))
                row += (chrom, j * 5000, min((j + 1) * 5000, length))
                row += (int(rng.integers(1, 500)),)
                for key, value in zip(columns, row, strict=True):
                    columns[key].append(value)
    return columns


def write_matrix(path: Path, names: dict[str, str] | None = None) -> Path:
    lengths = {(names or {}).get(c, c): n for c, n in LENGTHS.items()}
    columns = pixels()
    for key in ("chrom1", "chrom2"):
        columns[key] = [(names or {}).get(c, c) for c in columns[key]]
    if path.suffix == ".hic":
        writer = hictkpy.hic.FileWriter(str(path), lengths, [5000])
    else:
        writer = hictkpy.cooler.FileWriter(str(path), lengths, 5000)
    writer.add_pixels_from_dict(columns)
    writer.finalize()
    return path


def read(path: Path, **options: object) -> tuple[np.ndarray, dict]:
    settings: dict = {"window_bp": 20_000, "resolution_bp": 5000, "normalisation": "NONE"}
    genes = Genes(
        np.array(["chr2", "chr1", "chr1"], dtype=object),
        np.array([100, 52_000, 99_000]),
        options.pop("chrom_lengths", LENGTHS),
        aliases=options.pop("chrom_aliases", {}),
    )
    return contact_bins(path, genes, **(settings | options))


def test_power_law_and_pseudocount(golden_dir: Path) -> None:
    cases = json.loads((golden_dir / "hic" / "cases.json").read_text())
    law = cases["powerlaw"]
    for distance, value in zip(law["distance"], law["contact_gamma_0.87"], strict=True):
        assert power_law_contact(distance) == pytest.approx(value, rel=1e-14)
    assert cases["pseudocount"] == PSEUDOCOUNT


def same(found: np.ndarray, wanted: np.ndarray, case: str) -> None:
    """Equal but for the last bit, in which pandas 2 and 3 read the decimal numbers of the CSV."""
    np.testing.assert_allclose(found, wanted, rtol=2.3e-16, atol=0, err_msg=case)
    np.testing.assert_array_equal(found == 0, wanted == 0, err_msg=case)


def golden_cases(golden_dir: Path) -> list[tuple[str, int, int, pd.DataFrame]]:
    cases = json.loads((golden_dir / "hic" / "cases.json").read_text())
    result = []
    for chrom, positions in cases["tss"].items():
        table = pd.read_csv(golden_dir / "hic" / f"hic_contacts_{chrom}.csv")
        result += [(chrom, tss, cases["chr_lengths"][chrom], table) for tss in positions]
    return result


def test_released_feature_exactly(golden_dir: Path) -> None:
    expected = np.load(golden_dir / "hic" / "hic_feat_h5.npz")
    cases = golden_cases(golden_dir)
    assert len(cases) == len(expected.files)
    for chrom, tss, length, table in cases:
        found = released_contact_feature(
            table["bin1"].to_numpy(), table["bin2"].to_numpy(), table["hic_contact"].to_numpy(),
            tss, length,
        )  # fmt: skip
        same(found, expected[f"{chrom}_{tss}"], f"{chrom} {tss}")


@pytest.mark.parametrize("window_bp", [2000, 50_000, 200_000])
def test_loader_with_its_double_padding(golden_dir: Path, window_bp: int) -> None:
    expected = np.load(golden_dir / "hic" / "hic_loader.npz")
    n_shifted = 0
    for chrom, tss, length, table in golden_cases(golden_dir):
        feature, _ = feature_per_bin(
            table["bin1"].to_numpy(), table["bin2"].to_numpy(), table["hic_contact"].to_numpy(),
            np.array([tss]), length, 200_000, 5000,
        )  # fmt: skip
        start = np.array([tss - 100_000])
        pads = np.array([[max(0, 100_000 - tss), max(0, tss + 100_000 - length)]])
        crops = [
            expand_bins(feature.astype(np.float32), start, pads, 200_000, window_bp, 5000, double)
            for double in (False, True)
        ]
        wanted = expected[f"{chrom}_{tss}_range{window_bp}"]
        np.testing.assert_allclose(np.log10(crops[1][0] + 1), wanted, rtol=3e-7, atol=1e-9)
        inside_half = window_bp // 2
        if inside_half <= tss <= length - inside_half:
            np.testing.assert_array_equal(crops[0], crops[1])
        else:
            n_shifted += int(not np.array_equal(crops[0], crops[1]))
    assert n_shifted >= (1 if window_bp > 2000 else 0)


def test_plain_crop_keeps_positions(golden_dir: Path) -> None:
    expected = np.load(golden_dir / "hic" / "hic_feat_h5.npz")
    for chrom, tss, length, table in golden_cases(golden_dir):
        feature, _ = feature_per_bin(
            table["bin1"].to_numpy(), table["bin2"].to_numpy(), table["hic_contact"].to_numpy(),
            np.array([tss]), length, 50_000, 5000,
        )  # fmt: skip
        start = np.array([tss - 25_000])
        pads = np.array([[max(0, 25_000 - tss), max(0, tss + 25_000 - length)]])
        found = expand_bins(feature, start, pads, 50_000, 50_000, 5000)[0]
        wanted = np.nan_to_num(expected[f"{chrom}_{tss}"])[75_000:125_000]
        same(found, wanted, f"{chrom} {tss}")


@pytest.mark.parametrize(
    ("window_bp", "resolution_bp", "n_bins"),
    [(2000, 5000, 2), (200_000, 5000, 41), (2, 5000, 2), (5002, 5000, 3), (10_000, 10_000, 2)],
)
def test_bins_per_window(window_bp: int, resolution_bp: int, n_bins: int) -> None:
    assert bins_per_window(window_bp, resolution_bp) == n_bins
    touched = [
        (start + window_bp - 1) // resolution_bp - start // resolution_bp + 1
        for start in range(resolution_bp)
    ]
    assert max(touched) == n_bins


def test_rows_of_bins() -> None:
    rows = rows_of_bins(
        np.array([0, 0, 1, 2]), np.array([0, 2, 2, 2]), np.array([1.0, 2, 3, np.nan]),
        np.array([0, 2]), 2,
    )  # fmt: skip
    assert rows.tolist() == [[0, 0, 1, 0, 2], [2, 3, 0, 0, 0]]
    assert rows_of_bins(*(np.array([], int),) * 3, np.array([3]), 1).tolist() == [[0, 0, 0]]


def test_all_kinds_of_files_agree(tmp_path: Path) -> None:
    from_hic, report = read(write_matrix(tmp_path / "x.hic"))
    from_cool, _ = read(write_matrix(tmp_path / "x.cool"))
    np.testing.assert_array_equal(from_hic, from_cool)
    columns = pd.DataFrame(pixels())
    at = (
        (columns["chrom1"] == "chr1")
        & (columns["start1"] == 45_000)
        & (columns["start2"] == 50_000)
    )
    value = columns.loc[at, "count"]
    stored = float(value.iloc[0]) if len(value) else 0.0
    assert from_hic[1, 1] == pytest.approx(stored + PSEUDOCOUNT)
    assert from_hic.dtype == np.float32
    assert from_hic.shape == (3, 5)
    assert from_hic[0].tolist()[:2] == [0, 0]
    assert report == {"n_genes_without_coverage": 0, "n_genes_without_chromosome": 0}


def test_aliases_and_absent_chromosomes(tmp_path: Path) -> None:
    path = write_matrix(tmp_path / "x.hic", {"chr1": "1", "chr2": "2"})
    with pytest.raises(InputError, match=r"has chr2, chr1; .*x.hic has 1, 2"):
        read(path)
    values, _ = read(path, chrom_aliases={"1": "chr1", "2": "chr2"})
    np.testing.assert_array_equal(values, read(write_matrix(tmp_path / "y.hic"))[0])
    with pytest.raises(InputError, match=r"no data for chr2 \(1 genes\)"):
        read(path, chrom_aliases={"1": "chr1"})
    values, report = read(path, chrom_aliases={"1": "chr1"}, absent_chromosomes="missing")
    assert report["n_genes_without_chromosome"] == 1
    assert values[0].tolist() == [0] * 5
    assert values[1].max() > 1


def test_resolution_normalisation_and_assembly_are_checked(tmp_path: Path) -> None:
    for name in ("x.hic", "x.cool"):
        path = write_matrix(tmp_path / name)
        with pytest.raises(InputError, match=r"resolution of 10000 bp; the file has 5000 bp"):
            read(path, resolution_bp=10_000)
        with pytest.raises(InputError, match=r"no normalisation 'VC' at 5000 bp; .* has NONE"):
            read(path, normalisation="VC")
    with pytest.raises(InputError, match=r"chr2 has 41000 .* but 40000 .* different assemblies"):
        read(path, chrom_lengths=LENGTHS | {"chr2": 41_000})
    with pytest.raises(InputError, match="at most 2000000 bp"):
        read(path, window_bp=4_000_000)


def test_files_of_another_kind(tmp_path: Path) -> None:
    path = tmp_path / "x.hic"
    with pytest.raises(InputError, match="found no such file"):
        read(path)
    for content in (b"", b"not a matrix\n", b"HIC\x00"):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"x\.hic"):
            read(path)
    whole = write_matrix(tmp_path / "y.hic").read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="truncated"):
        read(path)
    whole = write_matrix(tmp_path / "y.cool").read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="truncated"):
        read(path)


def test_real_hic_and_mcool_agree(realdata_dir: Path) -> None:
    table = pd.read_csv(realdata_dir / "genes" / "genes_K562_chr22.tsv", sep="\t")
    genes = Genes(table["chr"].to_numpy(), table["tss"].to_numpy(), {"chr22": 50_818_468})
    found = []
    for name in ("K562_chr22_hg38.hic", "K562_chr22_hg38.mcool"):
        values, report = contact_bins(
            realdata_dir / "hic" / name, genes,
            window_bp=200_000, resolution_bp=5000, normalisation="NONE",
        )  # fmt: skip
        found.append(values)
        assert report["n_genes_without_coverage"] < 60
    np.testing.assert_array_equal(*found)
    assert found[0].max() > 100
    balanced, _ = contact_bins(
        realdata_dir / "hic" / "K562_chr22_hg38.mcool", genes,
        window_bp=2000, resolution_bp=5000, normalisation="weight",
    )  # fmt: skip
    assert np.isfinite(balanced).all()
    opened = ContactFile.open(realdata_dir / "hic" / "K562_chr22_hg38.mcool", 10_000)
    assert opened.resolutions == (5000, 10_000, 25_000, 50_000, 100_000)
    assert opened.normalisations == ("NONE", "weight")


def with_weights(path: Path, weights: dict[str, np.ndarray]) -> Path:
    write_matrix(path)
    with h5py.File(path, "a") as out:
        for name, values in weights.items():
            out["bins"][name] = values
    return path


def test_a_chromosome_without_finite_weights_is_absent(tmp_path: Path) -> None:
    n_bins = sum(-(-length // 5000) for length in LENGTHS.values())
    weights = np.ones(n_bins)
    weights[-8:] = np.nan
    path = with_weights(tmp_path / "x.cool", {"KR": weights})
    with pytest.raises(InputError, match=r"no contacts with normalisation KR on chr2 \(1 genes\)"):
        read(path, normalisation="KR")
    values, report = read(path, normalisation="KR", absent_chromosomes="missing")
    assert report["n_genes_without_chromosome"] == 1
    assert values[0].tolist() == [0] * 5
    where = Genes(np.array(["chr1", "chr2"], dtype=object), np.array([9000, 9000]), LENGTHS)
    with pytest.raises(InputError, match=r"KR on chr2 \(1 genes\); it has them on chr1 and the"):
        inspect_contacts(path, where, 5000, "KR")
    found = inspect_contacts(path, where, 5000, "KR", absent_chromosomes="missing")
    assert found["n_genes_without_chromosome"] == 1


@pytest.mark.parametrize("name", ["x.hic", "x.cool"])
def test_every_contact_near_the_diagonal_is_counted(tmp_path: Path, name: str) -> None:
    path, n_masked = tmp_path / name, 0
    columns = pd.DataFrame(pixels())
    own = columns[columns["chrom1"] == "chr2"]
    normalisation = "NONE"
    if name == "x.cool":
        weights = np.ones(sum(-(-length // 5000) for length in LENGTHS.values()))
        weights[-2], normalisation = np.nan, "KR"
        with_weights(path, {"KR": weights})
        masked = 30_000
        n_masked = int(((own["start1"] == masked) | (own["start2"] == masked)).sum())
        assert n_masked > 2
    else:
        write_matrix(path)
    where = Genes(np.array(["chr2"], dtype=object), np.array([9000]), LENGTHS)
    (count,) = inspect_contacts(path, where, 5000, normalisation)["counts"]
    assert count["read"] == len(own) == count["kept"] + n_masked
    skipped = {f"no value with normalisation {normalisation}": n_masked} if n_masked else {}
    assert count["skipped"] == skipped


def test_negative_contacts_and_multiplicative_weights_are_refused(tmp_path: Path) -> None:
    n_bins = sum(-(-length // 5000) for length in LENGTHS.values())
    where = Genes(np.array(["chr1"], dtype=object), np.array([9000]), LENGTHS)
    negative = np.ones(n_bins)
    negative[3] = -1
    path = with_weights(tmp_path / "x.cool", {"KR": negative})
    with pytest.raises(InputError, match=r"finite contacts >= 0 with normalisation KR, found -"):
        inspect_contacts(path, where, 5000, "KR")
    file = ContactFile.open(path, 5000)
    bin1, bin2, values = file.pixels("chr1", 40)
    matrix = np.zeros((21, 21))
    matrix[bin1, bin2] = matrix[bin2, bin1] = values
    factor = np.ones(21)
    for _ in range(300):
        factor *= np.sqrt(1 / (factor * (matrix @ factor)))
    multiplied, divided = np.ones(n_bins), np.ones(n_bins)
    multiplied[:21], divided[:21] = factor, 1 / factor
    path = with_weights(tmp_path / "y.cool", {"KR": multiplied, "VC": divided})
    with pytest.raises(InputError, match="KR makes the rows of chr1 less even"):
        inspect_contacts(path, where, 5000, "KR")
    assert inspect_contacts(path, where, 5000, "VC")["normalisation"] == "VC"
