"""Judge the claims and print their table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prismflow.evaluation.claims import count_parameters, judge
from prismflow.evaluation.predictions_file import read_gathered


def write_claims(
    content: Mapping[str, Any],
    request: Mapping[str, Any],
    gathered: str,
    outputs: Mapping[str, str],
) -> None:
    """Write the claims of a dataset in every format of ``outputs`` (suffix -> path).

    Args:
        content: the claims file.
        request: ``context`` and ``experiments``, as the plan words them; ``classes`` of the
            architectures whose parameters are counted.
        gathered: the dataset's gathered predictions.
    """
    from prismflow.figures.tables import claims, render

    table = judge(
        content,
        read_gathered(gathered),
        request["experiments"],
        request["context"],
        count_parameters(request["classes"]),
    )
    sheet = claims.sheet(table, {"id": "claims", **content}, request["context"])
    render.write(table, sheet, **{f"{suffix}_path": path for suffix, path in outputs.items()})
