"""Check and measure the CUDA side in one command: at most eight minutes, unattended.

    python benchmarks/gpu.py                             # the parts below, in their order
    python benchmarks/gpu.py --parts kernels,loop        # some of them
    python benchmarks/gpu.py --parts costs --costs config/costs.tsv    # put measured times there
    python benchmarks/gpu.py --rehearse                  # on a CPU, tiny, by Triton's interpreter

Each part is a process of its own with a time limit, so that one that crashes or hangs costs the
others nothing. After each part all results are written to the folder OUT (default
``benchmarks/results``): gpu.jsonl as they come, gpu.tsv and gpu.md as a table. A line of the table
is compared with its limit in ``LIMITS``, which stands here before anything is measured. A broken
``check`` ends the command with status 1 and is named; a missed ``aim`` is marked only, because it
was set for one kind of card (H200).
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).parent
#: Name -> (seconds at most, whether it runs by default). The first ones matter most.
PARTS = {
    "environment": (60, True),
    "kernels": (150, True),
    "block": (60, True),
    "replay": (60, True),
    "resume": (60, True),
    "loop": (120, True),
    "long": (90, True),
    "steps": (90, True),
    "curve": (90, True),
    "tests": (150, True),
    "profile": (60, True),
    "scan": (60, True),
    "tune": (120, True),
    "shared": (120, True),
    "compiled": (240, False),
    "costs": (240, False),
}
BUDGET_S = 470
NOT_RUN = 3
"""Exit status of a part that lacks something; it has said what."""


class Limit(NamedTuple):
    """What a value is compared with: ``check`` decides on the exit status, ``aim`` does not."""

    kind: str
    relation: str
    value: float


LIMITS = {
    ("kernels", "worst error, fp32 against fp64"): Limit("check", "<=", 2e-4),
    ("kernels", "worst error, bf16 against fp64"): Limit("check", "<=", 0.1),
    ("kernels", "error with states in bf16 over that with states in fp32"): Limit("check", "<=", 2),
    ("block", "worst error, fp32 (TF32 products)"): Limit("check", "<=", 5e-3),
    ("block", "worst error, bf16"): Limit("check", "<=", 0.05),
    ("replay", "recorded"): Limit("check", ">=", 1),
    ("replay", "largest relative difference of a loss"): Limit("check", "<=", 1e-3),
    ("replay", "falls back from a step that waits"): Limit("check", ">=", 1),
    ("replay", "falls back from a failed recording"): Limit("check", ">=", 1),
    ("resume", "relative difference of validation MSE"): Limit("check", "<=", 1e-3),
    ("loop", "validation MSE over the variance of the labels"): Limit("check", "<=", 0.5),
    ("loop", "waits for the device per step"): Limit("check", "<=", 0.1),
    ("loop", "minutes for 50,000 steps"): Limit("aim", "<=", 15),
    ("long", "loss is finite"): Limit("check", ">=", 1),
    ("long", "seconds per step of 16"): Limit("aim", "<=", 1.0),
    ("long", "peak GB"): Limit("aim", "<=", 80),
    ("steps", "bf16 graph, minutes for 50,000"): Limit("aim", "<=", 15),
    ("curve", "largest gap of bf16 and fp32 losses"): Limit("check", "<=", 0.01),
    ("tests", "failed"): Limit("check", "<=", 0),
    ("tests", "passed"): Limit("check", ">=", 1),
    ("tune", "shipped over fastest, 2 kb"): Limit("aim", "<=", 1.05),
    ("tune", "shipped over fastest, 200 kb"): Limit("aim", "<=", 1.05),
    ("scan", "chunked over triton, B=8 L=2000"): Limit("aim", ">=", 10),
    ("compiled", "chunked compiled over triton, B=8 L=2000"): Limit("aim", ">=", 10),
}


def verdict(row: dict[str, Any]) -> str:
    """``pass``, ``FAIL``, ``missed``, ``not run``, or nothing where there is no limit."""
    if row["what"] == "ended" and row["value"] != "normally":
        return "not run" if str(row["value"]).startswith("not run") else "FAIL"
    limit = LIMITS.get((row["part"], row["what"]))
    if limit is None:
        return ""
    if row["value"] is None:
        return "not run"
    value = float(row["value"])
    # Not a number is never good enough.
    good = value <= limit.value if limit.relation == "<=" else value >= limit.value
    return "pass" if good else ("FAIL" if limit.kind == "check" else "missed")


def run_part(name: str, seconds: float, results: Path, rehearse: bool) -> str:
    """Run one part; returns how it ended."""
    environment = dict(os.environ)
    if rehearse:
        # Kernels run in Triton's interpreter; for networks it is too slow, they take the CPU's.
        environment |= {"TRITON_INTERPRET": "1", "PRISMFLOW_REHEARSE": "1"}
        environment |= {"CUDA_VISIBLE_DEVICES": ""}
    paths = [str(HERE.parent / "src"), str(HERE), environment.get("PYTHONPATH", "")]
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    command = [sys.executable, "-m", "gpu_parts", name, str(results)]
    process = subprocess.Popen(command, env=environment, start_new_session=True)
    try:
        status = process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return f"at its limit of {seconds:.0f} s"
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    if status == NOT_RUN:
        return "not run: see above"
    return "normally" if status == 0 else f"with status {status}"


def read_rows(results: Path) -> list[dict[str, Any]]:
    """All rows so far; a line that a killed part left half is passed over."""
    rows = []
    for line in results.read_text().splitlines() if results.is_file() else []:
        try:
            rows.append(json.loads(line))
        except ValueError:
            continue
    return rows


def add_row(results: Path, part: str, what: str, value: Any, unit: str = "") -> None:
    """Append a row to the results."""
    with results.open("a") as file:
        file.write(
            json.dumps({"part": part, "what": what, "value": value, "unit": unit}, default=str)
            + "\n"
        )


def write_tables(rows: list[dict[str, Any]], folder: Path) -> None:
    """gpu.tsv and gpu.md with every row, its limit and the verdict."""
    cells = [("part", "what", "value", "unit", "limit", "verdict")]
    for row in rows:
        limit = LIMITS.get((row["part"], row["what"]))
        shown = f"{limit.kind} {limit.relation} {limit.value:g}" if limit else ""
        value = row["value"]
        text = f"{value:.4g}" if isinstance(value, float) else str("-" if value is None else value)
        cells.append((row["part"], row["what"], text, row.get("unit", ""), shown, verdict(row)))
    (folder / "gpu.tsv").write_text("".join("\t".join(line) + "\n" for line in cells))
    lines = ["| " + " | ".join(text.replace("|", "/") for text in line) + " |\n" for line in cells]
    lines.insert(1, "|---" * len(cells[0]) + "|\n")
    (folder / "gpu.md").write_text("".join(lines))


def broken(rows: list[dict[str, Any]], parts: list[str]) -> list[str]:
    """Checks that failed, and checks of parts that ran without a value."""
    found = [
        f"{row['part']}: {row['what']} {row['value']}" for row in rows if verdict(row) == "FAIL"
    ]
    ended = {row["part"] for row in rows if row["what"] == "ended" and row["value"] == "normally"}
    given = {(row["part"], row["what"]) for row in rows}
    for (part, what), limit in LIMITS.items():
        if part in ended and part in parts and limit.kind == "check" and (part, what) not in given:
            found.append(f"{part}: {what} has no value")
    return found


def main() -> int:
    """Run the parts that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    usual = ",".join(name for name, (_, default) in PARTS.items() if default)
    parser.add_argument("--parts", default=usual, help=f"among {', '.join(PARTS)}")
    parser.add_argument("--budget", type=float, default=BUDGET_S, help="seconds for all parts")
    parser.add_argument("--rehearse", action="store_true", help="tiny, on a CPU, no limit counts")
    parser.add_argument(
        "--costs", type=Path, help="table of planning times to put measured ones in"
    )
    arguments = parser.parse_args()
    chosen = arguments.parts.split(",")
    unknown = sorted(set(chosen) - set(PARTS))
    if unknown:
        parser.error(f"--parts: expected some of {', '.join(PARTS)}, found {', '.join(unknown)}")
    folder = Path(os.environ.get("OUT") or HERE / "results")
    folder.mkdir(parents=True, exist_ok=True)
    results = folder / "gpu.jsonl"
    results.unlink(missing_ok=True)
    started = time.monotonic()
    for name in chosen:
        left = arguments.budget - (time.monotonic() - started)
        print(f"-- {name} ({left:.0f} s left)", flush=True)
        before = time.monotonic()
        if left < 10:
            ended = f"not run: the budget of {arguments.budget:.0f} s was spent"
        else:
            ended = run_part(name, min(PARTS[name][0], left), results, arguments.rehearse)
        add_row(results, name, "ended", ended)
        add_row(results, name, "wall time", round(time.monotonic() - before, 1), "s")
        write_tables(read_rows(results), folder)
    rows = read_rows(results)
    print((folder / "gpu.md").read_text())
    if arguments.costs:
        from gpu_costs import put_costs

        print(f"{put_costs(rows, arguments.costs)} lines of {arguments.costs} are measured now")
    failed = [text for text in broken(rows, chosen) if not arguments.rehearse or ": ended" in text]
    print("FAILED:" if failed else "every check holds", "; ".join(failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
