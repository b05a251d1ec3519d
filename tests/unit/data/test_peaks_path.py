"""Peaks from the sheet of tracks to a store, a mask and candidate enhancers, on simulated files."""

from __future__ import annotations

import copy
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from prismflow.data.genome import index_genome
from prismflow.data.steps import define_windows, inspect_track
from prismflow.data.store import Store
from prismflow.data.store_builder import build_store
from prismflow.data.windows import read_bed
from prismflow.errors import InputError
from prismflow.evaluation.scenarios import evaluate_run
from prismflow.files import read_tsv
from prismflow.plan.parameters import store_settings
from prismflow.plan.runs import Plan, make_plan
from prismflow.settings import config as configuration
from prismflow.settings.datasets import merge
from prismflow.simulate import simulate
from prismflow.training.run import train_run

PEAKS: dict[str, Any] = {
    "datasets": {
        "demo": {
            "simulate": {"n_genes": 80},
            "elements": {"peaks": "peaks", "sequence_bp": 400, "n_nearest": 3},
        }
    },
    "training": {"steps": 6, "batch_size": 8, "warmup_steps": 2},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Path:
    """A working directory with the configuration and simulated files."""
    folder = tmp_path_factory.mktemp("peaks")
    shutil.copytree(root / "config", folder / "config")
    simulate(folder / "resources" / "demo", {"n_genes": 80}, seed=1)
    return folder


def plan_of(root: Path, changes: dict[str, Any]) -> Plan:
    files = ["config/config.yaml", "config/demo.yaml"]
    merged: dict[str, Any] = {}
    for content in [*(yaml.safe_load(Path(file).read_text()) for file in files), changes]:
        merged = merge(merged, content)
    return make_plan(configuration.load(copy.deepcopy(merged), files))


def test_from_the_sheet_to_masks_and_elements(
    folder: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    plan = plan_of(root, PEAKS)
    settings = plan.config.datasets["demo"]
    assert plan.config.modalities_of("simA") == ["h3k27ac", "dnase", "hic", "peaks", "h3k4me3"]
    assert plan.modalities("simA", "prism") == ["h3k27ac", "dnase", "hic"]
    index_genome(settings["genome"], "sizes")
    names = ("genes", "windows", "dropped", "splits")
    outputs = dict(zip(names, ("genes.tsv", "w.bed.gz", "dropped.tsv", "splits.tsv"), strict=True))
    define_windows(
        settings, genes=settings["genes"]["path"], fasta=settings["genome"], sizes="sizes",
        outputs=outputs,
    )  # fmt: skip
    tracks = [
        {
            "modality": name, "kind": t.kind, "path": t.path, "resolution_bp": t.resolution_bp,
            "normalisation": t.normalisation, "absent_chromosomes": t.absent_chromosomes,
            "where": t.where,
        }
        for name in plan.config.modalities_of("simA")
        for t in [plan.config.tracks["simA", name]]
    ]  # fmt: skip
    inspect_track(tracks[3], {}, genes="genes.tsv", sizes="sizes", summary="peaks.json")
    summary = json.loads(Path("peaks.json").read_text())
    peaks = read_bed(tracks[3]["path"])
    assert summary["n_peaks"] == len(peaks)
    build_store(
        "store", dataset="demo", cell="simA", genes_path="genes.tsv", fasta=settings["genome"],
        tracks=tracks, **store_settings(settings),
    )  # fmt: skip
    store = Store.open("store")
    check_mask(store, peaks)
    check_elements_avoid(store, read_bed(settings["blacklist"]))
    for architecture in ("peak_mask", "epinformer"):
        assert train_and_evaluate(store, plan, architecture) > 0


def check_mask(store: Store, peaks: pd.DataFrame) -> None:
    mask = store.signal("peaks", np.arange(store.n_genes), store.window_bp)
    for row, gene in store.genes.iterrows():
        own = peaks[(peaks["chrom"] == gene["chrom"]) & (peaks["end"] > gene["window_start"])]
        wanted = np.zeros(store.window_bp)
        for start, end in own.loc[own["start"] < gene["window_end"], ["start", "end"]].to_numpy():
            low = max(start - gene["window_start"], 0)
            wanted[low : end - gene["window_start"]] = 1
        np.testing.assert_array_equal(mask[row], wanted)
    assert 0.02 < mask.mean() < 0.9


def check_elements_avoid(store: Store, blacklist: pd.DataFrame) -> None:
    elements = read_tsv(store.path / "elements.tsv")
    candidates = elements[elements["kind"] == "candidate"]
    assert len(candidates) > 20
    for chrom, start, end in blacklist.to_numpy()[:, :3]:
        own = candidates[candidates["chrom"] == chrom]
        assert not ((own["end"] > start) & (own["start"] < end)).any()


def train_and_evaluate(store: Store, plan: Plan, architecture: str) -> int:
    from prismflow.models import model_class

    settings = {
        "model": architecture, "architecture": architecture,
        "hyperparameters": dict(model_class(architecture).TINY), "loss": {},
        "modalities": list(store.modalities), "window_bp": 200,
        "transforms": {"h3k27ac": "log1p", "dnase": "log1p", "hic": "log10p1"},
        "gene_features": [], "training": plan.config.values["training"],
    }  # fmt: skip
    out = Path(architecture)
    out.mkdir()
    trained = (out / "model.safetensors", out / "model.json")
    train_run("store", "splits.tsv", "fold11", 2, settings, *trained, out / "history.tsv", "cpu")
    record = json.loads(trained[1].read_text())
    assert ("elements" in record["store"]) == (architecture == "epinformer")
    tables = (out / "p.tsv", out / "m.tsv", out / "e.safetensors")
    evaluate_run("store", "splits.tsv", *trained, {"full": {}}, *tables, "cpu")
    return len(read_tsv(tables[0]))


def test_elements_need_declared_peaks(
    folder: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    changes = copy.deepcopy(PEAKS)
    changes["datasets"]["demo"]["elements"]["peaks"] = "dnase"
    with pytest.raises(InputError, match="expected 'dnase' to be a modality of kind 'peaks'"):
        plan_of(root, changes)
    changes["datasets"]["demo"]["elements"]["peaks"] = "chip_peaks"
    with pytest.raises(InputError, match="found 'none of that name'"):
        plan_of(root, changes)
    changes["modalities"] = {"chip_peaks": {"kind": "peaks"}}
    with pytest.raises(InputError, match="every cell of the dataset, found none for simA, simB"):
        plan_of(root, changes)
