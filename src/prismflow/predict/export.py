"""From trained runs to a bundle: weights, settings, training ranges, metrics, sources, a card."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import pandas as pd

from prismflow.data.store import Store
from prismflow.data.store_builder import PROMOTER_ACTIVITY
from prismflow.errors import InputError
from prismflow.files import read_json, read_tsv, write_text, write_tsv
from prismflow.models import class_of
from prismflow.predict.bundle import finish_bundle
from prismflow.predict.card import model_card
from prismflow.predict.ranges import (
    BINS,
    LIMIT,
    PERCENTILES,
    feature_statistics,
    summary_names,
    training_range,
)
from prismflow.statistics.seeds import t_interval
from prismflow.training.record import (
    Split,
    check_agreement,
    extras_of,
    open_inputs,
    read_model_record,
)

ACTIVITY_TRACKS = ("h3k27ac", "dnase")
"""Tracks that a computed promoter activity is made of."""
RUN_FILES = ("model.safetensors", "model.json")
_TRACK_KEYS = (
    "kind", "resolution_bp", "normalisation", "missing", "pseudocount", "double_padding", "dtype",
)  # fmt: skip


@dataclass(frozen=True)
class TrainedRun:
    """One trained run: its folder, and what ``model.json`` says."""

    folder: Path
    record: dict[str, Any]

    @property
    def name(self) -> str:
        """``{fold}_seed{seed}``."""
        return f"{self.record['fold']}_seed{self.record['seed']}"


def find_runs(folders: Sequence[str | Path]) -> list[TrainedRun]:
    """Trained runs in these folders and one level below, sorted by fold and seed.

    Raises:
        InputError: none, runs of several models or cells, or a fold and seed twice.
    """
    found = []
    for folder in map(Path, folders):
        for path in [folder, *(sorted(folder.iterdir()) if folder.is_dir() else ())]:
            if all((path / name).is_file() for name in RUN_FILES):
                found.append(TrainedRun(path, read_model_record(path / "model.json")))
    if not found:
        raise InputError(
            f"{', '.join(map(str, folders))}: expected trained runs ({' and '.join(RUN_FILES)}), "
            "found none; name the folder of a model, such as results/DATASET/CELL/MODEL."
        )
    first = found[0]
    for run in found[1:]:
        for what, own, other in (
            ("settings", first.record["settings"], run.record["settings"]),
            ("data", first.record["store"], run.record["store"]),
        ):
            if own != other:
                raise InputError(
                    f"{run.folder} and {first.folder}: expected runs of one model in one cell, "
                    f"found other {what}; export them one model and cell at a time."
                )
    names = [run.name for run in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(
            f"{', '.join(map(str, folders))}: expected each fold and seed once, found "
            f"{', '.join(twice)} again; name each run once."
        )
    return sorted(found, key=lambda run: (run.record["fold"], run.record["seed"]))


def export_bundle(
    folders: Sequence[str | Path],
    out: str | Path,
    store_dir: str | Path | None = None,
    splits_path: str | Path | None = None,
    scale_path: str | Path | None = None,
    summaries: Sequence[str | Path] = (),
    sources: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Write a bundle of all runs in ``folders``.

    Args:
        folders: of runs, or of the models that hold them.
        out: folder or zip to write.
        store_dir: the store that the runs were trained on; by default where the workflow has it.
        splits_path: ``splits.tsv`` of the dataset; by default where the workflow has it.
        scale_path: mean and sd of the lengths (``genes.scale.tsv``) where they are z-scores.
        summaries: what was found in the tracks (``tracks/{cell}/*.json``): size and MD5.
        sources: rows of tracks for the card: modality and where its file came from.

    Raises:
        InputError: no runs, runs that do not belong together, or a store or split of other data.
    """
    runs = find_runs(folders)
    model_folder = runs[0].folder.parent
    store = Store.open(store_dir or model_folder.parent / "store")
    splits = Path(splits_path or model_folder.parents[1] / "splits.tsv")
    settings = runs[0].record["settings"]
    inputs = open_inputs(store, settings, extras_of(class_of(settings), store))
    refuse_elements(inputs.extras, settings["model"])
    ranges, features, counts = {}, {}, {}
    for run in runs:
        split = Split.read(splits, run.record["fold"], store)
        check_agreement(run.record, run.folder / "model.json", store, split)
        if split.fold not in ranges:
            ranges[split.fold] = training_range(inputs, split.rows["train"])
            features[split.fold] = feature_statistics(inputs, split.rows["train"])
            counts[split.fold] = {role: int(rows.size) for role, rows in split.rows.items()}
    needed = _needed_tracks(store, settings, inputs.extras)
    manifest = {
        "dataset": store.manifest["dataset"],
        "cell": store.manifest["cell"],
        "label": store.manifest["label"],
        "simulated": store.manifest["simulated"],
        "settings": settings,
        "window_bp": store.window_bp,
        "members": {run.name: {"fold": run.record["fold"], "seed": run.record["seed"]}
                    for run in runs},
        "modalities": {name: _track_of(store, name) for name in needed},
        "promoter_activity": store.manifest.get("promoter_activity", "none"),
        "scale": _scale(scale_path),
        "ranges": {"names": summary_names(inputs), "folds": ranges, "bins": BINS,
                   "percentiles": PERCENTILES, "limit": LIMIT},
        "features": features,
        "genes": counts,
        "sources": [*map(dict, sources), *(_measured(path) for path in summaries)],
        "versions": {name: metadata.version(name) for name in ("prismflow", "numpy", "torch")},
    }  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="prismflow-export-") as temporary:
        folder = Path(temporary) / "bundle"
        for run in runs:
            target = folder / "members" / run.name
            target.mkdir(parents=True)
            for name in RUN_FILES:
                shutil.copyfile(run.folder / name, target / name)
        metrics = tested_metrics(runs)
        write_tsv(metrics, folder / "metrics.tsv")
        write_text(model_card(manifest, metrics), folder / "README.md")
        finish_bundle(folder, manifest, out)


