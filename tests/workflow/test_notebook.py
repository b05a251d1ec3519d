"""The notebook opens finished results and redraws a figure of them, cell by cell."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")

MODELS = {"prism": 0.4, "cnn": 0.5, "ridge": 0.6}
METRICS = ("mse", "mae", "pearson", "spearman")


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Tables of three models, two cells and three seeds, as a finished run writes them."""
    rows = [
        {"dataset": "demo", "cell": cell, "model": model, "fold": "fold1", "seed": seed,
         "scenario": scenario, "metric": metric,
         "value": (error if metric in ("mse", "mae") else 1 - error) + 0.01 * seed, "n_genes": 90}
        for cell in ("simA", "simB") for model, error in MODELS.items() for seed in (2, 22, 222)
        for scenario in ("full", "without_dnase") for metric in METRICS
    ]  # fmt: skip
    pd.DataFrame(rows).to_csv(tmp_path / "metrics.tsv", sep="\t", index=False)
    genes = pd.DataFrame({"gene_id": ["g1", "g2"], "tss": [100, 900]})
    genes.to_csv(tmp_path / "genes.tsv", sep="\t", index=False)
    return tmp_path


def outputs(cells: list, kind: str) -> list[str]:
    """What code cells gave out of one kind."""
    given = [o.get("data", {}) for cell in cells for o in cell.get("outputs", [])]
    return [data[kind] for data in given if kind in data]


def test_the_notebook_redraws_a_figure(
    results: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRISMFLOW_RESULTS", str(results))
    notebook = nbformat.read(root / "docs" / "notebooks" / "results.ipynb", as_version=4)
    assert not outputs(notebook.cells, "text/plain"), "keep the notebook without its outputs"
    client = nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3",
                                     resources={"metadata": {"path": str(root)}})  # fmt: skip
    client.execute()
    tables = outputs(notebook.cells, "text/html")
    assert len(tables) == 3
    order = [tables[1].index(f"<th>{model}</th>") for model in ("prism", "cnn", "ridge")]
    assert order == sorted(order), "models by their error"
    (picture,) = outputs(notebook.cells, "image/png")
    assert len(picture) > 10_000
