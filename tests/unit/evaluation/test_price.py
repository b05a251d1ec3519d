"""Pricing a plan: what is done, what is left, where hours come from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from prismflow.errors import InputError
from prismflow.evaluation import deciding, price
from prismflow.evaluation.write_plans import write_plans
from prismflow.files import read_tsv, write_json, write_text, write_tsv

DEFAULTS = pd.DataFrame(
    [("prism", "cuda", 0.1, 1.0, "x"), ("gbm", "cpu", 36.0, 0.0, "x")],
    columns=["architecture", "device", "step_s", "base_s_per_mb", "source"],
)
PRISM = {
    "architecture": "prism", "window_bp": 2000, "branches": 3, "size": 512, "steps": 1000,
    "batch": 10, "adopted": False,
}  # fmt: skip
PLANNING = {"seed_sd": 0.021, "gene_sd": 0.75, "world_sd": 0.1, "test_share": 0.064}
MODELS: dict[str, dict[str, Any]] = {
    "prism": PRISM,
    "prism_small": {**PRISM, "size": 256},
    "gbm": {**PRISM, "architecture": "gbm", "steps": None},
}


def runs(*names: tuple[str, str, str]) -> list[dict[str, str]]:
    return [{"cell": cell, "model": model, "run": run} for cell, model, run in names]


def estimates(folder: Path, *names: tuple[str, str, str]) -> Any:
    return price.estimate_runs(
        "d", runs(*names), MODELS, DEFAULTS, "cuda", folder / "results", folder / "benchmarks"
    )


def finish(folder: Path, cell: str, model: str, run: str, seconds: float, device: str) -> None:
    place = folder / "results" / "d" / cell / model / run
    place.mkdir(parents=True)
    write_json({"device": device}, place / "model.json")
    write_text("x" * 1_000_000, place / "metrics.tsv")
    times = folder / "benchmarks" / "d" / cell / model / run
    times.mkdir(parents=True)
    write_tsv(pd.DataFrame({"s": [seconds]}), times / "train.tsv")
    write_tsv(pd.DataFrame({"s": [seconds / 10]}), times / "evaluate.tsv")


def test_defaults_scale_with_bases_and_size_and_are_marked(tmp_path: Path) -> None:
    found = estimates(tmp_path, ("A", "prism", "r"), ("A", "prism_small", "r"), ("A", "gbm", "r"))
    # 1,000 steps of 0.1 s and of 10 x 3 x 2,000 bases = 0.06 Mb at 1 s, and 5 % for testing.
    whole = found["A", "prism", "r"]
    assert whole.hours == pytest.approx(1000 * (0.1 + 0.06) * 1.05 / 3600)
    assert whole.gpu and whole.source == "default" and not whole.done
    half = found["A", "prism_small", "r"]
    assert half.hours == pytest.approx(1000 * (0.1 + 0.03) * 1.05 / 3600)
    assert found["A", "gbm", "r"].hours == pytest.approx(0.01)
    assert not found["A", "gbm", "r"].gpu


def test_finished_runs_price_the_others_of_their_model(tmp_path: Path) -> None:
    finish(tmp_path, "A", "prism", "r1", 3600.0, "cpu, 2 threads")
    found = estimates(tmp_path, ("A", "prism", "r1"), ("B", "prism", "r2"))
    assert found["A", "prism", "r1"].done and not found["B", "prism", "r2"].done
    assert found["B", "prism", "r2"].hours == pytest.approx(1.1)
    assert found["B", "prism", "r2"].source == "measured" and not found["B", "prism", "r2"].gpu
    assert found["A", "prism", "r1"].storage_mb == pytest.approx(1.0, abs=0.01)


def test_a_measured_step_comes_before_the_defaults(tmp_path: Path) -> None:
    record = {"trained_by_steps": True, "step_seconds": 2.0, "device": "NVIDIA H200"}
    (tmp_path / "results" / "d" / "costs").mkdir(parents=True)
    write_json(record, tmp_path / "results" / "d" / "costs" / "prism.json")
    found = estimates(tmp_path, ("A", "prism", "r"))["A", "prism", "r"]
    assert found.hours == pytest.approx(2000 * 1.05 / 3600)
    assert found.gpu and found.source == "measured step"


def test_shared_runs_count_once_in_the_total(tmp_path: Path) -> None:
    finish(tmp_path, "A", "prism", "r1", 36.0, "cpu")
    one, two, three = ("A", "prism", "r1"), ("A", "prism", "r2"), ("A", "gbm", "r1")
    table = price.plan_table(
        {"main": [one, two, three], "weights": [two]}, estimates(tmp_path, one, two, three)
    ).set_index("experiment")
    assert table["runs"].tolist() == [3, 1, 3]
    assert table["done"].tolist() == [1, 0, 1]
    assert table["to_do"].tolist() == [2, 1, 2]
    assert table["only_here"].tolist() == [1, 0, 2]
    assert table.loc["all", "cpu_hours"] == pytest.approx(0.011 + 0.01, abs=1e-3)
    assert table.loc["main", "estimated_from"] == "default and measured"


def test_an_architecture_without_a_price_is_named(tmp_path: Path) -> None:
    lacking = {"prism": {**PRISM, "architecture": "hyena"}}
    with pytest.raises(InputError, match="expected a line for hyena on cuda, found none"):
        price.estimate_runs(
            "d", runs(("A", "prism", "r")), lacking, DEFAULTS, "cuda", tmp_path, tmp_path
        )


def test_shipped_prices_cover_every_architecture(root: Path) -> None:
    from named import TABULAR

    from prismflow.settings.architectures import ARCHITECTURES

    table = read_tsv(root / "config" / "costs.tsv")
    there = set(zip(table["architecture"], table["device"], strict=True))
    for name in ARCHITECTURES:
        assert (name, "cpu") in there
        assert (name, "cuda") in there or name in TABULAR
    assert table["source"].str.len().min() > 5


def test_files_say_what_is_known(tmp_path: Path) -> None:
    write_tsv(DEFAULTS, tmp_path / "costs.tsv")
    request = {
        "device": "auto", "costs": str(tmp_path / "costs.tsv"), "models": MODELS,
        "deciding": {"margin": 0.02, "level": 0.95, "planning": PLANNING},
        "datasets": {
            "d": {
                "title": "tiny",
                "experiments": {"main": [["A", "prism", "r"]]},
                "runs": runs(("A", "prism", "r")),
                "stores": [{"dataset": "d", "cell": "A", "expected_mb": 1500.0}],
                "left_out": ["windows are too short for mamba"], "n_genes": 1000,
                "claims": [{"claim": "Prism wins", "readings": [[1, -1]], "seeds": 1,
                            "runs": [["A", "prism", "r"]]},
                           {"claim": "Long is no help", "readings": [], "seeds": None,
                            "runs": []}],
            }
        },
    }  # fmt: skip
    (tmp_path / "results" / "d").mkdir(parents=True)
    write_plans(request, str(tmp_path / "results"), str(tmp_path / "benchmarks"))
    table = read_tsv(tmp_path / "results" / "d" / "plan.tsv")
    assert tuple(table.columns) == price.COLUMNS and len(table) == 2
    text = (tmp_path / "results" / "d" / "plan.md").read_text()
    assert text.endswith("Left out:\n\n- windows are too short for mamba\n")
    assert "| Prism wins | 1 | 1 | 64 |" in text
    assert "| Long is no help | not among the planned experiments |" in text
    claims = read_tsv(tmp_path / "results" / "d" / "plan_claims.tsv")
    assert tuple(claims.columns) == deciding.COLUMNS and np.isinf(claims["smallest_margin"][0])
    assert "| main | 1 | 0 | 1 |" in text and "| A | False | 1.50 | default |" in text
