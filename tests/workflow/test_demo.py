"""The demo, end to end: what it leaves behind, and that the planted signal is found."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pandas as pd
import pytest
from browser import look

from prismflow.files import read_tsv

from .conftest import Workflow

pytestmark = pytest.mark.workflow
FIGURES = (
    "main", "input_length", "single_signal", "signal_removal", "weights",
    "training_curves", "observed_vs_predicted",
)  # fmt: skip


@pytest.fixture(scope="module")
def results(demo: Workflow) -> Path:
    """results/demo of the finished demo."""
    return demo.folder / "results" / "demo"


@pytest.fixture(scope="module")
def metrics(results: Path) -> pd.DataFrame:
    """The long table."""
    return read_tsv(results / "metrics.tsv")


def mean_of(metrics: pd.DataFrame, metric: str, scenario: str = "full") -> pd.Series:
    """Mean over seeds by (cell, model)."""
    chosen = metrics[(metrics["metric"] == metric) & (metrics["scenario"] == scenario)]
    return chosen.groupby(["cell", "model"])["value"].mean()


def test_metrics_table(metrics: pd.DataFrame) -> None:
    assert list(metrics.columns) == [
        "dataset", "cell", "model", "fold", "seed", "scenario", "metric", "value", "n_genes",
    ]  # fmt: skip
    assert set(metrics["metric"]) == {"mse", "mae", "pearson", "spearman", "r2"}
    assert metrics["cell"].nunique() == 2
    assert metrics["seed"].nunique() >= 2
    assert (metrics["n_genes"] > 100).all()
    assert metrics["value"].notna().all()


@pytest.mark.parametrize("model", ["gbm", "caduceus_signals", "prism"])
@pytest.mark.parametrize("baseline", ["gene_features", "caduceus"])
def test_planted_signal_is_found(metrics: pd.DataFrame, model: str, baseline: str) -> None:
    # A model that reads no signal stays near 0.4 to 0.6; with signals 0.8 and more is reached. A
    # shuffled, empty or shifted signal path falls back to the baselines and fails here.
    pearson = mean_of(metrics, "pearson")
    for cell in ("simA", "simB"):
        assert pearson[cell, model] > pearson[cell, baseline] + 0.12
        assert pearson[cell, model] > 0.70


def test_h3k27ac_is_what_the_models_need(metrics: pd.DataFrame) -> None:
    full = mean_of(metrics, "mse")
    without = mean_of(metrics, "mse", "without_h3k27ac")
    for cell in ("simA", "simB"):
        assert without[cell, "caduceus_signals"] > full[cell, "caduceus_signals"] + 0.1


def test_every_gene_is_accounted_for(demo: Workflow, results: Path) -> None:
    given = read_tsv(demo.folder / "resources" / "demo" / "genes.tsv")
    kept, dropped = read_tsv(results / "genes.tsv"), read_tsv(results / "dropped.tsv")
    assert len(kept) + len(dropped) == len(given)
    assert set(dropped["reason"]) == {"unknown_sequence", "blacklisted"}


@pytest.mark.parametrize("name", FIGURES)
def test_figures(results: Path, name: str) -> None:
    pdf = (results / "figures" / f"{name}.pdf").read_bytes()
    png = (results / "figures" / f"{name}.png").read_bytes()
    assert pdf.startswith(b"%PDF") and b"/Type3" not in pdf
    assert png.startswith(b"\x89PNG") and len(png) > 10_000


def test_main_table(results: Path) -> None:
    markdown = (results / "tables" / "main.md").read_text()
    assert "±" in markdown and "published" in markdown and "0.1789" in markdown
    assert "\\toprule" in (results / "tables" / "main.tex").read_text()
    table = read_tsv(results / "tables" / "main.tsv")
    assert table["model"].nunique() == 9


def test_tracks_are_summarised(results: Path) -> None:
    for cell in ("simA", "simB"):
        for modality in ("h3k27ac", "dnase", "hic"):
            summary = json.loads((results / "tracks" / cell / f"{modality}.json").read_text())
            assert summary["n_genes"] > 600


def test_a_run_is_described(results: Path) -> None:
    record = json.loads((results / "simA/prism/fold11_seed2/model.json").read_text())
    assert record["settings"]["hyperparameters"]["n_contexts"] == 2
    assert record["seed"] == 2 and record["fold"] == "fold11"


def test_second_run_does_nothing(demo: Workflow) -> None:
    assert not demo.plan().rules


def test_report(results: Path) -> None:
    report = (results / "report.html").read_text()
    assert "These data are simulated" in report
    for name in FIGURES:
        assert f"figures/{name}.pdf" in report
    ours, theirs = (results / name for name in ("report.html", "snakemake_report.html"))
    assert 'href="snakemake_report.html"' in report
    assert 'href=\\"report.html\\">The overview' in theirs.read_text()
    assert ours.stat().st_size > 100_000


def test_report_renders_in_a_browser(results: Path, tmp_path: Path) -> None:
    seen = look(results / "report.html", tmp_path / "ours", width=1280)
    theirs = look(results / "snakemake_report.html", tmp_path / "theirs")
    assert not theirs.errors and not theirs.broken
    assert not seen.faults
    assert not seen.errors and not seen.broken and not seen.requests
    assert seen.images >= len(FIGURES)
    order = [
        "These data are simulated", "Claims of the paper", "Main comparison", "Figures and tables",
        "Data checks", "Run times", "Provenance",
    ]  # fmt: skip
    text = seen.text.lower()
    places = [text.find(part.lower(), text.find("these data")) for part in order]
    assert -1 not in places, order[places.index(-1)]
    assert "test error of every model" in text and "digests of data and splits" in text


def test_report_names_sources_and_devices(results: Path) -> None:
    report = (results / "report.html").read_text()
    for fact in ("output_type", "jobs took", "labels.npy", "split fold11", "prismflow"):
        assert fact in report


@pytest.mark.parametrize("name", FIGURES)
def test_captions_say_data_and_n(results: Path, name: str) -> None:
    caption = (results / "figures" / f"{name}.txt").read_text()
    assert "simulated" in caption and re.search(r"\d (seeds|runs|genes)|seed \d", caption)
