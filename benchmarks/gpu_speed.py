"""The parts of gpu.py that measure: the real loop, 200 kb, steps, kernels, several processes."""

from __future__ import annotations

import logging
import math
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from gpu_tools import (
    DEVICE,
    FULL_RUN_STEPS,
    Stepper,
    batches,
    counted_waits,
    genes,
    lacking,
    milliseconds,
    network,
    peak_gb,
    prism,
    report,
    reset_peak,
    sized,
    stop_not_run,
    synchronise,
)
from torch import Tensor

#: Tile, channels, registers forward and backward (None: as many as the compiler takes).
GRID = [
    (4, 64, None, 128), (4, 64, 96, 128), (4, 64, None, 96), (4, 64, None, None), (8, 64, 96, 128),
]  # fmt: skip
TUNED = ("TILE", "CHANNELS", "FORWARD_REGISTERS", "BACKWARD_REGISTERS", "PROGRAMS")
_WAITED = re.compile(r"([\d.]+) % of the time waiting")


class _Said(logging.Handler):
    """Keeps what the loop logs."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line."""
        self.lines.append(record.getMessage())


def trained(model: Any, train: Any, valid: Any, **settings: Any) -> tuple[Any, float, float]:
    """Train through the project's own loop: state, seconds, share of the time waiting for data."""
    from prismflow.settings.training import TrainingSettings
    from prismflow.training import loop

    training = TrainingSettings(**settings)
    state = loop.start_state(model, training)
    said = _Said()
    logging.getLogger("prismflow").addHandler(said)
    started = time.perf_counter()
    loop.train_model(state, train, valid, training, 2, "gpu.py")
    synchronise()
    seconds = time.perf_counter() - started
    logging.getLogger("prismflow").removeHandler(said)
    found = _WAITED.search("\n".join(said.lines))
    return state, seconds, float(found[1]) if found else math.nan


def part_loop() -> None:
    """2,000 steps of Prism at the paper's settings through the real training loop."""
    missing = lacking("pandas", "safetensors")
    if missing:
        stop_not_run(f"{missing} is missing")
    steps, batch = sized(2000, 12), sized(8, 2)
    window = sized(2000, 64)
    train, valid = genes(sized(4444, 24), window, 3)
    common = {"batch_size": batch, "precision": "bf16", "eval_batch_size": 64}
    # What compiles and records is over before the clock starts.
    trained(prism(window), train, valid, steps=sized(20, 3), warmup_steps=2.0, **common)
    reset_peak()
    state, seconds, waited = trained(
        prism(window), train, valid, steps=steps, warmup_steps=steps / 10, **common
    )
    report("loop", "steps", steps)
    report("loop", "milliseconds per step, validation included", seconds / steps * 1e3, "ms")
    report("loop", "minutes for 50,000 steps", seconds / steps * FULL_RUN_STEPS / 60, "min")
    report("loop", "peak GB", peak_gb(), "GB")
    report("loop", "of the time waiting for data", waited, "%")
    first, last = (state.history[i]["valid_mse"] for i in (0, -1))
    report("loop", "validation MSE, first and last", f"{first:.4f} {last:.4f}")
    spread = float(valid.inputs.labels(valid.rows).var())
    report("loop", "validation MSE over the variance of the labels", last / spread)
    counts = []
    few, many = sized(200, 4), sized(1000, 6)
    for count in (few, many):
        with counted_waits() as waits:
            trained(
                prism(window), train, valid, steps=count, warmup_steps=2.0,
                validations_per_epoch=0.1, **common,
            )  # fmt: skip
        counts.append(waits[0])
    # Putting the genes on the device and recording the step wait too, once in a training.
    report("loop", "waits of a training's beginning and end", counts[0])
    report("loop", "waits for the device per step", (counts[1] - counts[0]) / (many - few))


def part_long() -> None:
    """Steps of Caduceus at 200 kb, 16 genes in passes of 4, streamed through the real loop."""
    missing = lacking("pandas", "safetensors")
    if missing:
        stop_not_run(f"{missing} is missing")
    window, steps = sized(200_000, 64), sized(8, 2)
    hyper = sized({}, {"d_model": 8, "n_layers": 1, "d_state": 2, "center_bp": 16})
    train, valid = genes(sized(80, 12), window, 0, streamed=True)
    batch, passes = sized((4, 4), (2, 2))
    common = {
        "batch_size": batch, "accumulate_batches": passes, "precision": "bf16",
        "eval_batch_size": batch, "warmup_steps": 1.0, "validations_per_epoch": 0.01,
    }  # fmt: skip
    trained(network("caduceus:Caduceus", hyper, 0, window), train, valid, steps=2, **common)
    reset_peak()
    # The validation after the last step is timed by itself: a run has one per thousands of steps.
    model = network("caduceus:Caduceus", hyper, 0, window)
    state, seconds, waited = trained(model, train, valid, steps=steps, **common)
    from prismflow.training.inference import predict

    synchronise()
    started = time.perf_counter()
    predict(model, valid, batch, "bf16")
    synchronise()
    validation = time.perf_counter() - started
    per_step = (seconds - validation) / steps
    report("long", "seconds per step of 16", per_step, "s")
    report("long", "hours for 50,000 steps", per_step * FULL_RUN_STEPS / 3600, "h")
    report("long", "peak GB", peak_gb(), "GB")
    report("long", "of the time waiting for data", waited, "%")
    report("long", "loss is finite", int(math.isfinite(state.history[-1]["train_loss"])))


