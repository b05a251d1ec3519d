"""Knock-outs of elements: what a gene's prediction loses when a pair's element is taken out.

The element's bases become unknown and its signals zero; contacts stay, as silencing an element
leaves the map of contacts. Many windows go through the model together, whatever gene they are of.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from prismflow.data.edited_inputs import edited, one_stretch_each
from prismflow.data.inputs import GeneInputs
from prismflow.data.layouts import layout_of
from prismflow.data.store import ELEMENT_FILES, Store
from prismflow.evaluation.scenarios import Predictor, predictor_of
from prismflow.explain.attention import has_attention, promoter_attention
from prismflow.files import read_json, read_tsv, sha256, write_array, write_json, write_tsv
from prismflow.models import class_of
from prismflow.training.progress import Progress
from prismflow.training.record import (
    Split,
    check_agreement,
    extras_of,
    open_inputs,
    read_model_record,
    verify_files,
)

logger = logging.getLogger(__name__)

CHUNK = 2048
"""Knock-outs that are kept together: what a killed job does again at most."""


@dataclass(frozen=True, eq=False)
class Model:
    """A trained run that is asked about windows with elements taken out.

    Attributes:
        inputs: as it reads the store.
        predictor: of inputs and rows.
        split: the fold that it was trained on.
        settings: resolved.
    """

    inputs: GeneInputs
    predictor: Predictor
    split: Split
    settings: Mapping[str, Any]

    @classmethod
    def open(
        cls,
        store_dir: str | Path,
        splits_path: str | Path,
        folder: str | Path,
        device: str = "auto",
        threads: int | None = None,
    ) -> Model:
        """A run from its folder.

        Raises:
            InputError: run, store and split do not agree.
        """
        weights, described = Path(folder) / "model.safetensors", Path(folder) / "model.json"
        record = read_model_record(described)
        settings = record["settings"]
        store = Store.open(store_dir)
        split = Split.read(splits_path, record["fold"], store)
        check_agreement(record, described, store, split)
        inputs = open_inputs(store, settings, extras_of(class_of(settings), store))
        verify_files(inputs, settings)
        adapt, predictor = predictor_of(settings, weights, device, threads)
        return cls(adapt(inputs), predictor, split, settings)

    def predict(self, inputs: GeneInputs, rows: np.ndarray) -> np.ndarray:
        """(n,) predictions."""
        return self.predictor(inputs, rows, False)[0]


@dataclass(frozen=True, eq=False)
class Targets:
    """What is taken out of k windows: a stretch of each, and candidate elements over it.

    Attributes:
        genes: (k,) rows of the store.
        start, end: (k,) within the window, 0-based half-open; equal where it lies outside.
        slots: (k, P) bool, candidate elements over the pair's element; None without elements.
    """

    genes: np.ndarray
    start: np.ndarray
    end: np.ndarray
    slots: np.ndarray | None

    @classmethod
    def of(cls, pairs: pd.DataFrame, genes: np.ndarray, inputs: GeneInputs) -> Targets:
        """Of pairs (chrom, start, end, kind) of the genes in these rows of the store."""
        opening = inputs.store.genes["tss"].to_numpy()[genes] - inputs.window_bp // 2
        start = np.clip(pairs["start"].to_numpy() - opening, 0, inputs.window_bp)
        end = np.clip(pairs["end"].to_numpy() - opening, 0, inputs.window_bp)
        return cls(genes, start, end, _slots(pairs, genes, inputs))

    def reached(self) -> np.ndarray:
        """(k,) whether the model sees anything of the element."""
        seen = self.end > self.start
        return seen if self.slots is None else seen | self.slots.any(axis=1)

    def rows(self, chosen: np.ndarray) -> Targets:
        """Some of them."""
        slots = None if self.slots is None else self.slots[chosen]
        return Targets(self.genes[chosen], self.start[chosen], self.end[chosen], slots)


def _slots(pairs: pd.DataFrame, genes: np.ndarray, inputs: GeneInputs) -> np.ndarray | None:
    if "elements" not in inputs.extras:
        return None
    table = read_tsv(inputs.store.path / ELEMENT_FILES["table"], dtype={"chrom": str})
    index = np.asarray(inputs.store.element_arrays["index"])[genes]
    there, at = index >= 0, np.maximum(index, 0)
    start, end = table["start"].to_numpy()[at], table["end"].to_numpy()[at]
    over = there & (start < pairs["end"].to_numpy()[:, None])
    over &= end > pairs["start"].to_numpy()[:, None]
    # The promoter stays, but in the pair that is the promoter's own.
    over[:, 0] &= (pairs["kind"] == "promoter").to_numpy()
    return over


def knock_out(model: Model, targets: Targets) -> np.ndarray:
    """(k,) predictions with the elements taken out, many windows in a pass."""
    inputs = model.inputs
    taken = tuple(
        name for name in inputs.modalities if not layout_of(inputs.store.modality(name)).is_binned
    )
    # Activity is a feature of elements even where a model reads no signal per base.
    named = inputs.store.manifest.get("elements", {}).get("activity", ())
    edits = one_stretch_each(
        targets.genes, targets.start, targets.end, slots=targets.slots,
        signals=tuple(dict.fromkeys([*taken, *named])),
    )  # fmt: skip
    return model.predict(edited(inputs, edits), np.arange(len(targets.genes)))


def score_pairs(
    store_dir: str | Path,
    splits_path: str | Path,
    folder: str | Path,
    pairs_path: str | Path,
    settings: Mapping[str, Any],
    output: str | Path,
    device: str = "auto",
    threads: int | None = None,
) -> None:
    """Score the pairs of a cell with one trained run; a killed call goes on where it was.

    Args:
        store_dir, splits_path: of the cell.
        folder: of the run: ``model.safetensors`` and ``model.json``.
        pairs_path: table of :func:`prismflow.data.element_pairs.write_pairs`.
        settings: ``split``: ``test`` (pairs of genes in the run's test split) or ``all``.
        output: TSV to write, a row per scored pair: pair (row of the table of pairs), held_out,
            reached, knockout (prediction minus the one without the element; 0 beyond the window),
            attention (largest over the candidates that the element overlaps; empty without).
        device: ``auto``, ``cpu`` or ``cuda``.
        threads: CPU threads; None leaves them as they are.

    Raises:
        InputError: run, store, split and pairs do not agree.
    """
    model = Model.open(store_dir, splits_path, folder, device, threads)
    pairs = read_tsv(pairs_path, dtype={"gene_id": str, "chrom": str})
    place = {str(name): row for row, name in enumerate(model.inputs.store.genes["gene_id"])}
    genes = np.array([place[name] for name in pairs["gene_id"]], np.int64)
    held = np.isin(genes, model.split.rows["test"])
    chosen = np.flatnonzero(held if settings["split"] == "test" else np.ones(len(held), bool))
    own, genes = pairs.iloc[chosen].reset_index(drop=True), genes[chosen]
    targets = Targets.of(own, genes, model.inputs)
    reached = targets.reached()
    known, gene_of = np.unique(genes, return_inverse=True)
    reference = model.predict(model.inputs, known) if len(known) else np.zeros(0)
    knockout = np.zeros(len(own))
    at = np.flatnonzero(reached)
    identity = _identity(folder, pairs_path, settings, model)
    state = Path(output).absolute().with_name(f"{Path(output).name}.state")
    without = _in_chunks(model, targets.rows(at), state, identity)
    knockout[at] = reference[gene_of[at]].astype(float) - without
    table = pd.DataFrame(
        {"pair": chosen, "held_out": held[chosen], "reached": reached, "knockout": knockout}
    )
    table["attention"] = _attention(model, folder, targets, known, gene_of, device, threads)
    write_tsv(table, output)
    shutil.rmtree(state, ignore_errors=True)
    logger.info("%d pairs scored, %d within reach of the model", len(own), len(at))


def _identity(
    folder: str | Path, pairs_path: str | Path, settings: Mapping[str, Any], model: Model
) -> str:
    weights = sha256(Path(folder) / "model.safetensors")
    known = [weights, sha256(pairs_path), dict(settings), model.inputs.store.manifest["digests"]]
    return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()


def _in_chunks(model: Model, targets: Targets, state: Path, identity: str) -> np.ndarray:
    """Predictions of all targets; chunks that are done are kept beside the output."""
    kept = state / "state.json"
    if not (kept.exists() and read_json(kept) == identity):
        shutil.rmtree(state, ignore_errors=True)
        state.mkdir(parents=True)
        write_json(identity, kept)
    n = len(targets.genes)
    progress = Progress(n, f"knock-outs, {model.settings['model']}")
    parts = [np.zeros(0)]
    for start in range(0, n, CHUNK):
        path = state / f"{start}.npy"
        if not path.exists():
            rows = np.arange(start, min(start + CHUNK, n))
            write_array(knock_out(model, targets.rows(rows)), path)
        parts.append(np.load(path, allow_pickle=False))
        progress.update(min(start + CHUNK, n))
    return np.concatenate(parts)


def _attention(
    model: Model,
    folder: str | Path,
    targets: Targets,
    known: np.ndarray,
    gene_of: np.ndarray,
    device: str,
    threads: int | None,
) -> np.ndarray:
    """(k,) attention to the candidates that each pair's element overlaps; NaN without any model."""
    if not has_attention(model.settings, model.inputs) or targets.slots is None:
        return np.full(len(targets.genes), np.nan)
    weights = Path(folder) / "model.safetensors"
    batch_size = int(model.settings["training"].get("eval_batch_size", 64))
    found = promoter_attention(
        model.settings, weights, model.inputs, known, batch_size, device, threads
    )
    slots = targets.slots[:, : found.shape[1]]
    return np.where(slots, found[gene_of], 0.0).max(axis=1, initial=0.0)
