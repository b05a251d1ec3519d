"""Measure and check the CUDA side: the Triton scan, the fused block, and Prism training steps.

    python benchmarks/gpu.py                       # everything, about 8 minutes on one H200
    python benchmarks/gpu.py --parts check,tune    # some of it

Each part stands alone: one that fails prints its error and the next one goes on. Results are
printed as they come and written as JSON to the folder named by OUT, where that is set.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import json
import math
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import torch
from torch import Tensor

from prismflow.models.bimamba import BiMambaBackbone
from prismflow.models.scan import ENVIRONMENT_VARIABLE, chunked, selective_scan_bld

FULL_RUN_STEPS = 50_000
RESULTS: dict[str, object] = {}


@contextlib.contextmanager
def forced(backend: str):
    """Use one scan backend."""
    before = os.environ.get(ENVIRONMENT_VARIABLE)
    os.environ[ENVIRONMENT_VARIABLE] = backend
    try:
        yield
    finally:
        os.environ.pop(ENVIRONMENT_VARIABLE)
        if before is not None:
            os.environ[ENVIRONMENT_VARIABLE] = before


def milliseconds(function: Callable[[], object], repeats: int = 20, warm: int = 3) -> float:
    """Median time of a call on the device."""
    for _ in range(warm):
        function()
    times = []
    for _ in range(repeats):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        function()
        end.record()
        end.synchronize()
        times.append(start.elapsed_time(end))
    return sorted(times)[len(times) // 2]


def peak_mib(function: Callable[[], object]) -> float:
    """Device memory that a call takes beyond what was held before."""
    torch.cuda.synchronize()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    function()
    torch.cuda.synchronize()
    return (torch.cuda.max_memory_allocated() - before) / 2**20


def scan_inputs(
    batch: int, length: int, dim: int, state: int, regime: str = "usual", seed: int = 0
) -> dict[str, Tensor]:
    """Inputs of one scan; ``hard`` has steps so large that decays underflow, ``long`` tiny ones."""
    generator = torch.Generator().manual_seed(seed)
    shift = {"usual": -3.0, "hard": 6.0, "long": -9.0}[regime]
    draw = lambda *shape: torch.randn(*shape, generator=generator)  # noqa: E731
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


def run_scan(inputs: dict[str, Tensor], backend: str, dtype: torch.dtype, **options) -> dict:
    """Output, last state and gradients of one scan."""
    given = {k: v.to("cuda", dtype).detach() for k, v in inputs.items()}
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


def part_environment() -> None:
    """Device and versions."""
    import triton

    name = torch.cuda.get_device_name()
    print(name, "torch", torch.__version__, "triton", triton.__version__)
    RESULTS["environment"] = [name, torch.__version__, triton.__version__]


def part_check() -> None:
    """Values and gradients of triton in float32 against the float64 reference on the device."""
    from prismflow.models.scan import triton_backend

    rows = []
    cases = [
        (2, 1, 5, 3, "usual"), (2, 7, 3, 4, "usual"), (2, 64, 40, 16, "usual"),
        (3, 300, 70, 16, "usual"), (2, 300, 64, 5, "hard"), (2, 300, 64, 16, "long"),
        (8, 2000, 256, 16, "usual"), (1, 2000, 256, 16, "long"), (1, 333, 100, 1, "usual"),
        (2, 1000, 32, 64, "usual"),
    ]  # fmt: skip
    programs = triton_backend.PROGRAMS
    for batch, length, dim, state, regime in cases:
        inputs = scan_inputs(batch, length, dim, state, regime)
        for reverse in (False, True):
            options = {"delta_softplus": regime != "long" or reverse, "reverse": reverse}
            if not options["delta_softplus"]:
                inputs = {**inputs, "delta": inputs["delta"].exp(), "delta_bias": None}
                inputs.pop("delta_bias")
            expected = run_scan(inputs, "reference", torch.float64, **options)
            for wanted in (1, programs, 10**6):
                triton_backend.PROGRAMS = wanted
                error, name = worst_deviation(
                    run_scan(inputs, "triton", torch.float32, **options), expected
                )
                rows.append((batch, length, dim, state, regime, reverse, wanted, error, name))
            triton_backend.PROGRAMS = programs
    long = scan_inputs(1, 32_000, 64, 16)
    expected = run_scan(long, "chunked", torch.float64, delta_softplus=True)
    got = run_scan(long, "triton", torch.float32, delta_softplus=True)
    rows.append((1, 32_000, 64, 16, "usual", False, programs, *worst_deviation(got, expected)))
    for row in sorted(rows, key=lambda r: -r[-2])[:8]:
        print("worst", *row[:-2], f"{row[-2]:.1e}", row[-1])
    bad = [row for row in rows if not row[-2] < 2e-4]
    print(f"{len(rows)} comparisons, {len(bad)} beyond 2e-4", "FAILED" if bad else "ok")
    RESULTS["check"] = rows
    check_block()


def check_block() -> None:
    """The fused backbone against the composed one in float64, in float32 and bfloat16."""
    rows = []
    for bidirectional in (True, False):
        torch.manual_seed(0)
        model = BiMambaBackbone(32, 2, bidirectional=bidirectional).cuda()
        x = torch.randn(3, 500, 32, device="cuda")
        weight = torch.randn_like(x)

        def gradients(model, x, weight, precision):
            model.zero_grad()
            with torch.autocast("cuda", torch.bfloat16, enabled=precision == "bf16"):
                out = model(x)
            (out * weight).sum().backward()
            grads = {name: p.grad.clone() for name, p in model.named_parameters()}
            return {"out": out.detach(), **grads}

        with forced("reference"):
            expected = gradients(copy.deepcopy(model).double(), x.double(), weight.double(), "fp64")
        for precision in ("fp32", "bf16"):
            with forced("triton"):
                got = gradients(model, x, weight, precision)
            rows.append((bidirectional, precision, *worst_deviation(got, expected)))
            print("block bidirectional", *rows[-1][:2], f"{rows[-1][2]:.1e}", rows[-1][3])
    RESULTS["check_block"] = rows


def part_tune() -> None:
    """Tiles, registers and programs, for a block of the paper's size in bfloat16."""
    from prismflow.models.scan import triton_backend

    names = ("TILE", "CHANNELS", "FORWARD_REGISTERS", "BACKWARD_REGISTERS", "PROGRAMS")
    kept = [getattr(triton_backend, name) for name in names]
    shipped = tuple(kept[:4])
    grid = dict.fromkeys(
        [shipped, (8, 64, None, None), (8, 64, 96, 168), (8, 64, 128, 168), (8, 64, 96, 128),
         (4, 64, None, None), (4, 64, None, 128), (4, 64, 96, 128), (4, 32, None, None),
         (4, 128, None, None)]
    )  # fmt: skip
    rows = []
    for name, (batch, length) in {"B=24 L=2000": (24, 2000), "B=4 L=200000": (4, 200_000)}.items():
        for point in grid:
            for programs in (2048, 4096):
                for key, value in zip(names, (*point, programs), strict=True):
                    setattr(triton_backend, key, value)
                try:
                    times = time_directions(triton_backend, batch, length)
                except Exception as error:
                    print("tune", point, programs, name, type(error).__name__, error)
                    continue
                rows.append((name, *point, programs, *times))
    for key, value in zip(names, kept, strict=True):
        setattr(triton_backend, key, value)
    print("shape: tile channels forward-regs backward-regs programs, ms forward, backward (bf16)")
    for row in sorted(rows, key=lambda r: (r[0], r[-1] + r[-2])):
        print("  ", *row[:6], f"{row[6]:.3f} {row[7]:.3f}")
    RESULTS["tune"] = rows


