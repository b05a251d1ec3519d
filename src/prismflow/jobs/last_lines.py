"""The last lines of a session: flags of the data, verdicts on the claims, where the report is."""

from __future__ import annotations

import contextlib
import csv
from collections.abc import Iterable
from pathlib import Path

from prismflow.jobs.refusals import flags_of


def verdicts_of(dataset: str, results: str | Path = "results") -> list[str]:
    """A line per claim of the paper; none where the table is absent or not whole."""
    path = Path(results) / dataset / "tables" / "claims.tsv"
    verdicts: dict[str, str] = {}
    with (
        contextlib.suppress(OSError, ValueError, LookupError, csv.Error),
        path.open(encoding="utf-8", newline="") as stream,
    ):
        for row in csv.DictReader(stream, delimiter="\t"):
            verdicts[row["claim"]] = row["verdict"]
    return [f"{verdict}: {claim}" for claim, verdict in verdicts.items()]


def last_lines(datasets: Iterable[str], since: float, results: str | Path = "results") -> list[str]:
    """Flags of all datasets, then verdicts and report of each whose report was written just now.

    Args:
        datasets: names.
        since: start of the session (seconds of the epoch); older reports say nothing new.
        results: folder of all results.
    """
    datasets = list(datasets)
    lines = flags_of(datasets, results)
    for dataset in datasets:
        report = Path(results) / dataset / "report.html"
        with contextlib.suppress(OSError):
            if report.stat().st_mtime >= since:
                lines += [f"{dataset}: {line}" for line in verdicts_of(dataset, results)]
                lines.append(f"report: {report.resolve()}")
    return lines
