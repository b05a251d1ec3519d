"""Settings of a model in a dataset, resolved from the configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def gene_features(dataset: dict[str, Any]) -> list[str]:
    """Names of the gene features that a dataset's store holds, in their order."""
    names = list(dataset["genes"]["features"])
    if dataset["genes"]["promoter_activity"] != "none":
        names.append("promoter_activity")
    return names


def training_settings(values: Mapping[str, Any], entry: Mapping[str, Any]) -> dict[str, Any]:
    """Training keys of a model, its batches taken in as many passes as ``run.pass_bp`` asks for.

    Gradients are those of the whole batch, so a step means the same on a smaller device.
    """
    training = {**values["training"], **entry.get("training", {})}
    limit = values["run"]["pass_bp"]
    if limit is None:
        return training
    branches = 1 + entry.get("hyperparameters", {}).get("n_contexts", 0)
    genes = max(1, limit // (entry["window_bp"] * branches))
    whole = training["batch_size"]
    in_pass = max(n for n in range(1, whole + 1) if whole % n == 0 and n <= genes)
    if in_pass < whole:
        training["batch_size"] = in_pass
        training["accumulate_batches"] = training.get("accumulate_batches", 1) * (whole // in_pass)
    # Without gradients a pass takes about a quarter of the memory.
    if training.get("eval_batch_size", 1) > 4 * genes:
        training["eval_batch_size"] = 4 * genes
    return training
