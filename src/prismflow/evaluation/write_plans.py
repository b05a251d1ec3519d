"""Write what is planned: experiments with their price, claims with what would decide them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prismflow.evaluation.deciding import count_test_genes, deciding_lines, deciding_table
from prismflow.evaluation.price import estimate_runs, plan_lines, plan_table, store_table
from prismflow.files import read_tsv, write_text, write_tsv


def write_plans(
    request: Mapping[str, Any], root: str = "results", logs: str = "benchmarks"
) -> None:
    """Write ``plan.tsv``, ``plan_claims.tsv`` and ``plan.md`` of every dataset.

    Args:
        request: :func:`prismflow.plan.price_request.plan_request`.
        root, logs: folders of results and of benchmark files.
    """
    defaults = read_tsv(request["costs"])
    deciding = request["deciding"]
    device = "cpu" if request["device"] == "cpu" else "cuda"
    for dataset, content in request["datasets"].items():
        estimates = estimate_runs(
            dataset, content["runs"], request["models"], defaults, device, Path(root), Path(logs)
        )
        experiments = {
            name: [tuple(key) for key in keys] for name, keys in content["experiments"].items()
        }
        table = plan_table(experiments, estimates)
        stores = store_table(content["stores"], Path(root))
        write_tsv(table, os.path.join(root, dataset, "plan.tsv"))
        splits = Path(root) / dataset / "splits.tsv"
        share = float(deciding["planning"]["test_share"])
        claims = deciding_table(
            content["claims"],
            deciding,
            count_test_genes(splits, content["n_genes"], share),
            estimates,
        )
        write_tsv(claims, os.path.join(root, dataset, "plan_claims.tsv"))
        lines = plan_lines(dataset, content["title"], table, stores, device)
        text = "\n".join(lines + deciding_lines(claims, deciding["planning"])) + "\n"
        notes = "".join(f"- {note}\n" for note in content.get("left_out", ()))
        text += f"\nLeft out:\n\n{notes}" if notes else ""
        write_text(text, os.path.join(root, dataset, "plan.md"))