def part_shared() -> None:
    """Steps per second of 1, 2 and 4 processes that share the card."""
    for count in (1, 2, 4):
        command = [sys.executable, __file__, "--parts", "steps"]
        started = [
            subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(count)
        ]
        found = [process.communicate()[0] for process in started]
        times = [float(text.split("graph: ")[1].split(" ms")[0]) for text in found]
        rate = sum(1000 / ms for ms in times)
        print(f"{count} processes: {', '.join(f'{ms:.1f}' for ms in times)} ms, {rate:.0f} steps/s")
        RESULTS[f"shared {count}"] = rate


def part_steps() -> None:
    """Steps of one process, for ``shared``."""
    time_step("bf16", "graph", 500)


def part_pass() -> None:
    """The real 200-kb pass: four windows, forward and backward, bf16."""
    torch.manual_seed(0)
    model = BiMambaBackbone(128, 4).cuda()
    x = torch.randn(4, 200_000, 128, device="cuda")

    def step() -> None:
        with torch.autocast("cuda", torch.bfloat16):
            model(x).float().square().mean().backward()

    step()
    peak = peak_mib(step)
    ms = milliseconds(step, 5, 1)
    print(
        f"200 kb, 4 windows: {ms:.0f} ms, batch of 16 {4 * ms / 1e3:.2f} s, {peak / 1024:.1f} GiB"
    )
    RESULTS["pass"] = (ms, peak)


