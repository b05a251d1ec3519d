"""From explained genes to files: tables, arrays and bigWigs in genome coordinates."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from prismflow.arrays import load_arrays, save_arrays
from prismflow.explain.substitutions import base_importance
from prismflow.explain.tracks import BaseTrack, write_track
from prismflow.explain.trained import Trained
from prismflow.files import read_json, read_tsv, write_tsv

PLACE = ("gene_id", "chrom", "tss", "strand", "start", "end")
TOTALS = (
    "gene_id", "output", "input", "integrated_gradients", "integrated_gradients_absolute",
    "occlusion",
)  # fmt: skip


def gather(
    trained: Trained,
    rows: np.ndarray,
    state: Path,
    sizes: Mapping[str, int],
    settings: Mapping[str, Any],
    out_dir: Path,
) -> None:
    """Write the results of all genes into ``out_dir``, which appears when it is complete.

    Files: ``genes.tsv`` (where each window lies, predictions, completeness), ``totals.tsv`` (per
    gene, output and input), ``occlusion.tsv.gz``, ``contexts.tsv.gz`` (Prism with contexts),
    ``attributions.safetensors`` (per output: ``sequence`` (n, L, 4), ``signals`` (n, L, M),
    ``substitutions`` (n, L, 4); of the window: ``codes`` (n, L), transformed ``signals``
    (n, L, M)), and per output one bigWig per signal, one of the sequence, and one of the
    substitutions.
    """
    temporary = out_dir.with_name(f"{out_dir.name}.writing")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    places = _places(trained, rows)
    facts = [read_json(state / f"{row}.json") for row in rows.tolist()]
    write_tsv(_genes(trained, places, rows, facts), temporary / "genes.tsv")
    arrays = _arrays(trained, rows, state, bool(settings["mutagenesis"]))
    occluded = _joined(places, rows, state, "occlusion")
    write_tsv(_totals(trained, places, arrays, occluded), temporary / "totals.tsv")
    write_tsv(_in_genome(places, occluded), temporary / "occlusion.tsv.gz")
    if (state / f"{rows[0]}.contexts.tsv").exists():
        write_tsv(_joined(places, rows, state, "contexts"), temporary / "contexts.tsv.gz")
    save_arrays(arrays, temporary / "attributions.safetensors")
    for name, values in _per_base(trained, arrays).items():
        write_track(BaseTrack(places, values), sizes, temporary / f"{name}.bw")
    shutil.rmtree(out_dir, ignore_errors=True)
    temporary.rename(out_dir)


def _places(trained: Trained, rows: np.ndarray) -> pd.DataFrame:
    """Windows of the model, 0-based half-open on the forward strand for every gene."""
    genes = trained.inputs.store.genes.iloc[rows].reset_index(drop=True)
    start = genes["tss"] - trained.window_bp // 2
    return genes.assign(start=start, end=start + trained.window_bp)[list(PLACE)]


def _genes(
    trained: Trained, places: pd.DataFrame, rows: np.ndarray, facts: list[dict[str, Any]]
) -> pd.DataFrame:
    table = places.assign(observed=trained.inputs.labels(rows))
    for output in trained.outputs:
        for name in ("prediction", "reference", "steps", "error"):
            table[f"{output}_{name}"] = [fact[output][name] for fact in facts]
    return table


def _arrays(
    trained: Trained, rows: np.ndarray, state: Path, mutagenesis: bool
) -> dict[str, np.ndarray]:
    kinds = ("sequence", "signals", *(("substitutions",) if mutagenesis else ()))
    names = [f"{output}.{kind}" for output in trained.outputs for kind in kinds]
    last = {kind: 4 for kind in kinds} | {"signals": len(trained.inputs.modalities)}
    shape = (len(rows), trained.window_bp)
    arrays = {name: np.empty((*shape, last[name.split(".")[1]]), np.float32) for name in names}
    for number, row in enumerate(rows.tolist()):
        for name, values in load_arrays(state / f"{row}.safetensors").items():
            arrays[name][number] = values
    arrays["window.codes"] = trained.inputs.codes(rows)
    arrays["window.signals"] = trained.inputs.signals(rows)
    return arrays


def _joined(places: pd.DataFrame, rows: np.ndarray, state: Path, name: str) -> pd.DataFrame:
    parts = []
    for gene, row in zip(places["gene_id"], rows.tolist(), strict=True):
        part = read_tsv(state / f"{row}.{name}.tsv")
        part.insert(0, "gene_id", gene)
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def _totals(
    trained: Trained,
    places: pd.DataFrame,
    arrays: Mapping[str, np.ndarray],
    occluded: pd.DataFrame,
) -> pd.DataFrame:
    whole = occluded[(occluded["start"] == 0) & (occluded["end"] == trained.window_bp)]
    # A window of one bin has two equal rows.
    whole = whole.drop_duplicates(["gene_id", "input"]).set_index(["gene_id", "input"])
    parts = []
    for output in trained.outputs:
        per_base = _contributions(trained, arrays, output)
        for name, values in per_base.items():
            sums = values.astype(np.float64)
            parts.append(
                pd.DataFrame(
                    {
                        "gene_id": places["gene_id"],
                        "output": output,
                        "input": name,
                        "integrated_gradients": sums.sum(axis=1),
                        "integrated_gradients_absolute": np.abs(sums).sum(axis=1),
                        "occlusion": [whole.loc[(g, name), output] for g in places["gene_id"]],
                    }
                )
            )
    return pd.concat(parts, ignore_index=True)[list(TOTALS)]


def _contributions(
    trained: Trained, arrays: Mapping[str, np.ndarray], output: str
) -> dict[str, np.ndarray]:
    """(n, L) integrated gradients by input."""
    found = {"sequence": arrays[f"{output}.sequence"].sum(axis=-1)}
    for channel, name in enumerate(trained.inputs.modalities):
        found[name] = arrays[f"{output}.signals"][:, :, channel]
    return found


def _per_base(trained: Trained, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    tracks = {}
    for output in trained.outputs:
        for name, values in _contributions(trained, arrays, output).items():
            tracks[f"{output}.{name}"] = values
        if f"{output}.substitutions" in arrays:
            effects = arrays[f"{output}.substitutions"]
            tracks[f"{output}.substitutions"] = base_importance(effects)
    return tracks


def _in_genome(places: pd.DataFrame, occluded: pd.DataFrame) -> pd.DataFrame:
    start = occluded["gene_id"].map(places.set_index("gene_id")["start"])
    chrom = occluded["gene_id"].map(places.set_index("gene_id")["chrom"])
    table = occluded.assign(start=occluded["start"] + start, end=occluded["end"] + start)
    table.insert(2, "chrom", chrom)
    return table
