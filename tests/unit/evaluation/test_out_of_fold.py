"""Cross-validated metrics: mean over folds, all folds pooled, and what folds and seeds vary."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import renderers

from prismflow.errors import InputError
from prismflow.evaluation.out_of_fold import design, measure_out_of_fold
from prismflow.evaluation.predictions_file import gather_predictions
from prismflow.figures.tables import render
from prismflow.files import read_tsv, write_tsv
from prismflow.plan.run import RunKey

FOLDS, SEEDS, N = ("f1", "f2", "f3"), (2, 22), 60


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Three folds whose labels differ in level, which the model does not know."""
    folder = tmp_path_factory.mktemp("folds")
    generator = np.random.default_rng(3)
    runs, kept = [], {}
    for number, fold in enumerate(FOLDS):
        genes = [f"{fold}_{i}" for i in range(N)]
        observed = generator.normal(2.0 * number, 1, N)
        for seed in SEEDS:
            predicted = observed - 2.0 * number + generator.normal(0, 0.5, N)
            run = RunKey("A", "m", fold, seed)
            runs.append(run)
            kept[fold, seed] = (observed.astype("f4"), predicted.astype("f4"))
            table = pd.DataFrame({"scenario": "full", "gene_id": genes,
                                  "observed": kept[fold, seed][0],
                                  "predicted": kept[fold, seed][1]})  # fmt: skip
            write_tsv(table, folder / f"demo/A/m/{fold}_seed{seed}/predictions.tsv.gz")
    blocks = [f"{fold}_{i}\t{k * N + i}" for k, fold in enumerate(FOLDS) for i in range(N)]
    (folder / "blocks.tsv").write_text("gene_id\tblock\n" + "\n".join(blocks) + "\n")
    gather_predictions("demo", [tuple(r) for r in runs], folder / "blocks.tsv", folder / "all",
                       folder)  # fmt: skip
    request = {"experiment": {"id": "folds", "models": ["m"]}, "cells": ["A"],
               "runs": [tuple(run) for run in runs]}  # fmt: skip
    measure_out_of_fold(request, str(folder / "all"), str(folder / "out.tsv"))
    with pytest.raises(InputError, match="a seed that has every fold, found none"):
        mixed = [tuple(runs[0]), tuple(runs[3])]
        measure_out_of_fold({**request, "runs": mixed}, str(folder / "all"), str(folder / "x"))
    return read_tsv(folder / "out.tsv"), kept


def test_pooling_pays_for_levels_that_differ_between_folds(measured: Any) -> None:
    table, kept = measured
    found = table.set_index("metric").loc["pearson"]
    within = [np.corrcoef(*kept[fold, seed])[0, 1] for fold in FOLDS for seed in SEEDS]
    pooled = [
        np.corrcoef(
            np.concatenate([kept[fold, seed][0] for fold in FOLDS]),
            np.concatenate([kept[fold, seed][1] for fold in FOLDS]),
        )[0, 1]
        for seed in SEEDS
    ]
    assert found["mean"] == pytest.approx(np.mean(within), abs=1e-6)
    assert found["pooled"] == pytest.approx(np.mean(pooled), abs=1e-6)
    assert found["pooled"] < found["mean"] - 0.2
    assert found["pooled_low"] < found["pooled"] < found["pooled_high"]
    assert (found["n_folds"], found["n_seeds"], found["n_genes"]) == (3, 2, 180)


def test_spread_over_folds_and_seeds_is_found_where_it_was_put() -> None:
    generator = np.random.default_rng(0)
    folds, seeds = generator.normal(0, 3, (400, 12, 1)), generator.normal(0, 1, (400, 1, 5))
    values = folds + seeds + generator.normal(0, 0.5, (400, 12, 5))
    found = [design(one) for one in values]
    for name, sd in (("sd_folds", 3), ("sd_seeds", 1), ("sd_rest", 0.5)):
        assert np.sqrt(np.mean([one[name] ** 2 for one in found])) == pytest.approx(sd, rel=0.1)
    covered = np.mean([one["other_low"] < 0 < one["other_high"] for one in found])
    assert 0.92 < covered < 0.98


def test_one_seed_or_one_fold_says_what_it_can() -> None:
    alone = design(np.array([[1.0], [2.0], [3.0]]))
    assert alone["sd_folds"] == pytest.approx(1.0) and np.isnan(alone["sd_seeds"])
    assert alone["other_low"] < 2 < alone["other_high"]
    assert all(np.isnan(list(design(np.array([[1.0, 2.0]])).values())))


@pytest.mark.parametrize(
    ("experiment", "changes", "shown"),
    [
        ({}, {}, None),
        ({}, {"published_data": True}, "0.867"),
        ({"published_experiment": "folds_rna"}, {}, "0.856"),
    ],
)
def test_published_values_of_this_protocol_stand_where_they_are_asked_for(
    measured: Any, root: Path, experiment: dict, changes: dict, shown: str | None
) -> None:
    module = renderers.table("folds")
    context = {"published": read_tsv(root / "config" / "published.tsv"),
               "published_cells": {"A": "K562"}, "model_order": ["m", "epinformer"],
               **changes}  # fmt: skip
    entry = {"id": "folds", "title": "Every fold", "models": ["m"], **experiment}
    table = module.build({"out_of_fold": measured[0]}, entry, context)
    text = render.markdown(module.sheet(table, entry, context))
    assert ("published" in text) == (shown is not None)
    assert shown is None or f"| {shown} |" in text.split("EPInformer")[1]
