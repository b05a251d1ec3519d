"""Print the table of an experiment's comparisons."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prismflow.figures.tables import comparisons, render
from prismflow.files import read_tsv

_TEXTS = (
    "family", "cell", "model", "scenario", "reference", "reference_scenario", "decided_by",
    "published_source",
)  # fmt: skip


def write_comparisons(
    request: Mapping[str, Any], compared: str, outputs: Mapping[str, str]
) -> None:
    """Print an experiment's comparisons in every format of ``outputs`` (suffix -> path).

    Args:
        request: experiment and context, as the plan words them.
        compared: table of :func:`prismflow.evaluation.comparisons.compare_models`.
    """
    table = read_tsv(compared, dtype=dict.fromkeys(_TEXTS, str))
    sheet = comparisons.sheet(table, request["experiment"], request["context"])
    render.write_sheet(sheet, outputs)
