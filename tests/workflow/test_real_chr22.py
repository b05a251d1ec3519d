"""Real K562 and GM12878 data of chr22 through the same rules."""

from __future__ import annotations

import pandas as pd
import pytest

from prismflow.data.store import Store
from prismflow.files import read_tsv

from .conftest import Workflow

pytestmark = pytest.mark.workflow


@pytest.fixture(scope="module")
def metrics(real_chr22: Workflow) -> pd.DataFrame:
    """The long table."""
    return read_tsv(real_chr22.folder / "results" / "real_chr22" / "metrics.tsv")


def test_gbm_with_signals_reaches_what_the_tracks_hold(metrics: pd.DataFrame) -> None:
    # A plain script over the same files reached 0.84 and 0.76.
    chosen = metrics[(metrics["model"] == "gbm") & (metrics["metric"] == "spearman")]
    chosen = chosen[chosen["scenario"] == "full"].groupby("cell")["value"].mean()
    assert chosen["K562"] >= 0.80
    assert chosen["GM12878"] >= 0.72
    assert (metrics["n_genes"] == 115).all()


def test_a_cell_without_a_modality_is_a_normal_case(real_chr22: Workflow) -> None:
    folder = real_chr22.folder / "results" / "real_chr22"
    assert Store.open(folder / "K562" / "store").modalities == (
        "h3k27ac", "dnase", "hic", "hic_ice",
    )  # fmt: skip
    assert Store.open(folder / "GM12878" / "store").modalities == ("dnase",)
    assert (folder / "GM12878" / "prism").is_dir()
    assert not (folder / "GM12878" / "caduceus_signals_h3k27ac").exists()


def test_same_tables_and_figures(real_chr22: Workflow) -> None:
    folder = real_chr22.folder / "results" / "real_chr22"
    assert (folder / "figures" / "main.pdf").is_file()
    assert (folder / "tables" / "main.tex").is_file()
    assert "simulated" not in (folder / "tables" / "main.md").read_text()
