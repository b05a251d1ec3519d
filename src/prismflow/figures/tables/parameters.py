"""Parameters, operations, and measured time and memory of a training step (paper, Table 3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from prismflow.figures.plots import common
from prismflow.figures.tables.render import NOT_AVAILABLE, Block, Sheet, count
from prismflow.labels import model_label

NEEDS = ("costs",)
COLUMNS = (
    "model", "architecture", "window_bp", "n_parameters", "n_parameters_weight_generator",
    "flops_training", "flops_prediction", "batch_size", "precision", "step_seconds",
    "step_seconds_low", "step_seconds_high", "step_memory_mib", "device", "threads", "torch",
)  # fmt: skip

HEADER = (
    "Model", "window (bp)", "parameters", "weight generator", "FLOPs per gene (training)",
    "FLOPs per gene (prediction)", "batch", "step (s)", "step memory (MiB)",
)  # fmt: skip


def build(
    data: Mapping[str, Any], experiment: Mapping[str, Any], context: Mapping[str, Any]
) -> pd.DataFrame:
    """One row per model in the experiment's order; columns :data:`COLUMNS`, label after model.

    Args:
        data: ``costs``.
        experiment: ``id``.
        context: ``model_labels``.
    """
    table = common.require(data, "costs", experiment).reindex(columns=list(COLUMNS))
    table.insert(1, "label", [model_label(name, context) for name in table["model"]])
    return table


def sheet(table: pd.DataFrame, experiment: Mapping[str, Any], context: Mapping[str, Any]) -> Sheet:
    """The printed form; what a model does not have is a dash."""
    lines = tuple(_line(row) for row in table.to_dict("records"))
    trained = table[table["step_seconds"].notna()]
    devices = ", ".join(
        f"{device} ({int(threads)} thread{'' if threads == 1 else 's'})"
        for device, threads in sorted(set(zip(trained["device"], trained["threads"], strict=True)))
    )
    versions = ", ".join(sorted(set(trained["torch"])))
    return Sheet(
        columns=HEADER,
        align="lrrrrrrrr",
        blocks=(Block("", lines),),
        caption=f"{str(experiment['title']).rstrip('.')}: sizes of this configuration.",
        notes=(
            f"Measured on {devices or 'no device'}, PyTorch {versions or 'not used'}, on "
            "random inputs: median of 5 steps (forward, backward, clipping, update) after 2 "
            "that are not counted; the range is in the TSV. Memory: on CUDA the peak of allocated "
            "tensors, on a CPU the growth of the process's peak (0 where the step "
            "fits into what start-up used).",
            "FLOPs: forward pass, a multiply-add counted as two; products, convolutions, Fourier "
            "transforms and the scan. Prism computes its context branches in training only: "
            "its reported prediction does not use them. Tabular models (dashes) have no step.",
        ),
    )  # fmt: skip


def _line(row: Mapping[str, Any]) -> tuple[str, ...]:
    counts = [
        count(row[name])
        for name in ("n_parameters", "n_parameters_weight_generator")
    ]  # fmt: skip
    flops = [scaled(row[name]) for name in ("flops_training", "flops_prediction")]
    seconds, memory = row["step_seconds"], row["step_memory_mib"]
    return (
        str(row["label"]),
        count(row["window_bp"]),
        *counts,
        *flops,
        count(row["batch_size"]),
        NOT_AVAILABLE if pd.isna(seconds) else f"{seconds:.3g}",
        NOT_AVAILABLE if pd.isna(memory) else f"{memory:,.0f}",
    )


def scaled(value: float) -> str:
    """A number of operations with its prefix: ``12.4 M``, ``3.1 G``."""
    if pd.isna(value):
        return NOT_AVAILABLE
    for factor, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= factor:
            return f"{value / factor:.3g} {prefix}"
    return f"{value:.3g}"
