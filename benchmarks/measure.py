"""What the benchmarks share: interleaved timing, peak memory in a process of its own, tables."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median

RESULTS = Path(__file__).parent / "results"


def interleaved(
    functions: Mapping[str, Callable[[], object]], rounds: int, warm: int = 1
) -> dict[str, float]:
    """Median milliseconds of each function; every round runs all of them once, in turn.

    On a machine with other work only the ratios mean anything, and only within one such run.
    """
    for function in functions.values():
        for _ in range(warm):
            function()
    times: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            started = time.perf_counter()
            function()
            times[name].append(1e3 * (time.perf_counter() - started))
    return {name: median(values) for name, values in times.items()}


def peak_mib(function: Callable[[], object]) -> float:
    """Memory that a call takes at its peak beyond what the process held before (Linux)."""
    Path("/proc/self/clear_refs").write_text("5")
    before = _status("VmRSS")
    function()
    return (_status("VmHWM") - before) / 1024


def _status(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1])
    raise KeyError(field)


def in_own_process(script: str, *arguments: object) -> float | None:
    """The last number that a run of ``script`` prints; None if it ran out of memory or failed."""
    command = [sys.executable, script, *map(str, arguments)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode != 0:
        print(f"# {' '.join(map(str, arguments))}: {run.stderr.strip().splitlines()[-1:]}")
        return None
    return float(run.stdout.split()[-1])


def write_table(name: str, header: tuple[str, ...], rows: list[tuple]) -> None:
    """Print a table and write it to results/NAME.tsv."""
    cells = [header, *(tuple(_text(value) for value in row) for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    print(f"\n## {name}")
    for row in cells:
        print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)))
    RESULTS.mkdir(exist_ok=True)
    lines = ["\t".join(row) for row in cells]
    (RESULTS / f"{name}.tsv").write_text("\n".join(lines) + "\n")
    sys.stdout.flush()


def _text(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"
    return str(value)


def use_peers(folder: str | None) -> None:
    """Also import from a folder of packages that are compared with, such as mambapy."""
    if folder:
        sys.path.append(folder)
        os.environ["PYTHONPATH"] = os.pathsep.join(
            filter(None, [os.environ.get("PYTHONPATH"), folder])
        )