def part_steps() -> None:
    """Steps of Prism (n = 2, B = 8, 2 kb): as a graph and kernel by kernel, bf16 and fp32."""
    for precision, variant, count in (("bf16", "graph", sized(500, 3)),
                                      ("fp32", "graph", sized(200, 3)),
                                      ("bf16", "eager", sized(100, 3))):  # fmt: skip
        ms = time_steps(precision, variant, count)
        report("steps", f"{precision} {variant}", ms, "ms")
        report("steps", f"{precision} {variant}, peak GB", peak_gb(), "GB")
        if variant == "graph":
            minutes = ms * FULL_RUN_STEPS / 6e4
            report("steps", f"{precision} {variant}, minutes for 50,000", minutes, "min")


def time_steps(precision: str, variant: str, count: int) -> float:
    """Mean milliseconds of ``count`` steps after those that compile, record and compare."""
    first = 8
    train, _ = genes(sized(4096, 40), sized(2000, 64), 3)
    stepper = Stepper(prism(sized(2000, 64)), variant, precision)
    reset_peak()
    started = 0.0
    for k, batch in enumerate(batches(train, sized(8, 2), first + count)):
        if k == first:
            synchronise()
            started = time.perf_counter()
        stepper(batch)
    synchronise()
    return (time.perf_counter() - started) / count * 1e3


def part_shared() -> None:
    """Steps per second of 1, 2 and 4 processes that share the card."""
    alone = 0.0
    for count in sized((1, 2, 4), (1, 2)):
        command = [sys.executable, "-m", "gpu_speed"]
        started = [
            subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=dict(os.environ))
            for _ in range(count)
        ]
        found = [process.communicate()[0] for process in started]
        times = [float(text.split("one process: ")[1].split()[0]) for text in found]
        rate = sum(1000 / ms for ms in times)
        alone = alone or rate
        report("shared", f"{count} processes, steps per second of all", rate, "1/s")
        report("shared", f"{count} processes, gain over one", rate / alone)


def part_profile() -> None:
    """Device time and launches of a bf16 step by kernel."""
    from torch.profiler import ProfilerActivity, profile

    train, _ = genes(sized(4096, 40), sized(2000, 64), 3)
    stepper = Stepper(prism(sized(2000, 64)), "eager", "bf16")
    stream = batches(train, sized(8, 2), sized(10, 4))
    for _ in range(sized(5, 2)):
        stepper(next(stream))
    synchronise()
    activities = [ProfilerActivity.CPU]
    if DEVICE.type == "cuda":
        activities.append(ProfilerActivity.CUDA)
    count = 0
    with profile(activities=activities) as profiler:
        for batch in stream:
            stepper(batch)
            count += 1
        synchronise()
    events = []
    for event in profiler.key_averages():
        spent = getattr(event, "self_device_time_total", 0)
        if spent > 0 and event.device_type != torch.autograd.DeviceType.CPU:
            events.append((spent / count / 1e3, event.count / count, event.key[:60]))
    events.sort(reverse=True)
    report("profile", "device time of a step", sum(e[0] for e in events), "ms")
    report("profile", "launches of a step", sum(e[1] for e in events))
    for ms, launches, name in events[:25]:
        report("profile", name, f"{ms:.3f} ms in {launches:.0f} launches")


def scan_tensors(batch: int, length: int) -> tuple[tuple, Tensor]:
    """Arguments of both directions' scans in bfloat16, D = 256, N = 16, R = 8, and dy."""
    dim, state, rank = sized((256, 16, 8), (8, 2, 1))
    shape = (2, batch, length, dim)
    u, delta = (torch.randn(shape, device=DEVICE, dtype=torch.bfloat16) for _ in range(2))
    width = rank + 2 * state
    proj = torch.randn(2, batch, length, width, device=DEVICE, dtype=torch.bfloat16)
    A = -torch.arange(1.0, state + 1, device=DEVICE).repeat(2, dim, 1)
    D, bias = torch.ones(2, dim, device=DEVICE), torch.full((2, dim), -4.0, device=DEVICE)
    dy = torch.randn(shape[1:], device=DEVICE, dtype=torch.bfloat16)
    return (u, delta, A, proj, D, bias, rank, True, (False, True)), dy


def time_directions(batch: int, length: int, tensors: tuple[tuple, Tensor]) -> tuple[float, float]:
    """Milliseconds forward and backward of two directions of one layer."""
    from prismflow.models.scan import triton_backend

    common, dy = tensors
    repeats = 10 if length < 10_000 else 3
    forward = milliseconds(lambda: triton_backend.forward(*common, True), repeats, 2)
    bounds = triton_backend.forward(*common, True)[2]
    backward = milliseconds(lambda: triton_backend.backward(*common, bounds, dy), repeats, 2)
    return forward, backward


