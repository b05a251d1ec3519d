"""The parts of gpu.py that compare: kernels, block, replay, resume, curves, tests."""

from __future__ import annotations

import copy
import math
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from gpu_tools import (
    DEVICE,
    REHEARSE,
    Stepper,
    batches,
    forced,
    genes,
    lacking,
    prism,
    report,
    sized,
    stop_not_run,
)
from torch import Tensor

from prismflow.models.bimamba import BiMambaBackbone
from prismflow.models.scan import selective_scan_bld

#: Batch, length, channels, states, regime: odd sizes, one position, decays that underflow.
CASES = sized(
    [
        (2, 1, 5, 3, "usual"), (2, 7, 3, 4, "usual"), (2, 64, 40, 16, "usual"),
        (3, 300, 70, 16, "usual"), (2, 300, 64, 5, "hard"), (2, 300, 64, 16, "long"),
        (8, 2000, 256, 16, "usual"), (1, 2000, 256, 16, "long"), (1, 333, 100, 1, "usual"),
        (2, 1000, 32, 64, "usual"),
    ],
    [(2, 1, 5, 3, "usual"), (1, 9, 3, 2, "hard")],
)  # fmt: skip


def part_environment() -> None:
    """Device and versions."""
    import triton

    name = torch.cuda.get_device_name() if DEVICE.type == "cuda" else "CPU (rehearsal)"
    for what, value in (
        ("device", name), ("torch", torch.__version__), ("triton", triton.__version__),
        ("python", sys.version.split()[0]),
    ):  # fmt: skip
        report("environment", what, value)
    if DEVICE.type == "cuda":
        facts = torch.cuda.get_device_properties(DEVICE)
        report("environment", "memory", facts.total_memory / 1e9, "GB")
        report("environment", "compute capability", f"{facts.major}.{facts.minor}")


def scan_inputs(
    batch: int, length: int, dim: int, state: int, regime: str = "usual", seed: int = 0
) -> dict[str, Tensor]:
    """Inputs of one scan; ``hard`` has steps so large that decays underflow, ``long`` tiny ones."""
    generator = torch.Generator().manual_seed(seed)
    shift = {"usual": -3.0, "hard": 6.0, "long": -9.0}[regime]

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    return {
        "u": draw(batch, length, dim),
        "delta": draw(batch, length, dim) + shift,
        "A": -torch.arange(1.0, state + 1).repeat(dim, 1) * torch.exp(0.1 * draw(dim, state)),
        "B": draw(batch, length, state),
        "C": draw(batch, length, state),
        "D": draw(dim),
        "z": draw(batch, length, dim),
        "delta_bias": 0.1 * draw(dim),
        "dout": draw(batch, length, dim),
    }


def run_scan(inputs: dict[str, Tensor], backend: str, dtype: torch.dtype, **options: bool) -> dict:
    """Output, last state and gradients of one scan."""
    given = {k: v.to(DEVICE, dtype).detach() for k, v in inputs.items()}
    dout = given.pop("dout")
    for tensor in given.values():
        tensor.requires_grad_()
    out, last = selective_scan_bld(**given, backend=backend, return_last_state=True, **options)
    out.backward(dout)
    return {"out": out.detach(), "last": last.detach(), **{k: v.grad for k, v in given.items()}}


def worst_deviation(got: dict, expected: dict) -> tuple[float, str]:
    """Largest max|got - expected| / max|expected| over tensors, and where it is."""
    worst = (0.0, "")
    for name, reference in expected.items():
        scale = reference.abs().max().item()
        error = (got[name].double() - reference.double()).abs().max().item()
        relative = error / scale if scale > 0 else error
        worst = max(worst, (relative if math.isfinite(relative) else math.inf, name))
    return worst


def scan_errors() -> Iterator[tuple[float, str]]:
    """Errors of triton in float32 against the float64 reference, each with its case."""
    from prismflow.models.scan import triton_backend

    programs = triton_backend.PROGRAMS
    for batch, length, dim, state, regime in CASES:
        inputs = scan_inputs(batch, length, dim, state, regime)
        for reverse in (False, True):
            options = {"delta_softplus": regime != "long" or reverse, "reverse": reverse}
            if not options["delta_softplus"]:
                inputs = {**inputs, "delta": inputs["delta"].exp()}
                inputs.pop("delta_bias", None)
            expected = run_scan(inputs, "reference", torch.float64, **options)
            for wanted in sized((1, programs, 10**6), (1, 10**6)):
                triton_backend.PROGRAMS = wanted
                got = run_scan(inputs, "triton", torch.float32, **options)
                error, name = worst_deviation(got, expected)
                yield error, f"{name} at {(batch, length, dim, state, regime, reverse, wanted)}"
            triton_backend.PROGRAMS = programs
    size = sized((1, 32_000, 64, 16), (1, 12, 3, 2))
    long = scan_inputs(*size)
    expected = run_scan(long, "chunked", torch.float64, delta_softplus=True)
    got = run_scan(long, "triton", torch.float32, delta_softplus=True)
    error, name = worst_deviation(got, expected)
    yield error, f"{name} at {size}"


