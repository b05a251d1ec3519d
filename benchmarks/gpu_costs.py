"""The part of gpu.py that measures steps of every network, for the table of planning times."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from gpu_tools import (
    DEVICE,
    Stepper,
    lacking,
    network,
    report,
    sized,
    stop_not_run,
    synchronise,
)

#: Architecture -> signals, copies of the window that the backbone sees (Prism: n = 2).
NETWORKS = {
    "prism": (3, 3),
    "caduceus": (0, 1),
    "caduceus_signals": (3, 1),
    "mamba": (0, 1),
    "peak_mask": (3, 1),
    "seq2exp_soft": (3, 1),
    "seq2exp_hard": (3, 1),
    "hyena": (0, 1),
    "enformer": (0, 1),
    "epinformer": (3, 1),
    "cnn": (3, 1),
    "isegnet": (3, 1),
    "infer": (3, 3),
}
MEASURED = "measured on "


def part_costs() -> None:
    """Seconds of a step at two lengths: what any step takes, and what a million bases take."""
    missing = lacking("pandas", "scipy")
    if missing:
        stop_not_run(f"{missing} is missing")
    card = torch.cuda.get_device_name() if DEVICE.type == "cuda" else "CPU"
    report("costs", "device", card)
    for architecture, (signals, branches) in NETWORKS.items():
        try:
            points = [seconds_of_a_step(architecture, signals, bp, branches)
                      for bp in sized((2000, 20_000), (128, 256))]  # fmt: skip
        except Exception as error:
            # One architecture that does not fit costs the others nothing.
            report("costs", f"{architecture} failed", f"{type(error).__name__}: {error}"[:200])
            continue
        (x1, y1), (x2, y2) = points
        slope = max(0.0, (y2 - y1) / (x2 - x1))
        report("costs", f"{architecture} step_s", max(0.0, y1 - slope * x1), "s")
        report("costs", f"{architecture} base_s_per_mb", slope, "s")


def seconds_of_a_step(
    architecture: str, signals: int, window_bp: int, branches: int
) -> tuple[float, float]:
    """Megabases of a step of 4 genes, and its median seconds in bf16."""
    import statistics
    import time

    from prismflow.evaluation.costs import random_batch
    from prismflow.models import model_class
    from prismflow.settings.architectures import class_of

    genes, count = sized((4, 12), (2, 1))
    name = class_of(architecture).removeprefix("prismflow.models.")
    extras = sorted({*getattr(model_class(class_of(architecture)), "needs", ())})
    hyper: dict[str, Any] = {"n_contexts": 2} if architecture == "prism" else {}
    if DEVICE.type == "cpu":
        hyper |= getattr(model_class(class_of(architecture)), "TINY", {})
    model = network(name, hyper, signals, window_bp)
    described = {"window_bp": window_bp, "modalities": range(signals), "gene_features": range(9)}
    shapes = {"extras": extras, "n_elements": 4, "element_bp": 200}
    batch = random_batch(described, shapes, genes, DEVICE)
    stepper = Stepper(model, "graph" if window_bp <= 2000 else "eager", "bf16")
    times = []
    for k in range(count + sized(8, 1)):
        synchronise()
        started = time.perf_counter()
        torch.manual_seed(k)
        stepper(batch)
        synchronise()
        times.append(time.perf_counter() - started)
    return genes * branches * window_bp / 1e6, statistics.median(times[-count:])


def put_costs(rows: list[dict[str, Any]], table: Path) -> int:
    """Put measured times into the lines of ``cuda``; returns how many."""
    found = {row["what"]: row["value"] for row in rows if row["part"] == "costs"}
    lines = table.read_text().splitlines()
    changed = 0
    for index, line in enumerate(lines):
        cells = line.split("\t")
        step, base = (found.get(f"{cells[0]} {name}") for name in ("step_s", "base_s_per_mb"))
        if len(cells) != 5 or cells[1] != "cuda" or step is None or base is None:
            continue
        cells[2:] = [f"{step:.4g}", f"{base:.4g}", f"{MEASURED}{found['device']}"]
        lines[index] = "\t".join(cells)
        changed += 1
    table.write_text("\n".join(lines) + "\n")
    return changed
