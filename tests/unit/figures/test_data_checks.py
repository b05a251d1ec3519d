"""The figure of the checks keeps its texts apart, however many signals and cells there are."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from plot_cases import check_whole

from prismflow.figures.plots import data_checks

POSITIONS = np.arange(-990, 1000, 20)


def tables(n_signals: int, n_cells: int, scale: float = 10.0, word: str = "signal") -> dict:
    """What check_data writes, for any number of signals and cells."""
    names = [f"{word}{i}" for i in range(n_signals)]
    cells = [f"cell{i}" for i in range(n_cells)]
    wave = np.cos(POSITIONS / 300)
    profiles = [
        {"cell": cell, "modality": name, "strand": strand, "position_bp": position, "value": value}
        for cell in cells
        for name in names
        for strand in ("plus", "minus")
        for position, value in zip(POSITIONS, scale * (wave + (scale > 0)), strict=True)
    ]
    examples = [
        {"cell": cell, "modality": name, "gene_id": f"{word.upper()}000000{gene}.12",
         "label": scale * gene, "position_bp": position, "value": abs(value)}
        for cell in cells
        for gene in range(3)
        for name in names
        for position, value in zip(POSITIONS, scale * wave, strict=True)
    ]  # fmt: skip
    checks = [
        {"cell": cell, "modality": name, "spearman": -0.123} for cell in cells for name in names
    ]
    histogram = {"edges": list(np.linspace(0, scale, 31)), "counts": [12345] * 30}
    summary = {
        "flags": [f"{word} of {cells[0]} looks like that of another assembly"],
        "genes": {"kept": 18413, "dropped": {"blacklisted": 3, "unknown_sequence": 20}},
        "labels": {cell: histogram for cell in cells},
    }
    return {
        "profiles": pd.DataFrame(profiles),
        "examples": pd.DataFrame(examples),
        "checks": pd.DataFrame(checks),
        "summary": summary,
    }


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("n_cells", (1, 2, 6))
@pytest.mark.parametrize("n_signals", (1, 2, 3, 4, 7, 8))
def test_no_two_texts_overlap(n_signals: int, n_cells: int) -> None:
    data = tables(n_signals, n_cells)
    figure = data_checks.draw(data, {"id": "data_checks"}, {"target_label": "log10(CAGE + 1)"})
    check_whole(figure)
    assert len(figure.axes) == n_cells * (n_signals + 1 + 3)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("scale", (1e-7, 1e9, -3e4))
def test_long_names_and_extreme_values_keep_their_places(scale: float) -> None:
    data = tables(3, 2, scale, "a_signal_with_a_very_long_name_")
    context = {"target_label": "log10(counts per million reads + 0.1)", "simulated": True}
    check_whole(data_checks.draw(data, {"id": "data_checks"}, context))
