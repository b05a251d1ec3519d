"""Explain genes of one trained run: gene by gene, each kept, then gathered into files."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from prismflow.arrays import save_arrays
from prismflow.data.genome import read_chrom_sizes
from prismflow.errors import InputError
from prismflow.explain.baselines import Baseline, make_baseline
from prismflow.explain.contexts import context_effects, has_context_weights
from prismflow.explain.gather import gather
from prismflow.explain.gradients import COMPLETE, integrated_gradients
from prismflow.explain.occlusion import occlusions
from prismflow.explain.substitutions import substitutions
from prismflow.explain.trained import Gene, Trained, open_trained
from prismflow.files import read_json, sha256, write_json, write_tsv
from prismflow.training.progress import Progress

logger = logging.getLogger(__name__)


def explain_run(
    store_dir: str | Path,
    splits_path: str | Path,
    weights_path: str | Path,
    model_json_path: str | Path,
    sizes_path: str | Path,
    settings: Mapping[str, Any],
    out_dir: str | Path,
    device: str = "auto",
    threads: int | None = None,
) -> None:
    """Explain the predictions of one trained run for some genes.

    Genes that are done are kept in :func:`state_folder`; a killed call continues behind them and
    ends with the same bytes.

    Args:
        store_dir, splits_path, weights_path, model_json_path: of the run.
        sizes_path: lengths of the chromosomes, for bigWigs.
        settings: ``genes``, ``split``, ``at_most``, ``baseline``, ``steps``, ``bin_bp``,
            ``mutagenesis``, ``pass_bp``, see :mod:`prismflow.settings.explanations`.
        out_dir: folder to write, see :func:`prismflow.explain.gather.gather`.
        device: ``auto``, ``cpu`` or ``cuda``.
        threads: CPU threads; None leaves them as they are.

    Raises:
        InputError: run, store and split do not agree, the model is no network, or a named gene is
            not in the store.
    """
    trained = open_trained(
        store_dir, splits_path, weights_path, model_json_path, settings["pass_bp"], device, threads
    )
    rows = chosen_rows(trained, settings)
    baseline = make_baseline(trained, settings["baseline"])
    state = state_folder(out_dir)
    _open_state(state, trained, weights_path, settings)
    progress = Progress(len(rows), f"explaining {trained.record['settings']['model']}")
    started = time.monotonic()
    for number, row in enumerate(rows.tolist(), start=1):
        if not (state / f"{row}.done").exists():
            _explain_gene(trained, trained.gene(row), baseline, settings, state)
            (state / f"{row}.done").touch()
        progress.update(number)
    logger.info("%d genes explained in %.1f s", len(rows), time.monotonic() - started)
    gather(trained, rows, state, read_chrom_sizes(sizes_path), settings, Path(out_dir))
    shutil.rmtree(state, ignore_errors=True)


def chosen_rows(trained: Trained, settings: Mapping[str, Any]) -> np.ndarray:
    """Rows of the store that are explained, in its order.

    Raises:
        InputError: a named gene is not in the store.
    """
    genes = trained.inputs.store.genes["gene_id"].astype(str)
    if settings["genes"]:
        absent = [name for name in settings["genes"] if name not in set(genes)]
        if absent:
            raise InputError(
                f"attributions.genes: expected genes of {trained.inputs.store.path}, such as "
                f"{genes.iloc[0]}, found {absent[0]!r}, which is not among its {len(genes)} genes "
                f"({len(absent)} such names); dropped.tsv says which genes were dropped and why."
            )
        return np.flatnonzero(genes.isin(settings["genes"])).astype(np.int64)
    rows = trained.split.rows[settings["split"]]
    most = settings["at_most"]
    if most is None or most >= len(rows):
        return rows
    return rows[np.arange(most) * len(rows) // most]


def state_folder(out_dir: str | Path) -> Path:
    """Where genes that are done lie until all are: beside the folder of the results."""
    out = Path(out_dir).absolute()
    return out.with_name(f"{out.name}.state")


def _open_state(
    state: Path, trained: Trained, weights_path: str | Path, settings: Mapping[str, Any]
) -> None:
    """Keep what is there if it belongs to this run, these data and settings, else begin anew."""
    asked = {name: settings[name] for name in ("baseline", "steps", "bin_bp", "mutagenesis")}
    manifest = trained.inputs.store.manifest
    text = json.dumps([asked, trained.record, manifest, sha256(weights_path)], sort_keys=True)
    identity = hashlib.sha256(text.encode()).hexdigest()
    kept = state / "state.json"
    if kept.exists() and read_json(kept) == identity:
        logger.info("continuing: %d genes are done", len(list(state.glob("*.done"))))
        return
    shutil.rmtree(state, ignore_errors=True)
    state.mkdir(parents=True)
    write_json(identity, kept)


def _explain_gene(
    trained: Trained, gene: Gene, baseline: Baseline, settings: Mapping[str, Any], state: Path
) -> None:
    arrays: dict[str, np.ndarray] = {}
    facts: dict[str, dict[str, float]] = {}
    for output in trained.outputs:
        found = integrated_gradients(trained, gene, baseline, output, settings["steps"])
        arrays[f"{output}.sequence"], arrays[f"{output}.signals"] = found.sequence, found.signals
        facts[output] = {
            "prediction": found.prediction,
            "reference": found.reference,
            "steps": found.steps,
            "error": found.error,
        }
        if found.error > COMPLETE:
            name = trained.inputs.store.genes["gene_id"].iloc[gene.row]
            logger.warning(
                "%s, %s: contributions miss the difference of predictions by %.1f %% after %d "
                "steps", name, output, 100 * found.error, found.steps,
            )  # fmt: skip
    if settings["mutagenesis"]:
        effects = substitutions(trained, gene)
        arrays |= {f"{o}.substitutions": e for o, e in zip(trained.outputs, effects, strict=True)}
    save_arrays(arrays, state / f"{gene.row}.safetensors")
    write_tsv(
        occlusions(trained, gene, baseline, settings["bin_bp"]), state / f"{gene.row}.occlusion.tsv"
    )
    if has_context_weights(trained):
        table = context_effects(trained, gene, settings["steps"])
        write_tsv(table, state / f"{gene.row}.contexts.tsv")
    write_json(facts, state / f"{gene.row}.json")
