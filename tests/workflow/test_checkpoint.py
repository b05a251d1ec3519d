"""A released checkpoint in the place of training, through the workflow's own rules."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from make_checkpoint import MODALITIES, small_prism, write_checkpoint
from named import build

from prismflow.data.store import Store
from prismflow.files import read_json, read_tsv
from prismflow.models.common import InputSpec
from prismflow.released.keys import released_keys
from prismflow.training.batches import GeneBatches
from prismflow.training.record import open_inputs

from .conftest import Workflow

pytestmark = pytest.mark.workflow
HYPER = {"d_model": 16, "n_layers": 1, "d_state": 4, "cnn_channels": 2, "center_bp": 64}
RUN = "results/demo/simA/prism/fold11_seed22"
OVERRIDES = {
    "run": {"experiments": ["main"]},
    "datasets": {"demo": {"cells": ["simA"], "window_bp": 500, "simulate": {"n_genes": 120}}},
    "seeds": [22],
    "model_overrides": {
        "prism": {
            "window_bp": 128,
            "hyperparameters": HYPER | {"n_contexts": 2},
            "checkpoint": "authors/{cell}_seed{seed}.ckpt",
        },
        "gene_features": {"window_bp": 300},
    },
    "experiment_overrides": {"main": {"models": ["gene_features", "prism"]}},
}
CONFIGS = ("config/demo.yaml", "config/adopted.yaml")


@pytest.fixture
def project(tmp_path: Path, root: Path) -> Workflow:
    workflow = Workflow(tmp_path / "project", root)
    (workflow.folder / "config" / "adopted.yaml").write_text(yaml.safe_dump(OVERRIDES))
    (workflow.folder / "authors").mkdir()
    return workflow


def test_the_authors_weights_are_evaluated_and_nothing_is_trained(project: Workflow) -> None:
    config, tensors = small_prism()
    released = project.folder / "authors" / "simA_seed22.ckpt"
    write_checkpoint(released, config, tensors, cell="simB")
    result = project.run(f"{RUN}/metrics.tsv", configfiles=CONFIGS)
    assert result.returncode != 0
    assert "trained with cell simB, the run asks for cell simA" in result.stderr

    # Killed in mid-write, too: the second try finds no half model.
    write_checkpoint(released, config, tensors, cell="simA")
    faults = project.faults("job", f"{RUN}/model")
    arguments = (f"{RUN}/metrics.tsv", "--retries", "1")
    result = project.run(*arguments, configfiles=CONFIGS, environment=faults)
    assert result.returncode == 0, result.stderr[-3000:]
    assert project.marked() == {"adopt_checkpoint"}
    assert "rule train:" not in result.stderr
    folder = project.folder / RUN
    assert read_json(folder / "model.json")["released"] == {"file": released.name}

    store = Store.open(project.folder / "results" / "demo" / "simA" / "store")
    model = build("prism", HYPER, {}, InputSpec(MODALITIES, 9, 128))
    names = released_keys(model)
    model.load_state_dict({ours: tensors[key] for key, ours in names.items()})
    predictions = read_tsv(folder / "predictions.tsv.gz", dtype={"gene_id": str})
    rows = store.genes.set_index("gene_id").index.get_indexer(predictions["gene_id"])
    inputs = open_inputs(store, read_json(folder / "model.json")["settings"])
    batch = GeneBatches(inputs, rows, torch.device("cpu")).batch(np.arange(len(rows)))
    with torch.no_grad():
        expected = model.eval()(batch).prediction.numpy()
    np.testing.assert_allclose(predictions["predicted"], expected, rtol=1e-4, atol=1e-5)
    assert np.ptp(expected) > 0

    shutil.copy(project.folder / "config" / "demo.yaml", released)  # no checkpoint at all
    result = project.run(f"{RUN}/metrics.tsv", configfiles=CONFIGS)
    assert result.returncode != 0
    said = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert said and released.name in said[0] and "Traceback" not in result.stderr
