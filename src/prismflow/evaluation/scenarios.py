"""Test one trained run in every scenario: crops, removed inputs, alternative outputs."""

from __future__ import annotations

import dataclasses
import importlib
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from safetensors.numpy import save

from prismflow.data.inputs import GeneInputs
from prismflow.data.store import Store
from prismflow.data.strands import other_strand
from prismflow.errors import InputError
from prismflow.evaluation.reach import replaced_beyond, shifts_and_strands, too_near
from prismflow.files import write_bytes, write_tsv
from prismflow.models import class_of
from prismflow.settings.scenarios import Scenario
from prismflow.statistics.agreement import regression_metrics
from prismflow.training.record import (
    Split,
    check_agreement,
    check_finite,
    extras_of,
    open_inputs,
    read_model_record,
    verify_files,
)

logger = logging.getLogger(__name__)

PERMUTATION_SEED = 20_240_229
"""Seed of the exchange of values between test genes (``how: permute``)."""


Predictor = Callable[[GeneInputs, np.ndarray, bool], tuple[np.ndarray, dict[str, np.ndarray]]]


def evaluate_run(
    store_dir: str | Path,
    splits_path: str | Path,
    weights_path: str | Path,
    model_json_path: str | Path,
    scenarios: Mapping[str, Mapping[str, Any]],
    predictions_path: str | Path,
    metrics_path: str | Path,
    extras_path: str | Path,
    device: str = "auto",
    threads: int | None = None,
    other_stores: Sequence[str | Path] = (),
) -> None:
    """Predict the test genes of a trained run in all scenarios.

    A scenario that cannot concern the model is left out of the outputs with a line in the log:
    removal of inputs that it does not read, a crop as long as or longer than its window or of a
    model whose input length is fixed, an output that it does not have.

    Args:
        store_dir: the cell's store; must agree with ``model.json``.
        splits_path: ``splits.tsv``; the genes marked test in the run's fold are predicted.
        weights_path, model_json_path: written by :func:`prismflow.training.run.train_run`.
        scenarios: definition by name, see :class:`Scenario`.
        predictions_path: table to write: scenario, gene_id, observed, predicted; test genes in
            the store's order.
        metrics_path: table to write: dataset, cell, model, fold, seed, scenario, metric, value,
            n_genes.
        extras_path: safetensors to write: what the model returns beside its prediction in the
            scenario without any change, (n_test, ...) float32 by name; may be empty.
        device: ``auto``, ``cpu`` or ``cuda``.
        threads: CPU threads; None leaves them as they are.
        other_stores: stores of the other cells that scenarios name; same dataset and genes.

    Raises:
        InputError: model, store and split do not agree, a scenario's cell has no store, the store's
            files are damaged, a scenario is malformed, or the GPU's memory did not suffice.
    """
    parsed = [Scenario.parse(name, values) for name, values in scenarios.items()]
    record = read_model_record(model_json_path)
    settings = record["settings"]
    store = Store.open(store_dir)
    split = Split.read(splits_path, record["fold"], store)
    check_agreement(record, model_json_path, store, split)
    needs = extras_of(class_of(settings), store)
    inputs = open_inputs(store, settings, needs)
    verify_files(inputs, settings)
    check_finite(inputs, split)
    others = _other_inputs(other_stores, record, model_json_path, splits_path, needs)
    adapt, predictor = predictor_of(settings, weights_path, device, threads)
    inputs, others = adapt(inputs), {cell: adapt(other) for cell, other in others.items()}
    predictions, extras = predict_scenarios(inputs, split, settings, parsed, predictor, others)
    rows = split.rows["test"]
    labels = {
        scenario.name: others.get(scenario.cell or "", inputs).labels(rows) for scenario in parsed
    }
    _write_tables(store, rows, record, predictions, labels, predictions_path, metrics_path)
    arrays = {name: np.ascontiguousarray(values, np.float32) for name, values in extras.items()}
    write_bytes(save(arrays), extras_path)


def _other_inputs(
    stores: Sequence[str | Path],
    record: Mapping[str, Any],
    model_json_path: str | Path,
    splits_path: str | Path,
    needs: tuple[str, ...],
) -> dict[str, GeneInputs]:
    """Checked inputs of other cells, by cell."""
    found = {}
    for path in stores:
        store = Store.open(path)
        split = Split.read(splits_path, record["fold"], store)
        check_agreement(record, model_json_path, store, split, other_cell=True)
        inputs = open_inputs(store, record["settings"], needs)
        verify_files(inputs, record["settings"])
        check_finite(inputs, split)
        found[str(store.manifest["cell"])] = inputs
    return found


