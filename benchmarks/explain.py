"""Time explanations of one gene against the loop that a user would write.

    python benchmarks/explain.py --size paper --sample 12
    python benchmarks/explain.py --size demo

Networks are untrained and inputs random, which changes no time. Ways run in turns; each line says
seconds per gene, median and range over the turns. With ``--sample`` both ways take that many
positions of the window, and seconds are those times window / positions.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from prismflow.explain.baselines import Baseline
from prismflow.explain.gradients import integrated_gradients
from prismflow.explain.substitutions import substitutions
from prismflow.explain.trained import Gene, Trained
from prismflow.models import build
from prismflow.models.common import InputSpec
from prismflow.training.determinism import prepare_device

MODALITIES = ("h3k27ac", "dnase", "hic")
SIZES: dict[str, dict[str, Any]] = {
    "paper": {"window_bp": 2000, "hyperparameters": {}},
    "demo": {"window_bp": 300, "hyperparameters": {"d_model": 16, "n_layers": 1, "d_state": 4}},
}


def subject(size: str, device: str, threads: int, pass_bp: int) -> tuple[Trained, Gene, Baseline]:
    """Prism with two contexts and one gene's inputs."""
    chosen = prepare_device(device, threads)
    torch.manual_seed(0)
    length = SIZES[size]["window_bp"]
    spec = InputSpec(MODALITIES, 9, length)
    cls = "prismflow.models.prism:Prism"
    model = build(cls, SIZES[size]["hyperparameters"], {}, spec)
    model.to(chosen).eval().requires_grad_(False)
    inputs: Any = SimpleNamespace(window_bp=length, modalities=MODALITIES, extras=())
    split: Any = None
    trained = Trained(model, {}, inputs, split, chosen, pass_bp)
    codes = np.random.default_rng(0).integers(0, 4, length).astype(np.uint8)
    signals = torch.rand(length, 3, device=chosen)
    gene = Gene(0, codes, trained.one_hot(codes), signals, torch.rand(9, device=chosen))
    return trained, gene, Baseline(torch.full_like(gene.sequence, 0.25), signals * 0 + 0.5)


def only(gene: Gene, sample: int | None) -> Gene:
    """The gene with all bases but ``sample`` of them passed over, because they are unknown."""
    if sample is None:
        return gene
    codes = np.full_like(gene.codes, 4)
    kept = np.arange(sample) * len(codes) // sample
    codes[kept] = gene.codes[kept]
    return Gene(gene.row, codes, gene.sequence, gene.signals, gene.features, gene.extras)


@torch.inference_mode()
def loop(trained: Trained, gene: Gene) -> np.ndarray:
    """Every substitution by itself, a pass each."""
    effects = np.full((2, trained.window_bp, 4), np.nan, np.float32)
    own = trained.predict(gene, gene.sequence[None], gene.signals[None])[0]
    for place in np.flatnonzero(gene.codes < 4):
        for base in range(4):
            changed = gene.sequence.clone()
            changed[place] = torch.eye(4, device=trained.device)[base]
            if base != gene.codes[place]:
                found = trained.predict(gene, changed[None], gene.signals[None])[0]
                effects[:, place, base] = found - own
            else:
                effects[:, place, base] = 0
    return effects


def timed(call: Callable[[], Any], device: torch.device) -> tuple[float, Any]:
    """Seconds and result."""
    started = time.perf_counter()
    result = call()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started, result


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=SIZES, default="demo")
    parser.add_argument("--sample", type=int, help="positions that are substituted; all by default")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--pass-bp", type=int, default=65536)
    parser.add_argument("--device", default="auto")
    given = parser.parse_args()
    trained, gene, baseline = subject(given.size, given.device, given.threads, given.pass_bp)
    asked = only(gene, given.sample)
    scale = 1 if given.sample is None else trained.window_bp / given.sample
    ways: dict[str, Callable[[], Any]] = {
        "batched": lambda: substitutions(trained, asked),
        "loop": lambda: loop(trained, asked),
    }
    times: dict[str, list[float]] = {name: [] for name in (*ways, "direct", "backdoor")}
    trained.predict(gene, gene.sequence[None], gene.signals[None])  # kernels are compiled
    for _ in range(given.turns):
        results = {}
        for name, call in ways.items():
            seconds, results[name] = timed(call, trained.device)
            times[name].append(seconds * scale)
        if not np.allclose(results["batched"], results["loop"], atol=1e-5, equal_nan=True):
            sys.exit("both ways must give the same numbers")
        for output in ("direct", "backdoor"):
            seconds, _ = timed(
                lambda o=output: integrated_gradients(trained, gene, baseline, o, 50),
                trained.device,
            )
            times[output].append(seconds)
    print(f"{given.size}, {trained.device}, {given.threads} threads, load {os.getloadavg()[0]:.1f}")
    for name, values in times.items():
        what = "substitutions, " if name in ways else "integrated gradients, 50 steps, "
        low, middle, high = min(values), statistics.median(values), max(values)
        print(f"{what}{name}: {middle:.2f} s per gene ({low:.2f} to {high:.2f})")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"largest resident memory: {peak:.1f} GB")
    ratios = [b / a for a, b in zip(times["batched"], times["loop"], strict=True)]
    print(
        f"loop / batched: {statistics.median(ratios):.1f} ({min(ratios):.1f} to {max(ratios):.1f})"
    )


if __name__ == "__main__":
    main()