def part_kernels() -> None:
    """Values and gradients of the kernels against float64 on the device."""
    found = sorted(scan_errors(), reverse=True)
    report("kernels", "comparisons", len(found))
    report("kernels", "worst error, fp32 against fp64", found[0][0])
    report("kernels", "the worst is", found[0][1])
    usual, half = states_errors()
    report("kernels", "worst error, bf16 against fp64", max(usual[0], half[0]))
    report("kernels", "error of bf16 with states in fp32", usual[0], usual[1])
    report("kernels", "error of bf16 with states in bf16", half[0], half[1])
    ratio = half[0] / usual[0]
    report("kernels", "error with states in bf16 over that with states in fp32", ratio)


def states_errors() -> list[tuple[float, str]]:
    """Errors of bfloat16 rows, with states at tile starts in float32 and in bfloat16."""
    from prismflow.models.scan import triton_backend

    batch, length, dim, state, rank = sized((2, 4000, 128, 16, 8), (1, 10, 3, 2, 1))
    generator = torch.Generator().manual_seed(1)
    draw = lambda *shape: torch.randn(*shape, generator=generator)  # noqa: E731
    u, delta = draw(2, batch, length, dim), draw(2, batch, length, dim)
    proj, dy = draw(2, batch, length, rank + 2 * state), draw(batch, length, dim)
    A = -torch.arange(1.0, state + 1).repeat(2, dim, 1)
    D, bias = torch.ones(2, dim), torch.full((2, dim), -4.0)
    rows = [x.bfloat16() for x in (u, delta, proj, dy)]
    expected = scan_in_float64([x.double() for x in rows], A, D, bias, rank)
    u, delta, proj, dy = (x.to(DEVICE) for x in rows)
    A, D, bias = (x.to(DEVICE) for x in (A, D, bias))
    found = []
    kept = triton_backend.LONG
    for long in (10**9, 1):
        triton_backend.LONG = long
        common = (u, delta, A, proj, D, bias, rank, True, (False, True))
        y, _, bounds = triton_backend.forward(*common, True)
        du, ddelta, dA, dbc, dD, dbias = triton_backend.backward(*common, bounds, dy)
        got = {"y": y, "du": du, "ddelta": ddelta, "dA": dA, "dbc": dbc, "dD": dD, "dbias": dbias}
        found.append(worst_deviation({k: v.double().to(DEVICE) for k, v in got.items()}, expected))
    triton_backend.LONG = kept
    return found


def scan_in_float64(rows: list[Tensor], A: Tensor, D: Tensor, bias: Tensor, rank: int) -> dict:
    """What :func:`states_errors` compares with, from the chunked scan in float64."""
    from prismflow.models.scan import scan_groups

    u, delta, proj, dy = (x.to(DEVICE).requires_grad_() for x in rows)
    A, D, bias = (x.double().to(DEVICE).requires_grad_() for x in (A, D, bias))
    B, C = proj[..., rank:].chunk(2, dim=-1)
    y, _ = scan_groups(u, delta, A, B, C, D, bias, True, (False, True), "chunked")
    y.backward(dy.detach().expand_as(y))
    named = {"du": u, "ddelta": delta, "dA": A, "dD": D, "dbias": bias}
    grads = {name: x.grad for name, x in named.items()}
    return {"y": y.detach(), **grads, "dbc": proj.grad[..., rank:]}


def part_block() -> None:
    """The fused backbone against the composed one in float64, in float32 and bfloat16."""
    worst = {"fp32": 0.0, "bf16": 0.0}
    width, layers, length, options = sized((32, 2, 500, {}), (4, 1, 9, {"d_state": 2}))
    for bidirectional in (True, False):
        torch.manual_seed(0)
        model = BiMambaBackbone(width, layers, bidirectional=bidirectional, **options).to(DEVICE)
        x = torch.randn(3, length, width, device=DEVICE)
        weight = torch.randn_like(x)

        def gradients(model: Any, x: Tensor, weight: Tensor, precision: str) -> dict:
            model.zero_grad()
            with torch.autocast(DEVICE.type, torch.bfloat16, enabled=precision == "bf16"):
                out = model(x)
            (out * weight).sum().backward()
            grads = {name: p.grad.clone() for name, p in model.named_parameters()}
            return {"out": out.detach(), **grads}

        with forced("reference"):
            expected = gradients(copy.deepcopy(model).double(), x.double(), weight.double(), "fp64")
        for precision in worst:
            with forced("triton"):
                got = gradients(model, x, weight, precision)
            worst[precision] = max(worst[precision], worst_deviation(got, expected)[0])
    report("block", "worst error, fp32 (TF32 products)", worst["fp32"])
    report("block", "worst error, bf16", worst["bf16"])


def losses_of(variant: str, precision: str, count: int, gradients: Any = None) -> tuple:
    """Losses of ``count`` steps from the same weights on the same genes, and the stepper."""
    train, _ = genes(sized(4096, 40), sized(2000, 64), 3)
    stepper = Stepper(prism(sized(2000, 64)), variant, precision, gradients)
    losses = []
    for k, batch in enumerate(batches(train, sized(8, 2), count)):
        torch.manual_seed(k)
        losses.append(stepper(batch).clone())
    return torch.stack(losses).float().cpu(), stepper.step