def predict_scenarios(
    inputs: GeneInputs,
    split: Split,
    settings: Mapping[str, Any],
    scenarios: list[Scenario],
    predictor: Predictor,
    others: Mapping[str, GeneInputs] | None = None,
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Predictions of the test genes by scenario, and the extras of the unchanged scenario.

    Scenarios with the same inputs share one pass; those that do not concern the model are logged
    and left out. ``others`` holds the inputs of other cells that scenarios name.

    Raises:
        InputError: a scenario names a cell that is not there.
    """
    sources = {str(inputs.store.manifest["cell"]): inputs, **(others or {})}
    plain = Scenario(name="full").inputs_key
    needing_extras = {plain, *(s.inputs_key for s in scenarios if s.output is not None)}
    outputs: dict[tuple[Any, ...], tuple[np.ndarray, dict[str, np.ndarray]]] = {}
    predictions: dict[str, np.ndarray] = {}
    for scenario in scenarios:
        reason = _not_applicable(scenario, settings) or too_near(scenario, inputs)
        if reason is None:
            key = scenario.inputs_key
            if key not in outputs:
                source = _source(scenario, inputs, sources)
                source = other_strand(source) if scenario.strand else source
                changed = scenario_inputs(source, scenario, split)
                rows = split.rows["test"]
                if scenario.beyond_bp is not None:
                    changed, rows = replaced_beyond(changed, scenario, rows)
                if scenario.average:
                    views = shifts_and_strands(changed)
                    found = [predictor(view, rows, False)[0] for view in views]
                    outputs[key] = np.mean(found, axis=0), {}
                else:
                    outputs[key] = predictor(changed, rows, key in needing_extras)
            predicted, extras = outputs[key]
            if scenario.output is None:
                predictions[scenario.name] = predicted
            elif scenario.output in extras:
                predictions[scenario.name] = extras[scenario.output]
            else:
                reason = f"the model has no {scenario.output} output"
        if reason is not None:
            logger.info("scenario %s left out: %s", scenario.name, reason)
    _, extras = outputs.get(plain, (None, {}))
    return predictions, extras


def _source(scenario: Scenario, own: GeneInputs, sources: Mapping[str, GeneInputs]) -> GeneInputs:
    if scenario.cell is None:
        return own
    if scenario.cell not in sources:
        raise InputError(
            f"scenario {scenario.name!r}: expected the store of cell {scenario.cell!r}, found "
            f"only {', '.join(sources)}; pass it as one of the other stores."
        )
    return sources[scenario.cell]


def _not_applicable(scenario: Scenario, settings: Mapping[str, Any]) -> str | None:
    """Why a scenario does not concern a model, or None if it does."""
    if scenario.crop_bp is not None:
        if scenario.crop_bp >= settings["window_bp"]:
            return f"the model's window has only {settings['window_bp']} bp"
        cls = class_of(settings)
        if cls.tabular or cls.fixed_length:
            return f"{cls.architecture} has inputs of a fixed length"
    if scenario.strand is not None and class_of(settings).tabular:
        return "a table of features has no strand"
    read = {*settings["modalities"], *settings["gene_features"]}
    if scenario.remove and not read.intersection(scenario.remove):
        return f"the model does not read {', '.join(scenario.remove)}"
    return None


def scenario_inputs(inputs: GeneInputs, scenario: Scenario, split: Split) -> GeneInputs:
    """The inputs of a scenario: cropped, and with the removed names replaced.

    Args:
        inputs: as the model was trained on.
        scenario: names that the model does not read are passed over.
        split: its training genes give means, its test genes exchange values.
    """
    if scenario.crop_bp is not None:
        inputs = dataclasses.replace(inputs, window_bp=scenario.crop_bp)
    signals = [name for name in inputs.modalities if name in scenario.remove]
    features = [name for name in inputs.gene_features if name in scenario.remove]
    if scenario.how == "permute":
        rows = split.rows["test"]
        order = np.random.default_rng(PERMUTATION_SEED).permutation(rows.size)
        donor = dict(zip(rows.tolist(), rows[order].tolist(), strict=True))
        return dataclasses.replace(inputs, donors={n: donor for n in (*signals, *features)})
    if scenario.how == "mean":
        rows = split.rows["train"]
        means = inputs.features(rows).mean(axis=0, dtype=np.float64)
        return dataclasses.replace(
            inputs,
            replaced_signals={name: inputs.mean_signal(name, rows) for name in signals},
            replaced_features={
                name: float(means[inputs.gene_features.index(name)]) for name in features
            },
        )
    return dataclasses.replace(
        inputs,
        replaced_signals={name: np.zeros(inputs.window_bp, np.float32) for name in signals},
        replaced_features={name: 0.0 for name in features},
    )


def predictor_of(
    settings: Mapping[str, Any], weights_path: str | Path, device: str, threads: int | None
) -> tuple[Callable[[GeneInputs], GeneInputs], Predictor]:
    """How a trained model reads inputs, and its predictor.

    Args:
        settings: resolved model settings.
        weights_path: ``model.safetensors``.
        device: ``auto``, ``cpu`` or ``cuda``; no concern of tabular models.
        threads: CPU threads; None leaves them as they are.

    Returns:
        A function that inputs must go through, and one that takes inputs, (n,) store rows and
        whether extras are wanted, and returns (n,) predictions and extras by name.

    Raises:
        InputError: weights that do not fit.
    """
    if class_of(settings).tabular:
        return _tabular_predictor(settings, weights_path)
    return (lambda inputs: inputs), _network_predictor(settings, weights_path, device, threads)


def _tabular_predictor(
    settings: Mapping[str, Any], weights_path: str | Path
) -> tuple[Callable[[GeneInputs], GeneInputs], Predictor]:
    """How the model reads inputs, and its predictor."""
    # Loaded by name, so that an edit of the tabular models does not repeat the networks' tests.
    cls = class_of(settings)
    tabular = importlib.import_module(cls.__module__)
    model = tabular.load_tabular(cls, weights_path)
    chosen = tabular.tabular_settings(settings)

    def predictor(changed: GeneInputs, rows: np.ndarray, _: bool) -> tuple[np.ndarray, dict]:
        design = model.design(changed, rows, chosen)
        return model.predict(design), model.outputs(design) if hasattr(model, "outputs") else {}

    return model.inputs, predictor


def _network_predictor(
    settings: Mapping[str, Any], weights_path: str | Path, device: str, threads: int | None
) -> Predictor:
    from prismflow.settings.fields import parse_settings
    from prismflow.settings.training import TrainingSettings
    from prismflow.training.batches import GeneBatches
    from prismflow.training.determinism import prepare_device
    from prismflow.training.devices import MemoryAdvice
    from prismflow.training.inference import build_model, load_weights, predict

    training = parse_settings(
        TrainingSettings, settings.get("training", {}), f"training of {settings['model']}"
    )
    chosen = prepare_device(device, threads)
    model = build_model(settings)
    load_weights(model, weights_path)
    model.to(chosen)

    def predictor(changed: GeneInputs, rows: np.ndarray, extras: bool) -> tuple[np.ndarray, dict]:
        batch_size = training.eval_batch_size
        advice = "lower training.eval_batch_size"
        with MemoryAdvice(f"prediction, eval_batch_size {batch_size}", advice):
            batches = GeneBatches(changed, rows, chosen)
            return predict(model, batches, batch_size, training.precision, extras)

    return predictor


def _write_tables(
    store: Store,
    rows: np.ndarray,
    record: Mapping[str, Any],
    predictions: Mapping[str, np.ndarray],
    labels: Mapping[str, np.ndarray],
    predictions_path: str | Path,
    metrics_path: str | Path,
) -> None:
    genes = store.genes["gene_id"].astype(str).to_numpy()[rows]
    identity = {
        "dataset": store.manifest["dataset"],
        "cell": store.manifest["cell"],
        "model": record["settings"]["model"],
        "fold": record["fold"],
        "seed": record["seed"],
    }
    tables = [pd.DataFrame(columns=["scenario", "gene_id", "observed", "predicted"])]
    metrics = []
    for name, predicted in predictions.items():
        observed = labels[name]
        tables.append(
            pd.DataFrame(
                {"scenario": name, "gene_id": genes, "observed": observed, "predicted": predicted}
            )
        )
        for metric, value in regression_metrics(observed, predicted).items():
            metrics.append(
                {**identity, "scenario": name, "metric": metric, "value": value,
                 "n_genes": rows.size}
            )  # fmt: skip
    columns = [*identity, "scenario", "metric", "value", "n_genes"]
    write_tsv(pd.concat(tables[1:] or tables, ignore_index=True), predictions_path)
    write_tsv(pd.DataFrame(metrics, columns=columns), metrics_path)