def time_directions(module, batch: int, length: int) -> tuple[float, float]:
    """Forward and backward of two directions, D = 256, N = 16, R = 8."""
    shape = (2, batch, length, 256)
    u, delta = (torch.randn(shape, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    proj = torch.randn(2, batch, length, 40, device="cuda", dtype=torch.bfloat16)
    A = -torch.arange(1.0, 17, device="cuda").repeat(2, 256, 1)
    D, bias = torch.ones(2, 256, device="cuda"), torch.full((2, 256), -4.0, device="cuda")
    dy = torch.randn(shape[1:], device="cuda", dtype=torch.bfloat16)
    common = (u, delta, A, proj, D, bias, 8, True, (False, True))
    repeats = 10 if batch > 1 else 4
    forward = milliseconds(lambda: module.forward(*common, True), repeats)
    bounds = module.forward(*common, True)[2]
    backward = milliseconds(lambda: module.backward(*common, bounds, dy), repeats)
    return forward, backward


def part_op() -> None:
    """The scan alone, float32, D = 256, N = 16: triton against chunked torch and mamba_ssm."""
    peers = ("triton", "chunked", "mamba_ssm")
    sizes = ((8, 2000), (24, 2000), (128, 2000), (1, 200_000))
    RESULTS["op"] = [row for size in sizes for row in time_scan(*size, peers)]


def time_scan(batch: int, length: int, backends: tuple[str, ...]) -> list[tuple]:
    """Time and memory of forward + backward by backend."""
    rows = []
    inputs = {k: v.cuda() for k, v in scan_inputs(batch, length, 256, 16).items()}
    inputs.pop("z")
    dout = inputs.pop("dout")
    for tensor in inputs.values():
        tensor.requires_grad_()
    for backend in backends:
        step = scan_step(backend, inputs, dout)
        if step is None:
            continue
        slow = backend != "triton" and length > 10_000
        started = time.perf_counter()
        first = peak_mib(step)
        first_seconds = time.perf_counter() - started
        ms = milliseconds(step, 2 if slow else 10, 0 if slow else 2)
        rows.append((batch, length, backend, ms, first))
        note = f"first call {first_seconds:.1f} s"
        print(f"op B={batch} L={length} {backend}: {ms:.2f} ms, {first:.0f} MiB ({note})")
    return rows


def scan_step(backend: str, inputs: dict[str, Tensor], dout: Tensor) -> Callable | None:
    """Forward and backward of one scan with a peer; None where it is not installed."""
    if backend == "mamba_ssm":
        try:
            from mamba_ssm.ops.selective_scan_interface import selective_scan_fn
        except ImportError:
            return None
        turn = {
            k: (v.transpose(1, 2).contiguous() if v.dim() == 3 else v).detach().requires_grad_()
            for k, v in inputs.items()
        }
        grad = dout.transpose(1, 2).contiguous()
        return lambda: selective_scan_fn(**turn, delta_softplus=True).backward(grad)
    if backend == "chunked compiled":
        names = ("_chunk_states", "_chunk_backward")
        plain = {name: getattr(chunked, name) for name in names}
        compiled = {name: torch.compile(f, dynamic=False) for name, f in plain.items()}

        def step() -> None:
            vars(chunked).update(compiled)
            try:
                out = selective_scan_bld(**inputs, delta_softplus=True, backend="chunked")
                out.backward(dout)
            finally:
                vars(chunked).update(plain)

        return step
    return lambda: selective_scan_bld(**inputs, delta_softplus=True, backend=backend).backward(dout)


def prism_and_batch(batch_size: int, length: int = 2000):
    """Prism with two contexts at the paper's size, and random genes with a planted signal."""
    from prismflow.models import build
    from prismflow.models.common import InputSpec
    from prismflow.training.batches import Batch

    torch.manual_seed(2)
    inputs = InputSpec(("a", "b", "c"), 9, length)
    model = build("prismflow.models.prism:Prism", {"n_contexts": 2}, {}, inputs).cuda()
    generator = torch.Generator(device="cuda").manual_seed(0)
    genes = 4096 if length <= 2000 else batch_size
    base = torch.randint(0, 4, (genes, length), device="cuda", generator=generator)
    level = torch.rand(genes, 1, 1, device="cuda", generator=generator) * 4
    noise = torch.rand(genes, length, 3, device="cuda", generator=generator)
    data = SimpleNamespace(
        sequence=torch.nn.functional.one_hot(base, 4).float(),
        signals=level * noise * 3,
        gene_features=torch.randn(genes, 9, device="cuda", generator=generator),
        target=torch.log10(1 + 5 * level[:, 0, 0]),
    )

    def batch(step: int) -> Batch:
        rows = torch.arange(step * batch_size, (step + 1) * batch_size, device="cuda") % genes
        return Batch(
            data.sequence[rows], data.signals[rows], data.gene_features[rows], data.target[rows],
            rows,
        )  # fmt: skip

    return model, batch


def make_stepper(model, variant: str, precision: str):
    """The training step of the project's loop, eager, as a CUDA graph, or compiled."""
    from prismflow.training.cuda_graph import CapturedStep, make_capturable
    from prismflow.training.loop import accumulate_gradients
    from prismflow.training.optimiser import clip_gradients, make_optimiser

    optimiser = make_optimiser(model)
    parameters = list(model.parameters())
    if variant == "graph":
        make_capturable(optimiser)
        return CapturedStep(model, optimiser, accumulate_gradients, precision, 1.0)
    if variant == "compile":
        from prismflow.models import bimamba

        bimamba.mix = torch.compiler.disable(bimamba.mix)
        bimamba.add_norm = torch.compiler.disable(bimamba.add_norm)
        model.forward = torch.compile(model.forward)

    def step(batch):
        terms = accumulate_gradients(model, [batch], precision)
        norm = clip_gradients(parameters, 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        return terms, norm

    return step


def part_step() -> None:
    """A whole training step of Prism (n = 2, 4 layers, d = 128) at batch 8, 2 kb."""
    variants = (("bf16", "graph", 1000), ("fp32", "graph", 300), ("bf16", "eager", 200))
    RESULTS["step"] = [time_step(*variant) for variant in variants]


def time_step(precision: str, variant: str, count: int) -> tuple:
    """Mean time of ``count`` steps after the first eight, which compile and record."""
    model, batch = prism_and_batch(8)
    model.train()
    stepper = make_stepper(model, variant, precision)
    started = time.perf_counter()
    for k in range(8):
        stepper(batch(k))
    torch.cuda.synchronize()
    first = time.perf_counter() - started
    torch.cuda.reset_peak_memory_stats()
    started = time.perf_counter()
    for k in range(count):
        terms, _ = stepper(batch(k + 8))
    torch.cuda.synchronize()
    ms = (time.perf_counter() - started) / count * 1e3
    peak = torch.cuda.max_memory_allocated() / 2**30
    minutes = ms * FULL_RUN_STEPS / 60e3
    loss = terms["loss"].item()
    print(
        f"step {precision} {variant}: {ms:.2f} ms over {count} steps, {minutes:.1f} min for "
        f"{FULL_RUN_STEPS}, {peak:.2f} GiB, first 8 steps {first:.1f} s, loss {loss:.4f}"
    )
    return (precision, variant, count, ms, minutes, peak, first, loss)


def part_compiled() -> None:
    """torch.compile: of the chunked scan, and of the training step around the Triton kernels."""
    RESULTS["op compiled"] = time_scan(8, 2000, ("triton", "chunked compiled"))
    RESULTS["step compiled"] = time_step("bf16", "compile", 200)


def part_profile() -> None:
    """Device time of a bf16 step by kernel."""
    from torch.profiler import ProfilerActivity, profile

    model, batch = prism_and_batch(8)
    stepper = make_stepper(model, "eager", "bf16")
    for k in range(4):
        stepper(batch(k))
    torch.cuda.synchronize()
    with profile(activities=[ProfilerActivity.CUDA, ProfilerActivity.CPU]) as profiler:
        for k in range(5):
            stepper(batch(k))
        torch.cuda.synchronize()
    events = []
    for event in profiler.key_averages():
        spent = getattr(event, "self_device_time_total", 0)
        if spent > 0 and event.device_type != torch.autograd.DeviceType.CPU:
            events.append((event.key[:70], spent / 5e3, event.count / 5))
    events.sort(key=lambda e: -e[1])
    total, kernels = sum(e[1] for e in events), sum(e[2] for e in events)
    print(f"device ms per step: {total:.2f}, kernels {kernels:.0f}")
    for name, ms, count in events[:32]:
        print(f"  {ms:7.3f} ms {count:6.1f} x {name}")
    RESULTS["profile"] = events[:60]


def part_long() -> None:
    """One forward and backward of the 4-layer model at 200 kb, with and without checkpointing."""
    rows = []
    for precision in ("bf16", "fp32"):
        for recompute in (False, True):
            torch.manual_seed(0)
            model = BiMambaBackbone(128, 4, checkpoint_activations=recompute).cuda()
            x = torch.randn(1, 200_000, 128, device="cuda")

            def step(model=model, x=x, precision=precision):
                with torch.autocast("cuda", torch.bfloat16, enabled=precision == "bf16"):
                    model(x).float().square().mean().backward()

            step()
            peak = peak_mib(step)
            ms = milliseconds(step, 5, 1)
            rows.append((precision, recompute, ms, peak))
            print(f"200 kb {precision} checkpoint={recompute}: {ms:.1f} ms, {peak / 1024:.2f} GiB")
    RESULTS["long"] = rows


def part_curve() -> None:
    """Loss of 600 steps in bf16 and fp32 from the same weights on the same genes."""
    curves = {}
    for precision in ("fp32", "bf16"):
        model, batch = prism_and_batch(8)
        stepper = make_stepper(model, "graph", precision)
        losses = []
        for k in range(600):
            terms, _ = stepper(batch(k))
            losses.append(terms["prediction"].detach().clone())
        values = torch.stack(losses).float().cpu()
        curves[precision] = values.view(-1, 50).mean(1).tolist()
        print("curve", precision, " ".join(f"{v:.4f}" for v in curves[precision]))
    RESULTS["curve"] = curves


def main() -> None:
    """Run the parts that are asked for."""
    parts = {name[5:]: part for name, part in globals().items() if name.startswith("part_")}
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--parts",
        default=",".join(name for name in parts if name != "steps"),
        help=f"among {', '.join(parts)}",
    )
    chosen = parser.parse_args().parts.split(",")
    torch.set_float32_matmul_precision("high")
    for name in chosen:
        started = time.perf_counter()
        try:
            parts[name]()
        except Exception:
            print(f"PART {name} FAILED\n{traceback.format_exc(limit=-6)}", flush=True)
        print(f"-- {name}: {time.perf_counter() - started:.0f} s", flush=True)
        torch.cuda.empty_cache()
        if os.environ.get("OUT"):
            text = json.dumps(RESULTS, indent=1, default=str)
            Path(os.environ["OUT"], "gpu.json").write_text(text)


if __name__ == "__main__":
    main()
