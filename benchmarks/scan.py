"""Time and memory of the selective scan on a CPU, against its peers and against the length.

    python benchmarks/scan.py                                # everything, about 6 minutes
    python benchmarks/scan.py --parts speed --rounds 9
    python benchmarks/scan.py --peers FOLDER                 # a folder that holds mambapy

Forward + backward in float32 with D = 256 channels and N = 16 states.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import measure
import torch
from peers import peers

from prismflow.training.devices import keep_freed_memory

DIM, STATE = 256, 16
LENGTHS = (500, 2000, 10_000, 50_000, 200_000)


def make_step(name: str, batch: int, length: int) -> Callable[[], None]:
    """Forward + backward of one implementation on random inputs."""
    torch.manual_seed(0)
    u, delta = torch.randn(2, batch, length, DIM).unbind(0)
    B, C = torch.randn(2, batch, length, STATE).unbind(0)
    A = -torch.arange(1.0, STATE + 1).repeat(DIM, 1)
    inputs = [u, delta - 4, A, B, C, torch.ones(DIM), torch.zeros(DIM)]
    inputs = [x.detach().clone().requires_grad_() for x in inputs]
    dout = torch.randn(batch, length, DIM)
    scan = peers_by_name[name]

    def step() -> None:
        for x in inputs:
            x.grad = None
        scan(*inputs).backward(dout)

    return step


def speed(rounds: int) -> None:
    """Training and inference at B = 8, L = 2000, and B = 1, L = 500 against the indexed loop."""
    names = [name for name in peers_by_name if name != "indexed loop"]
    times = measure.interleaved({n: make_step(n, 8, 2000) for n in names}, rounds)
    rows = [
        (name, ms, *(times[peer] / ms for peer in names if peer not in ("numba", "chunked")))
        for name, ms in times.items()
    ]
    slower = [f"{name} takes" for name in names if name not in ("numba", "chunked")]
    measure.write_table("scan_speed", ("B=8 L=2000", "ms", *slower), rows)
    names = ("numba", "chunked", "indexed loop")
    times = measure.interleaved({n: make_step(n, 1, 500) for n in names}, rounds)
    rows = [(name, ms, times["indexed loop"] / ms) for name, ms in times.items()]
    measure.write_table("scan_short", ("B=1 L=500", "ms", "indexed loop takes"), rows)


def memory() -> None:
    """Peak memory at B = 8, L = 2000, each in a process of its own."""
    names = [name for name in peers_by_name if name != "indexed loop"]
    peaks = {name: in_process(name, 8, 2000) for name in names}
    best = peaks["numba"]
    rows = [(n, p, p / best if p and best else None) for n, p in peaks.items()]
    measure.write_table("scan_memory", ("B=8 L=2000", "peak MiB", "times numba"), rows)


def in_process(name: str, batch: int, length: int) -> float | None:
    """Peak memory of one implementation."""
    return measure.in_own_process(
        __file__, "--memory-of", name, "--batch", batch, "--length", length
    )


def lengths(rounds: int) -> None:
    """Cost of numba and chunked at B = 1 against the length, per 1,000 positions."""
    rows = []
    for name in ("numba", "chunked"):
        for length in LENGTHS:
            if name == "chunked" and length > 50_000:
                continue
            repeats = max(3, min(40, rounds * 20_000 // length))
            ms = measure.interleaved({name: make_step(name, 1, length)}, repeats)[name]
            peak = in_process(name, 1, length)
            per_kb = peak / length * 1000 if peak else None
            rows.append((name, length, ms, ms / length * 1000, peak, per_kb))
    header = ("B=1", "length", "ms", "ms per 1000", "peak MiB", "MiB per 1000")
    measure.write_table("scan_lengths", header, rows)


def main() -> None:
    """Run the parts that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", default="speed,memory,lengths")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--peers", help="folder with further packages, such as mambapy")
    parser.add_argument("--memory-of", help="measure this implementation alone, and print it")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--length", type=int, default=2000)
    arguments = parser.parse_args()
    measure.use_peers(arguments.peers)
    torch.set_num_threads(arguments.threads)
    keep_freed_memory()
    peers_by_name.update(peers())
    if arguments.memory_of:
        make_step(arguments.memory_of, 1, 64)()
        step = make_step(arguments.memory_of, arguments.batch, arguments.length)
        print(measure.peak_mib(step))
        return
    for part in arguments.parts.split(","):
        {"speed": lambda: speed(arguments.rounds), "memory": memory,
         "lengths": lambda: lengths(arguments.rounds)}[part]()  # fmt: skip


peers_by_name: dict[str, Callable] = {}

if __name__ == "__main__":
    main()
