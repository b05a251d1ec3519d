"""Command line of the comparison: exit 0 if all agree, 1 beyond tolerance, 2 for unusable input."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from prismflow.errors import InputError
from prismflow.released.parity.compare import Report
from prismflow.released.parity.folders import check, expand


def main(arguments: list[str] | None = None) -> int:
    """Compare folders; print one line per folder and one per failure."""
    parser = argparse.ArgumentParser(
        prog="python -m prismflow.released.parity",
        description="Compare this package with numbers computed by the released code.",
    )
    parser.add_argument(
        "folders",
        nargs="+",
        type=Path,
        metavar="DIR",
        help="a folder of reference data, or a folder of such folders",
    )
    parser.add_argument("--failures", type=int, default=5, help="failures listed per folder")
    options = parser.parse_args(arguments)
    status = 0
    for folder in (found for given in options.folders for found in expand(given)):
        try:
            report = check(folder)
        except InputError as error:
            print(f"unusable  {folder}: {error}", file=sys.stderr)
            status = 2
            continue
        print("\n".join(lines(report, options.failures)), flush=True)
        if not report.passed and status == 0:
            status = 1
    return status


def lines(report: Report, limit: int) -> list[str]:
    """A report as text."""
    verdict = "ok  " if report.passed else "FAIL"
    text = [f"{verdict}  {report.folder}  {report.kind}: {len(report.deviations)} tensors"]
    if worst := report.worst:
        text[0] += (
            f", worst relative deviation {worst.relative:.2g} in {worst.name}"
            f" ({worst.share:.2g} of its tolerance)"
        )
    for deviation in sorted(report.failures, key=lambda d: -d.share)[:limit]:
        note = f" ({deviation.note})" if deviation.note else ""
        text.append(f"      {deviation.name}: {deviation.relative:.3g}{note}")
    if len(report.failures) > limit:
        text.append(f"      and {len(report.failures) - limit} more tensors beyond tolerance")
    if report.not_compared:
        shown = ", ".join(report.not_compared[:limit])
        text.append(f"      not compared ({len(report.not_compared)}): {shown}")
    return text


if __name__ == "__main__":
    sys.exit(main())
