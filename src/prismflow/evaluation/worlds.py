"""Models trained where the confounding is known, and tested where it is broken.

A *world* is a simulated genome with its own training seed. Its training genes have one strength of
confounding; its test genes are drawn once for each of several strengths (docs/simulation.md,
equation 5), with the same background states, own parts of the activity and sequences. A model is
therefore trained once per world, on the files of the first strength, and tested on each set of
test genes: the sets differ by the shortcut, and by counting noise.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from safetensors.numpy import load_file

from prismflow.data.genome import index_genome
from prismflow.data.steps import define_windows
from prismflow.data.store_builder import build_store
from prismflow.evaluation.scenarios import evaluate_run
from prismflow.files import read_json, read_tsv, write_tsv
from prismflow.settings.label_transform import label_transform
from prismflow.settings.simulation import simulated_file
from prismflow.simulate import simulate
from prismflow.training.run import train_run

logger = logging.getLogger(__name__)

DATASET = "confounding"
BACKGROUND = ("dnase", "hic", "dnase_regional")
"""Signals that the background state C raises (equations 9 and 12 of docs/simulation.md)."""
CAUSE = ("h3k27ac",)
"""The signal of the true cause, which C reaches only through the cause (equation 11)."""
PERTURBATIONS: dict[str, tuple[str, ...]] = {
    "full": (),
    "background_permuted": BACKGROUND,
    "cause_permuted": CAUSE,
}
OUTPUTS = ("direct", "backdoor", "adapted")
TRUTH = ("background", "activity", "active", "distal", "stability")


def scenarios() -> dict[str, dict[str, Any]]:
    """Scenarios by name ``perturbation.output``."""
    definitions: dict[str, dict[str, Any]] = {}
    for perturbation, removed in PERTURBATIONS.items():
        change = {"remove": list(removed), "how": "permute"} if removed else {}
        definitions[f"{perturbation}.reported"] = change
        for output in OUTPUTS:
            definitions[f"{perturbation}.{output}"] = {**change, "output": output}
    return definitions


def run_world(
    settings: Mapping[str, Any],
    outputs: Mapping[str, str | Path],
    device: str = "auto",
    threads: int | None = None,
) -> None:
    """Simulate a world, train every model in it, and test it at every strength of confounding.

    Args:
        settings: ``dataset`` and ``tracks`` as in :func:`simulate_genome`; ``simulate``: further
            settings of the simulator; ``training`` and ``test``: kappa of the training genes, list
            of kappas of the test genes; ``seed``: of simulation and training; ``fold``;
            ``models``: resolved settings of each model.
        outputs: ``predictions`` (test, model, perturbation, output, gene_id, observed, predicted),
            ``truth`` (test, gene_id and the true causes), ``contexts`` (test, model, context,
            gene_id, kept: mean weight over features), ``runs`` (model, best_step, valid_mse,
            n_parameters): tables to write.
        device: ``auto``, ``cpu`` or ``cuda``.
        threads: CPU threads; None leaves them as they are.

    Raises:
        InputError: settings of the simulator or of a model can't be used.
    """
    cell, fold, seed = settings["dataset"]["cells"][0], settings["fold"], settings["seed"]
    tables: dict[str, list[pd.DataFrame]] = {name: [] for name in outputs}
    with tempfile.TemporaryDirectory(prefix="world_") as temporary:
        folders: dict[float, Path] = {}
        for kappa in settings["test"]:
            folder = folders[kappa] = Path(temporary) / f"test{len(folders)}"
            simulated = {
                **settings["simulate"],
                "confounding": settings["training"],
                "confounding_test": kappa,
            }
            simulate_genome(folder, settings["dataset"], settings["tracks"], simulated, seed)
            truth = read_tsv(folder / "files" / "truth.tsv", dtype={"gene_id": str})
            truth = truth.loc[truth["cell"] == cell, ["gene_id", *TRUTH]]
            tables["truth"].append(truth.assign(test=kappa))
        first = next(iter(folders.values()))
        for model in settings["models"]:
            run = Path(temporary) / model["model"]
            run.mkdir()
            files = {name: run / name for name in ("model.safetensors", "model.json")}
            train_run(
                first / "store", first / "splits.tsv", fold, seed, model,
                files["model.safetensors"], files["model.json"],
                run / "history.tsv", device=device, threads=threads,
            )  # fmt: skip
            record = read_json(files["model.json"])
            best = {"best_step": record["best"]["step"], "valid_mse": record["best"]["valid_mse"]}
            tables["runs"].append(
                pd.DataFrame(
                    [{"model": model["model"], **best, "n_parameters": record["n_parameters"]}]
                )
            )
            for kappa, folder in folders.items():
                tested = _test(folder, run, files, device, threads)
                for name, table in tested.items():
                    tables[name].append(table.assign(test=kappa, model=model["model"]))
    for name, path in outputs.items():
        table = pd.concat(tables[name], ignore_index=True)
        if "gene_id" in table and name == "truth":
            tested_genes = set(tables["predictions"][0]["gene_id"])
            table = table[table["gene_id"].isin(tested_genes)]
        first_columns = [column for column in ("test", "model") if column in table]
        write_tsv(table[[*first_columns, *table.columns.difference(first_columns, False)]], path)


def _test(
    folder: Path, run: Path, files: Mapping[str, Path], device: str, threads: int | None
) -> dict[str, pd.DataFrame]:
    """Predictions and mean context weights of one trained model on one set of test genes."""
    evaluate_run(
        folder / "store", folder / "splits.tsv", files["model.safetensors"],
        files["model.json"], scenarios(),
        run / "predictions.tsv.gz", run / "metrics.tsv", run / "extras.safetensors",
        device=device, threads=threads,
    )  # fmt: skip
    table = read_tsv(run / "predictions.tsv.gz", dtype={"gene_id": str})
    parts = table.pop("scenario").str.split(".", n=1, expand=True)
    table.insert(0, "perturbation", parts[0])
    table.insert(1, "output", parts[1])
    outputs = set(table["output"])
    if len(outputs) == 1:  # a model with a single output: it is its direct one
        table["output"] = "direct"
    else:
        table = table[table["output"] != "reported"]
    weights = load_file(run / "extras.safetensors").get("context_weights")
    contexts = pd.DataFrame(columns=["context", "gene_id", "kept"])
    if weights is not None:
        plain = table[(table["perturbation"] == "full") & (table["output"] == "direct")]
        n_contexts = weights.shape[2]
        contexts = pd.DataFrame(
            {
                "context": np.repeat(np.arange(1, n_contexts + 1), len(plain)),
                "gene_id": np.tile(plain["gene_id"].to_numpy(), n_contexts),
                "kept": weights.mean(axis=1).T.ravel(),
            }
        )
    return {"predictions": table, "contexts": contexts}


def simulate_genome(
    folder: Path,
    dataset: Mapping[str, Any],
    tracks: Sequence[Mapping[str, Any]],
    settings: Mapping[str, Any],
    seed: int,
) -> None:
    """Simulate one genome and build the store of its one cell, as the workflow's rules do.

    Args:
        folder: made; gets ``files`` (the simulator's), ``store`` and ``splits.tsv``.
        dataset: entry of the configuration; its files are replaced by the simulated ones and its
            first cell is the cell.
        tracks: settings of that cell's tracks; their files are replaced.
        settings: of the simulator.
        seed: of the simulator.
    """
    cell = dataset["cells"][0]
    source = folder / "files"
    simulate(source, {**settings, "cells": [cell]}, seed)
    paths = {name: folder / f"{name}.tsv" for name in ("genes", "dropped", "splits")}
    index_genome(source / "genome.fa", folder / "chrom.sizes", folder / "index")
    define_windows(
        {**dataset, "cells": [cell], "blacklist": str(source / "blacklist.bed")},
        genes=source / "genes.tsv",
        fasta=source / "genome.fa",
        sizes=folder / "chrom.sizes",
        index=folder / "index",
        outputs={**paths, "windows": folder / "windows.bed.gz"},
    )
    names = {
        track["modality"]: simulated_file(track["kind"], cell, track["modality"])
        for track in tracks
    }
    build_store(
        folder / "store",
        dataset=DATASET,
        cell=cell,
        genes_path=paths["genes"],
        fasta=source / "genome.fa",
        fasta_index=folder / "index",
        tracks=[{**track, "path": str(source / names[track["modality"]])} for track in tracks],
        window_bp=dataset["window_bp"],
        features=dataset["genes"]["features"],
        promoter_activity=dataset["genes"]["promoter_activity"],
        label_column=dataset["label"]["column"],
        label_transform=label_transform(dataset["label"]),
        simulated=True,
    )
