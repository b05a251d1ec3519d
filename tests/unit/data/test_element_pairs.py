"""Every element-gene pair against plain loops."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyBigWig
import pytest
from make_store import add_elements, make_store
from unit.data import crispri_pairs as made

from prismflow.data.contacts import power_law_contact
from prismflow.data.element_pairs import write_pairs
from prismflow.data.store import Store
from prismflow.files import read_tsv, write_tsv


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with elements, two tracks, and tested pairs of its genes."""
    base = tmp_path_factory.mktemp("element_pairs")
    store, _ = make_store(base)
    add_elements(store)
    genes = Store.open(store).genes
    write_tsv(genes[["gene_id", "chrom", "tss"]], base / "genes.tsv")
    (base / "sizes").write_text("chr1\t800000\n")
    rng = np.random.default_rng(3)
    for name in ("h3k27ac", "dnase"):
        with pyBigWig.open(str(base / f"{name}.bw"), "w") as out:
            out.addHeader([("chr1", 800_000)])
            out.addEntries("chr1", 0, values=rng.gamma(1, 3, 800_000).round(2).tolist(), span=1,
                           step=1)  # fmt: skip
    first = genes.iloc[:12]
    made.write(
        base / "tested.tsv", chrom="chr1", startTSS=first["tss"].tolist(),
        chromStart=(first["tss"] + 3750).tolist(), chromEnd=(first["tss"] + 4250).tolist(),
        measuredGeneEnsemblId=first["gene_id"].tolist(),
    )  # fmt: skip
    return base


def _written(folder: Path, **changes: Any) -> pd.DataFrame:
    entry = {"name": "own", "path": str(folder / "tested.tsv"), "cell_type": "",
             "absent_genes": "error"}  # fmt: skip
    tracks = [{"path": str(folder / f"{name}.bw")} for name in ("h3k27ac", "dnase")]
    known = {"benchmarks": [entry], "tracks": tracks, "contacts": None, "aliases": {}} | changes
    write_pairs(known, folder / "store", folder / "genes.tsv", folder / "sizes",
                folder / "pairs.tsv.gz")  # fmt: skip
    return read_tsv(folder / "pairs.tsv.gz")


def test_pairs_and_their_scores_equal_a_loop(folder: Path) -> None:
    found = _written(folder)
    genes = Store.open(folder / "store").genes.set_index("gene_id")
    assert found["source"].value_counts().to_dict() == {"candidates": 180, "own": 12}
    tracks = [pyBigWig.open(str(folder / f"{name}.bw")) for name in ("h3k27ac", "dnase")]
    for row in found.iloc[::17].itertuples():
        tss = genes.loc[row.gene_id, "tss"]
        distance = abs((row.start + row.end) // 2 - tss)
        means = [np.mean(t.values("chr1", int(row.start), int(row.end))) for t in tracks]
        assert (row.tss, row.distance) == (tss, distance)
        assert row.activity == pytest.approx(np.sqrt(means[0] * means[1]), rel=1e-5)
        assert row.contact == pytest.approx(power_law_contact(distance), rel=1e-6)
        rest = found[(found["gene_id"] == row.gene_id) & (found["source"] == row.source)]
        total = (rest["activity"] * rest["contact"]).sum()
        assert row.share == pytest.approx(row.activity * row.contact / total, rel=1e-5)
    sums = found.groupby(["source", "gene_id"])["share"].sum()
    np.testing.assert_allclose(sums, 1, rtol=1e-5)


def test_without_elements_there_are_the_tested_pairs(folder: Path, tmp_path: Path) -> None:
    make_store(tmp_path)
    for name in ("genes.tsv", "sizes"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    (tmp_path / "tested.tsv").write_bytes((folder / "tested.tsv").read_bytes())
    found = _written(tmp_path, tracks=[])
    assert set(found["source"]) == {"own"} and found["activity"].isna().all()
    assert _written(tmp_path, tracks=[], benchmarks=[]).empty
