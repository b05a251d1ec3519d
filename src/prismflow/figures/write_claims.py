"""Judge the claims and print their table."""

from __future__ import annotations

import json
from collections.abc import Mapping

from prismflow.evaluation.claims import count_parameters, judge
from prismflow.evaluation.predictions_file import read_gathered


def write_claims(
    content_json: str, request_json: str, gathered: str, outputs: Mapping[str, str]
) -> None:
    """Write the claims of a dataset in every format of ``outputs`` (suffix -> path).

    Args:
        content_json: the claims file.
        request_json: ``context`` and ``experiments``, as the plan words them; ``classes`` of the
            architectures whose parameters are counted.
        gathered: the dataset's gathered predictions.
    """
    from prismflow.figures.tables import claims, render

    content, request = json.loads(content_json), json.loads(request_json)
    table = judge(
        content,
        read_gathered(gathered),
        request["experiments"],
        request["context"],
        count_parameters(request["classes"]),
    )
    sheet = claims.sheet(table, {"id": "claims", **content}, request["context"])
    render.write(table, sheet, **{f"{suffix}_path": path for suffix, path in outputs.items()})
