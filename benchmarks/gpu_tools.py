"""What the parts of gpu.py share: the device, timers, models, random genes."""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from prismflow.models.scan import ENVIRONMENT_VARIABLE
from prismflow.training.batches import GeneBatches

REHEARSE = os.environ.get("PRISMFLOW_REHEARSE") == "1"
DEVICE = torch.device("cpu" if REHEARSE else "cuda")
FULL_RUN_STEPS = 50_000
RESULTS: list[Path] = []
"""The file that results are appended to."""
T = TypeVar("T")


def sized(real: T, tiny: T) -> T:
    """A size, or its tiny stand-in in a rehearsal."""
    return tiny if REHEARSE else real


def report(part: str, what: str, value: Any, unit: str = "") -> None:
    """Print one result and append it to the file."""
    value = round(value, 9) if isinstance(value, float) else value
    print(f"   {part}: {what}: {value} {unit}", flush=True)
    row = {"part": part, "what": what, "value": value, "unit": unit}
    for path in RESULTS:
        with path.open("a") as file:
            file.write(json.dumps(row, default=str) + "\n")


def lacking(*packages: str) -> str | None:
    """The first package that can't be imported here."""
    import importlib

    for name in packages:
        try:
            importlib.import_module(name)
        except ImportError:
            return name
    return None


def synchronise() -> None:
    """Wait for the device."""
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()


def milliseconds(function: Callable[[], object], repeats: int = 20, warm: int = 3) -> float:
    """Median time of a call."""
    for _ in range(sized(warm, 1)):
        function()
    times = []
    for _ in range(sized(repeats, 1)):
        if DEVICE.type == "cuda":
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            function()
            end.record()
            end.synchronize()
            times.append(start.elapsed_time(end))
        else:
            started = time.perf_counter()
            function()
            times.append((time.perf_counter() - started) * 1e3)
    return statistics.median(times)


def reset_peak() -> None:
    """Begin to watch the peak of allocated memory."""
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def peak_gb() -> float:
    """Peak of allocated memory since :func:`reset_peak`, in GB (10^9 bytes)."""
    return torch.cuda.max_memory_allocated() / 1e9 if DEVICE.type == "cuda" else 0.0


@contextlib.contextmanager
def forced(backend: str) -> Iterator[None]:
    """Use one scan backend."""
    before = os.environ.get(ENVIRONMENT_VARIABLE)
    os.environ[ENVIRONMENT_VARIABLE] = backend
    try:
        yield
    finally:
        os.environ.pop(ENVIRONMENT_VARIABLE)
        if before is not None:
            os.environ[ENVIRONMENT_VARIABLE] = before


@contextlib.contextmanager
def counted_waits() -> Iterator[list[int]]:
    """Count what makes the host wait for the device."""
    found = [0]
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        if DEVICE.type == "cuda":
            torch.cuda.set_sync_debug_mode("warn")
        try:
            yield found
        finally:
            if DEVICE.type == "cuda":
                torch.cuda.set_sync_debug_mode("default")
            found[0] = sum("synchronizing CUDA operation" in str(w.message) for w in said)


class RandomInputs:
    """Random genes whose label follows the level of the first signal and of a feature.

    Has what :class:`~prismflow.training.batches.GeneBatches` reads of its inputs.
    """

    extras: tuple[str, ...] = ()

    def __init__(self, n_genes: int, window_bp: int, n_signals: int, n_features: int = 9) -> None:
        rng = np.random.default_rng(0)
        self.window_bp, self.modalities = window_bp, tuple(f"m{i}" for i in range(n_signals))
        self._codes = rng.integers(0, 4, (n_genes, window_bp), dtype=np.uint8)
        level = rng.gamma(2.0, 1.0, n_genes).astype(np.float32)
        self._signals = rng.random((n_genes, window_bp, n_signals), dtype=np.float32)
        if n_signals:
            self._signals[:, :, 0] *= level[:, None]
        self._features = rng.standard_normal((n_genes, n_features), dtype=np.float32)
        self._labels = np.log10(1 + 5 * level) + np.float32(0.1) * self._features[:, 0]

    def codes(self, rows: np.ndarray) -> np.ndarray:
        """(n, w) base codes."""
        return self._codes[rows]

    def signals(self, rows: np.ndarray) -> np.ndarray:
        """(n, w, M)."""
        return self._signals[rows]

    def features(self, rows: np.ndarray) -> np.ndarray:
        """(n, F)."""
        return self._features[rows]

    def labels(self, rows: np.ndarray) -> np.ndarray:
        """(n,)."""
        return self._labels[rows]


def prism(window_bp: int) -> Any:
    """Prism with two contexts at the paper's size, on the device."""
    hyper = sized({}, {"d_model": 8, "n_layers": 1, "d_state": 2, "cnn_channels": 2})
    return network("prism:Prism", {"n_contexts": 2, **hyper}, 3, window_bp)


def network(name: str, hyper: dict[str, Any], n_signals: int, window_bp: int) -> Any:
    """A network by ``module:Class``, with the same initial weights at every call."""
    from prismflow.models import build
    from prismflow.models.common import InputSpec

    torch.manual_seed(2)
    inputs = InputSpec(("h3k27ac", "dnase", "hic")[:n_signals], 9, window_bp)
    return build(f"prismflow.models.{name}", hyper, {}, inputs).to(DEVICE)


def genes(n_genes: int, window_bp: int, n_signals: int, streamed: bool = False) -> tuple:
    """Training and validation batches of random genes (nine tenths and one)."""
    inputs: Any = RandomInputs(n_genes, window_bp, n_signals)
    cut = n_genes - max(2, n_genes // 10)
    limit = 0 if streamed else 2 << 30
    return tuple(
        GeneBatches(inputs, rows, DEVICE, limit)
        for rows in (np.arange(cut), np.arange(cut, n_genes))
    )


class Stepper:
    """The optimiser step of the training loop, kernel by kernel or as a graph."""

    def __init__(self, model: Any, variant: str, precision: str, gradients: Any = None) -> None:
        from prismflow.training.cuda_graph import CapturedStep, make_capturable
        from prismflow.training.loop import accumulate_gradients
        from prismflow.training.optimiser import make_optimiser

        model.train()
        optimiser = make_optimiser(model)
        as_graph = variant == "graph" and DEVICE.type == "cuda"
        if as_graph:
            make_capturable(optimiser)
        compute = gradients or accumulate_gradients
        self.step = CapturedStep(model, optimiser, compute, precision, 1.0)
        if not as_graph:
            self.step.given_up = "asked for"

    def __call__(self, batch: Any) -> Tensor:
        """Take a step; returns the loss, without waiting for it."""
        return self.step(batch)[0]["loss"]


def batches(train: GeneBatches, size: int, count: int) -> Iterator[Any]:
    """``count`` batches in a fixed order."""
    from prismflow.training.order import rows_of_step

    return train.stream(rows_of_step(2, k, len(train), size) for k in range(count))


def stop_not_run(why: str) -> None:
    """End this part as one that can't run here."""
    print(f"   not run: {why}", flush=True)
    sys.exit(3)