def _needed_tracks(store: Store, settings: Mapping[str, Any], extras: Sequence[str]) -> list[str]:
    """Tracks that a prediction reads: signals, the mask, and those of a computed feature."""
    needed = [*settings["modalities"], *(store.peaks if "peak_mask" in extras else ())]
    computed = store.manifest.get("promoter_activity") == "computed"
    if computed and PROMOTER_ACTIVITY in settings["gene_features"]:
        needed += [name for name in ACTIVITY_TRACKS if name not in needed]
    return needed


def refuse_elements(extras: Sequence[str], model: str) -> None:
    """Models that read candidate enhancers of a dataset are not predicted with.

    Raises:
        InputError: the model reads them.
    """
    if "elements" in extras:
        raise InputError(
            f"model {model!r}: expected a model that reads windows alone, found one that reads "
            "the dataset's candidate enhancers, which other genes do not have; train it in a "
            "dataset without `elements`."
        )


def _track_of(store: Store, name: str) -> dict[str, Any]:
    entry = store.modality(name)
    return {key: entry[key] for key in _TRACK_KEYS if key in entry}


def _measured(path: str | Path) -> dict[str, Any]:
    found = read_json(path)
    return {key: found[key] for key in ("modality", "file", "bytes", "md5")}


def _scale(path: str | Path | None) -> dict[str, dict[str, float]] | None:
    if path is None:
        return None
    table = read_tsv(path, dtype={"feature": str})
    return {
        str(row["feature"]): {"mean": float(row["mean"]), "sd": float(row["sd"])}
        for row in table.to_dict("records")
    }


def tested_metrics(runs: Sequence[TrainedRun]) -> pd.DataFrame:
    """Metrics of the runs on their test genes: mean over runs, sd, t interval, runs, genes.

    Empty where the runs have no ``metrics.tsv``.
    """
    paths = [run.folder / "metrics.tsv" for run in runs]
    tables = [read_tsv(path) for path in paths if path.is_file()]
    columns = ["metric", "mean", "sd", "low", "high", "n_seeds", "n_genes"]
    if not tables:
        return pd.DataFrame(columns=columns)
    metrics = pd.concat(tables)
    metrics = metrics[metrics["scenario"] == "full"]
    # Folds of one seed are averaged first, so that n is the number of seeds.
    by_seed = metrics.groupby(["metric", "seed"], sort=False)["value"].mean()
    genes = metrics.drop_duplicates("fold")["n_genes"].sum()
    rows = []
    for metric, values in by_seed.groupby("metric", sort=False):
        own = t_interval(values.to_numpy())
        rows.append([metric, own.mean, own.sd, own.low, own.high, own.n, int(genes)])
    return pd.DataFrame(rows, columns=columns)