def shapes() -> dict[str, tuple[int, int]]:
    """Sequences and positions of the two kinds of windows."""
    return {"2 kb": sized((24, 2000), (1, 9)), "200 kb": sized((4, 200_000), (1, 12))}


def part_scan() -> None:
    """The kernels' memory traffic, and the scan alone against the chunked one in torch."""
    from prismflow.models.scan import triton_backend

    for name, (batch, length) in shapes().items():
        tensors = scan_tensors(batch, length)
        common = tensors[0]
        forward, backward = time_directions(batch, length, tensors)
        bounds = triton_backend.forward(*common, True)[2]
        rows, small = common[0].nbytes, common[3].nbytes
        # Each tensor once: u, delta and proj read, y written, and the states at tile starts.
        least = 3 * rows + small + bounds.nbytes
        report("scan", f"forward, {name}", forward, "ms")
        report("scan", f"forward, {name}, achieved", least / forward / 1e6, "GB/s")
        # u, delta and dy read, du and ddelta written, states read; dbc and proj are small.
        least = 4.5 * rows + 2 * small + bounds.nbytes
        report("scan", f"backward, {name}", backward, "ms")
        report("scan", f"backward, {name}, achieved", least / backward / 1e6, "GB/s")
        del tensors, common, bounds
    size = sized((8, 2000, 256, 16), (1, 9, 3, 2))
    times = {backend: time_scan(backend, size) for backend in ("triton", "chunked")}
    for backend, ms in times.items():
        report("scan", f"{backend} alone, fp32, B=8 L=2000", ms, "ms")
    report("scan", "chunked over triton, B=8 L=2000", times["chunked"] / times["triton"])


def time_scan(backend: str, size: tuple[int, int, int, int]) -> float:
    """Milliseconds forward and backward of one float32 scan."""
    from gpu_checks import scan_inputs

    from prismflow.models.scan import selective_scan_bld

    inputs = {k: v.to(DEVICE) for k, v in scan_inputs(*size).items() if k != "z"}
    dout = inputs.pop("dout")
    for tensor in inputs.values():
        tensor.requires_grad_()

    def step() -> None:
        selective_scan_bld(**inputs, delta_softplus=True, backend=backend).backward(dout)

    return milliseconds(step, 10, 2)


def part_compiled() -> None:
    """The chunked scan with its two chunk functions compiled by torch, against Triton's."""
    from prismflow.models.scan import chunked

    size = sized((8, 2000, 256, 16), (1, 9, 3, 2))
    triton = time_scan("triton", size)
    names = ("_chunk_states", "_chunk_backward")
    plain: dict[str, Callable] = {name: getattr(chunked, name) for name in names}
    if DEVICE.type == "cuda":
        vars(chunked).update(
            {name: torch.compile(function, dynamic=False) for name, function in plain.items()}
        )
    compiled = time_scan("chunked", size)
    vars(chunked).update(plain)
    report("compiled", "chunked compiled alone, fp32, B=8 L=2000", compiled, "ms")
    report("compiled", "chunked compiled over triton, B=8 L=2000", compiled / triton)


def part_tune() -> None:
    """Tiles, registers and programs: is what is shipped the fastest?"""
    from prismflow.models.scan import triton_backend

    kept = [getattr(triton_backend, name) for name in TUNED]
    long_programs = triton_backend.LONG_PROGRAMS
    grid = dict.fromkeys([tuple(kept[:4]), *sized(GRID, [(2, 8, None, None)])])
    for name, (batch, length) in shapes().items():
        tensors = scan_tensors(batch, length)
        long = length >= triton_backend.LONG
        shipped = max(long_programs, kept[4]) if long else kept[4]
        rows = []
        for point in grid:
            for programs in sized((2048, 4096), (2, shipped)):
                for key, value in zip(TUNED, (*point, programs), strict=True):
                    setattr(triton_backend, key, value)
                triton_backend.LONG_PROGRAMS = 0
                try:
                    times = time_directions(batch, length, tensors)
                except Exception as error:
                    report("tune", f"{name} {point} {programs}", f"{type(error).__name__}: {error}")
                    continue
                rows.append((sum(times), point, programs, times))
        for key, value in zip(TUNED, kept, strict=True):
            setattr(triton_backend, key, value)
        triton_backend.LONG_PROGRAMS = long_programs
        rows.sort(key=lambda row: row[0])
        for _, point, programs, times in rows[:6]:
            shown = f"{times[0]:.3f} + {times[1]:.3f}"
            report("tune", f"{name}: {(*point, programs)}", shown, "ms")
        ours = next(r[0] for r in rows if r[1] == tuple(kept[:4]) and r[2] == shipped)
        report("tune", f"shipped over fastest, {name}", ours / rows[0][0])
        del tensors


if __name__ == "__main__":
    torch.set_float32_matmul_precision("high")
    print(f"one process: {time_steps('bf16', 'graph', sized(250, 3))} ms")