def part_replay() -> None:
    """A graph's losses against those of steps taken kernel by kernel; what falls back does so."""
    count = sized(60, 6)
    eager, _ = losses_of("eager", "bf16", count)
    replayed, step = losses_of("graph", "bf16", count)
    recorded = REHEARSE or step.graph is not None
    report("replay", "recorded", int(recorded), step.given_up or "")
    apart = ((eager - replayed).abs() / eager.abs().clamp(min=1e-6)).max().item()
    report("replay", "largest relative difference of a loss", apart)
    from prismflow.training.loop import accumulate_gradients

    def waiting(model: Any, passes: list, precision: str) -> dict[str, Tensor]:
        terms = accumulate_gradients(model, passes, precision)
        terms["loss"].item()
        return terms

    def breaking(model: Any, passes: list, precision: str) -> dict[str, Tensor]:
        terms = accumulate_gradients(model, passes, precision)
        if DEVICE.type == "cuda" and torch.cuda.is_current_stream_capturing():
            terms["loss"].item()
        return terms

    for what, compute in (("a step that waits", waiting), ("a failed recording", breaking)):
        losses, step = losses_of("graph", "bf16", sized(12, 6), compute)
        same = torch.allclose(losses, eager[: len(losses)], rtol=1e-3)
        good = bool(same) and step.graph is None and step.given_up is not None
        report("replay", f"falls back from {what}", int(good), step.given_up or "")


def part_resume() -> None:
    """A run of the real loop that is stopped half-way and goes on, against one that is not."""
    missing = lacking("pandas", "safetensors")
    if missing:
        stop_not_run(f"{missing} is missing")
    from prismflow.settings.training import TrainingSettings
    from prismflow.training import loop
    from prismflow.training.state import Keeper

    steps = sized(40, 6)
    settings = TrainingSettings(
        steps=steps, batch_size=sized(8, 2), eval_batch_size=16, precision="bf16", warmup_steps=2.0
    )
    train, valid = genes(sized(200, 20), sized(2000, 64), 3)

    class Stopping(Keeper):
        """Ends the run in its middle."""

        def keep(self, state: Any) -> None:
            self.save(state)
            if state.step == steps // 2:
                raise SystemExit(143)

    def run(folder: str, kind: type[Keeper], minutes: float) -> list[float]:
        state = loop.start_state(prism(sized(2000, 64)), settings)
        keeper = kind(folder, {"run": "gpu.py"}, minutes)
        keeper.load(state)
        loop.train_model(state, train, valid, settings, 2, "resume", keeper)
        return [row["valid_mse"] for row in state.history]

    with tempfile.TemporaryDirectory() as folder:
        whole = run(f"{folder}/whole", Keeper, 1e9)
        try:
            run(f"{folder}/parts", Stopping, 0)
        except SystemExit:
            report("resume", "stopped after step", steps // 2)
        parts = run(f"{folder}/parts", Keeper, 1e9)
    apart = max(abs(a - b) / a for a, b in zip(whole, parts, strict=True))
    report("resume", "relative difference of validation MSE", apart)


def part_curve() -> None:
    """Loss of 500 steps in bf16 and fp32 from the same weights on the same genes."""
    count, mean = sized((500, 50), (6, 2))
    curves = {}
    for precision in ("fp32", "bf16"):
        losses, _ = losses_of("graph", precision, count)
        curves[precision] = losses.view(-1, mean).mean(1)
        report("curve", precision, " ".join(f"{v:.4f}" for v in curves[precision].tolist()))
    # The first means hold the warm-up, in which both fall steeply.
    apart = (curves["bf16"] - curves["fp32"]).abs()[2:].max().item()
    report("curve", "largest gap of bf16 and fp32 losses", apart)


def part_tests() -> None:
    """The tests marked ``gpu``."""
    missing = lacking("pytest", "pytest_timeout", "pandas", "numba", "safetensors")
    if missing:
        stop_not_run(f"{missing} is missing")
    root = Path(__file__).parents[1]
    command = [
        sys.executable, "-m", "pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider",
        "-o", "addopts=--import-mode=importlib",
        *sized(["tests/unit/models", "tests/unit/training"], ["tests/unit/training/test_run.py"]),
    ]  # fmt: skip
    environment = dict(os.environ)
    environment.pop("PRISMFLOW_SCAN_BACKEND", None)
    run = subprocess.run(
        command, cwd=root, env=environment, capture_output=True, text=True, check=False
    )
    print(run.stdout[-3000:], run.stderr[-1000:])
    counts = {word: int(n) for n, word in re.findall(r"(\d+) (passed|failed|error)", run.stdout)}
    unfinished = run.returncode not in (0, 1, 5)
    failed = counts.get("failed", 0) + counts.get("error", 0) + unfinished
    report("tests", "failed", failed)
    report("tests", "passed", counts.get("passed", 0))
