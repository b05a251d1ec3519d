"""Numbers of the reach of models, from predictions to the table."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from prismflow.errors import InputError
from prismflow.figures.read.reach import load
from prismflow.figures.tables import reach
from prismflow.files import write_tsv
from prismflow.plan.run import RunKey

SCENARIOS = {
    "full": [1.0, 3.0], "beyond_2000bp_all_both_exchange": [2.0, 3.0],
    "averaged": [1.0, 2.0], "without_dnase": [0.0, 0.0],
}  # fmt: skip


@pytest.fixture
def request_of(tmp_path: Path) -> dict[str, object]:
    run = RunKey("simA", "cnn", "fold11", 2)
    folder = tmp_path / "demo" / "simA" / "cnn" / run.name
    folder.mkdir(parents=True)
    rows = [(name, gene, 1.0, value) for name, values in SCENARIOS.items()
            for gene, value in zip("ab", values, strict=True)]  # fmt: skip
    table = pd.DataFrame(rows, columns=["scenario", "gene_id", "observed", "predicted"])
    write_tsv(table, folder / "predictions.tsv.gz")
    return {"runs": [list(run)], "context": {"dataset": "demo"}}


def test_error_and_change_are_those_of_the_predictions(request_of, tmp_path: Path) -> None:
    found = load("reach", request_of, tmp_path).set_index("replace")
    assert set(found.index) == {"exchange", "averaged"}
    exchanged = found.loc["exchange"]
    assert (exchanged["beyond_bp"], exchanged["mse"], exchanged["mse_full"]) == (2000, 2.5, 2.0)
    # The predictions as trained have a standard deviation of 1.
    assert exchanged["change"] == pytest.approx(0.5**0.5)
    assert found.loc["averaged", "mse"] == 0.5


def test_the_table_has_a_row_per_way_and_distance(request_of, tmp_path: Path) -> None:
    table = load("reach", request_of, tmp_path)
    experiment = {"id": "reach", "title": "Reach", "models": ["cnn"]}
    found = reach.build({"reach": table}, experiment, {"cells": ["simA"]})
    assert found["n_runs"].tolist() == [1, 1] and found["n_genes"].tolist() == [2, 2]
    with pytest.raises(InputError, match="lower `beyond_bp`"):
        reach.build({"reach": table.iloc[:0]}, experiment, {"cells": ["simA"]})
