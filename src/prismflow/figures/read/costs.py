"""Measured costs of models."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from prismflow.files import read_json


def load(need: str, request: Mapping[str, Any], root: Path) -> pd.DataFrame:
    """A row per model, columns of :func:`~prismflow.evaluation.costs.measure_cost`.

    Operations become ``flops_training`` and ``flops_prediction``, the parameters of Prism's
    context weights ``n_parameters_weight_generator``.
    """
    rows = []
    for model in request["experiment"]["models"]:
        record = read_json(root / request["context"]["dataset"] / "costs" / f"{model}.json")
        flops = record.pop("flops_per_gene", {})
        parts = record.pop("parameters_by_part", {})
        record["flops_training"] = flops.get("training")
        record["flops_prediction"] = flops.get("prediction")
        record["n_parameters_weight_generator"] = parts.get("weight_generator")
        rows.append(record)
    return pd.DataFrame(rows)
