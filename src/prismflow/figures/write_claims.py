"""Print the table of judged claims."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prismflow.figures.tables import claims, render
from prismflow.files import read_tsv

_NUMBERS = ("effect", "low", "high", "relative", "bound", "n_seeds", "n_genes", "n_blocks",
            "design_effect")  # fmt: skip


def write_claims(
    content: Mapping[str, Any],
    context: Mapping[str, Any],
    judged: str,
    errors: str,
    outputs: Mapping[str, str],
) -> None:
    """Print the claims of a dataset in every format of ``outputs`` (suffix -> path).

    Args:
        content: the claims file.
        context: of the dataset, as the plan words it.
        errors: how often the rules err in simulated worlds, of benchmarks/verdicts.py.
        judged: table of :func:`prismflow.evaluation.claims.judge_claims`.
    """
    table = read_tsv(judged, dtype=str)
    table = table.astype(dict.fromkeys(_NUMBERS, float))
    # Worlds are named "true" and "false", which are no numbers here.
    rates = read_tsv(errors, dtype={"world": str})
    render.write_sheet(claims.sheet(table, {"id": "claims", **content}, context, rates), outputs)
