"""The CRISPRi benchmark: floors on the real table, groups, reach, and cells without pairs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score
from unit.data import crispri_pairs as made

from prismflow.data.perturbations import read_pairs
from prismflow.evaluation.crispri import (
    benchmark_crispri,
    reach,
    scores_of_table,
    scores_of_tracks,
    summarise,
)
from prismflow.files import read_tsv, write_tsv

FILE = "links/EPCrisprBenchmark_combined_data.training_K562.GRCh38.tsv.gz"


@pytest.fixture(scope="module")
def real_pairs(realdata_genomewide_dir: Path) -> pd.DataFrame:
    """10,356 tested pairs of K562."""
    return read_pairs(realdata_genomewide_dir / FILE)


@pytest.mark.parametrize(
    ("score", "expected"),
    [("1/distance", (0.438, 0.897, 0.316)), ("DNase/distance", (0.503, 0.915, 0.361)),
     ("activity/distance", (0.529, 0.929, 0.420))],
)  # fmt: skip
def test_floors_of_the_real_table_are_those_known(
    real_pairs: pd.DataFrame, score: str, expected: tuple[float, ...]
) -> None:
    found = summarise(
        real_pairs, scores_of_table(real_pairs)[[score]], np.zeros(len(real_pairs), bool), 2
    )
    everywhere = found[found["distance_group"] == "all distances"]
    np.testing.assert_allclose(everywhere["value"], expected, atol=0.005)
    assert set(everywhere["n_pairs"]) == {10_356} and set(everywhere["n_genes"]) == {2_113}


def test_the_floor_of_real_peak_tracks_is_that_known(
    real_pairs: pd.DataFrame, realdata_genomewide_dir: Path
) -> None:
    import pyBigWig

    paths = [
        str(realdata_genomewide_dir / f"signals/K562_{mark}.hg38.PEAKS.bw")
        for mark in ("H3K27ac", "DNase")
    ]
    with pyBigWig.open(paths[0]) as track:
        lengths = dict(track.chroms())
    scores = scores_of_tracks(real_pairs, [{"path": path} for path in paths], lengths, {})
    found = average_precision_score(
        real_pairs["regulated"], scores["tracks: activity x distance^-0.87"]
    )
    assert found == pytest.approx(0.453, abs=0.005)


def test_no_real_regulated_pair_lies_in_a_window_of_2_kb(real_pairs: pd.DataFrame) -> None:
    found = reach(real_pairs).set_index("window_bp")["n_reached"]
    assert found[2_000] == 0 and found[200_000] == 389
    assert found.is_monotonic_increasing


def _settings(path: str, **changes: Any) -> dict[str, Any]:
    entry = {"name": "own", "path": path, "cell_type": "", "absent_genes": "error"}
    return {"benchmarks": [entry | changes], "tracks": [], "folds": ["fold1", "fold2"],
            "aliases": {}}  # fmt: skip


def _run(folder: Path, settings: dict[str, Any]) -> dict[str, pd.DataFrame]:
    genes = made.genes()
    write_tsv(genes, folder / "genes.tsv")
    parts = pd.DataFrame({"gene_id": genes["gene_id"], "fold1": ["test"] + ["train"] * 5,
                          "fold2": ["train"] * 5 + ["test"]})  # fmt: skip
    write_tsv(parts, folder / "splits.tsv")
    sizes = "".join(f"{chrom}\t{length}\n" for chrom, length in made.LENGTHS.items())
    (folder / "sizes").write_text(sizes)
    names = {"pairs": "p.tsv.gz", "summary": "s.tsv", "reach": "r.tsv"}
    outputs = {name: str(folder / file) for name, file in names.items()}
    inputs = (str(folder / name) for name in ("genes.tsv", "splits.tsv", "sizes"))
    benchmark_crispri(settings, *inputs, outputs)
    return {name: read_tsv(path) for name, path in outputs.items()}


def test_tested_pairs_are_those_of_test_genes_pooled_over_folds(tmp_path: Path) -> None:
    found = _run(tmp_path, _settings(made.write(tmp_path / "pairs.tsv")))
    pairs = found["pairs"]
    assert set(pairs[pairs["tested"]]["gene_id"]) == {"ENSG0", "ENSG5"}
    tested = found["summary"].query("pairs == 'tested'")
    assert set(tested["n_pairs"]) == {4} and set(tested["n_genes"]) == {2}
    own = tested.query("measure == 'average_precision' and score == '1/distance'")
    assert own["value"].tolist() == [1.0]


def test_pairs_of_genes_outside_the_table_count_but_are_not_tested(tmp_path: Path) -> None:
    symbols = ["OTHER"] * 2 + made.table()["measuredGeneSymbol"].tolist()[2:]
    ids = ["ENSG99"] * 2 + made.table()["measuredGeneEnsemblId"].tolist()[2:]
    path = made.write(tmp_path / "pairs.tsv", measuredGeneSymbol=symbols, measuredGeneEnsemblId=ids)
    found = _run(tmp_path, _settings(path, absent_genes="missing"))
    everywhere = found["summary"].query("pairs == 'all' and distance_group == 'all distances'")
    assert set(everywhere["n_pairs"]) == {12}
    pairs = found["pairs"]
    assert pairs["in_table"].sum() == 10 and set(pairs[pairs["tested"]]["gene_id"]) == {"ENSG5"}


def test_a_cell_without_pairs_has_tables_without_rows(tmp_path: Path) -> None:
    found = _run(tmp_path, _settings("none") | {"benchmarks": []})
    assert all(table.empty and "benchmark" in table.columns for table in found.values())
