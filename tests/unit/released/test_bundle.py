"""Contacts of the released bundle, against numbers that the released preprocessing made."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from prismflow.data.chromosomes import Genes
from prismflow.data.contacts import contact_bins, released_contact_feature
from prismflow.errors import InputError
from prismflow.released.bundle import convert_contacts


def write_bundle(folder: Path, rows: dict[str, np.ndarray], lengths: dict[str, int]) -> list[Path]:
    (folder / "chr_length.json").write_text(json.dumps({"hg38": lengths}))
    files = []
    for chrom in lengths:
        files.append(folder / f"hic_feat_{chrom}.h5")
        with h5py.File(files[-1], "w") as out:
            for name, values in rows.items():
                if name.rpartition("_")[0] == chrom:
                    out[name] = values
    return files


def test_bundle_of_the_released_code_gives_the_same_feature(golden_dir: Path, tmp_path: Path):
    from prismflow.data.contacts import ContactFile

    golden = np.load(golden_dir / "hic" / "hic_feat_h5.npz")
    cases = json.loads((golden_dir / "hic" / "cases.json").read_text())
    lengths = cases["chr_lengths"]
    files = write_bundle(tmp_path, {name: golden[name] for name in golden.files}, lengths)
    cool = tmp_path / "K562_hic.cool"
    convert_contacts(files, tmp_path / "chr_length.json", cool)
    matrix = ContactFile.open(cool, 5000, "NONE")
    for name in golden.files:
        chrom, _, tss = name.rpartition("_")
        feature = released_contact_feature(*matrix.pixels(chrom, 60), int(tss), lengths[chrom])
        np.testing.assert_allclose(feature, golden[name], rtol=1e-9, atol=1e-9, err_msg=name)
    first = cool.read_bytes()
    convert_contacts(files, tmp_path / "chr_length.json", cool)
    assert cool.read_bytes() == first


def test_the_workflow_reads_the_matrix(golden_dir: Path, tmp_path: Path):
    golden = np.load(golden_dir / "hic" / "hic_feat_h5.npz")
    lengths = json.loads((golden_dir / "hic" / "cases.json").read_text())["chr_lengths"]
    files = write_bundle(tmp_path, {name: golden[name] for name in golden.files}, lengths)
    convert_contacts(files, tmp_path / "chr_length.json", tmp_path / "a.cool")
    feature, counts = contact_bins(
        tmp_path / "a.cool",
        Genes(np.array(["chr1", "chr1"], dtype=object), np.array([500_123, 450_000]), lengths),
        window_bp=2000, resolution_bp=5000, normalisation="NONE",
    )  # fmt: skip
    assert counts["n_genes_without_coverage"] == 1
    np.testing.assert_allclose(feature[0].max(), golden["chr1_500123"][99_000:101_000].max())


def test_wrong_bundles(tmp_path: Path):
    lengths = {"chr1": 300_000}
    good = write_bundle(tmp_path, {"chr1_150000": np.ones(200_000)}, lengths)
    table = tmp_path / "chr_length.json"
    for name in ("chr9_1000", "gene"):
        with h5py.File(tmp_path / "bad.h5", "w") as out:
            out[name] = np.ones(10)
        with pytest.raises(
            InputError, match=rf"<chromosome>_<tss> on chr1, \.\.\., found '{name}'"
        ):
            convert_contacts([tmp_path / "bad.h5"], table, tmp_path / "x.cool")
    with h5py.File(tmp_path / "bad.h5", "w") as out:
        out["chr1_300001"] = np.ones(10)
    with pytest.raises(InputError, match="lies outside chr1, which has 300000 bases"):
        convert_contacts([tmp_path / "bad.h5"], table, tmp_path / "x.cool")
    (tmp_path / "bad.h5").write_text("<html>")
    with pytest.raises(InputError, match="expected an HDF5 file"):
        convert_contacts([tmp_path / "bad.h5"], table, tmp_path / "x.cool")
    with pytest.raises(InputError, match="at least one gene, found none"):
        convert_contacts([], table, tmp_path / "x.cool")
    table.write_text("{}")
    with pytest.raises(InputError, match="under the key 'hg38'"):
        convert_contacts(good, table, tmp_path / "x.cool")
    assert not (tmp_path / "x.cool").exists()
