"""What a training step launches on a CUDA device, compiled without one.

LD_PRELOAD=fake_cuda.so python ahead_of_time.py sm_80 sm_90a    # prints JSON: a row per kernel

The training step runs on fake CUDA tensors (fake_cuda.cpp), with the launch of kernels replaced by
a note of what is launched; each distinct signature is then compiled with this Triton.
"""

from __future__ import annotations

import contextlib
import io
import json
import multiprocessing
import os
import re
import sys
from types import SimpleNamespace
from typing import Any

import torch
import triton
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from triton.backends.compiler import GPUTarget
from triton.runtime.jit import JITFunction

LAUNCHED: dict[str, tuple[JITFunction, tuple, dict[str, Any]]] = {}
COUNT = [0]
run_of_triton = JITFunction.run
#: Operations that launch nothing: they make views or memory that nothing is written to.
SILENT = re.compile(r"aten\.(empty|new_empty|detach|alias|_unsafe_view|is_|_has|lift)|prim\.")
CARDS: list[str] = []


class Operations(TorchDispatchMode):
    """Counts torch's operations that launch at least one kernel."""

    count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Count, and do it."""
        returned = (r.alias_info for r in func._schema.returns)
        view = any(alias is not None and not alias.is_write for alias in returned)
        self.count += not (view or SILENT.match(str(func)))
        return func(*args, **(kwargs or {}))


class StandIn:
    """A tensor for Triton: a type and an address that is a multiple of 16."""

    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype = dtype

    def data_ptr(self) -> int:
        """An aligned address, as torch's allocator gives."""
        return 1 << 20


def note(self: JITFunction, *args: Any, grid: Any, warmup: bool, **options: Any) -> None:
    """In the place of a launch."""
    given = tuple(StandIn(a.dtype) if isinstance(a, torch.Tensor) else a for a in args)
    shown = [str(a.dtype) if isinstance(a, StandIn) else type(a).__name__ for a in given]
    constants = {name: value for name, value in options.items() if value is not None}
    LAUNCHED.setdefault(f"{self.fn.__name__}{shown}{constants}", (self, given, options))
    COUNT[0] += 1


def take_step(architecture: str, n_signals: int, length: int, batch: int, **hyper: Any) -> int:
    """One step's gradients in bf16 on fake tensors; how many operations of torch they launch."""
    from prismflow.models import build
    from prismflow.models.common import InputSpec
    from prismflow.training.batches import Batch
    from prismflow.training.loop import accumulate_gradients

    with FakeTensorMode(), torch.device("cuda"):
        inputs = InputSpec(tuple(f"m{i}" for i in range(n_signals)), 9, length)
        model = build(f"prismflow.models.{architecture}", hyper, {}, inputs)
        given = Batch(
            torch.zeros(batch, length, 4), torch.zeros(batch, length, n_signals),
            torch.zeros(batch, 9), torch.zeros(batch), torch.zeros(batch, dtype=torch.int64),
        )  # fmt: skip
        with Operations() as operations:
            accumulate_gradients(model, [given], "bf16")
        return operations.count


def compile_one(job: tuple[str, int]) -> dict[str, Any]:
    """Compile a signature for a card; Triton's own ptxas says what it needs."""
    signature, card = job
    kernel, given, options = LAUNCHED[signature]
    target = GPUTarget("cuda", int(re.sub(r"\D", "", CARDS[card])), 32)
    triton.runtime.driver.set_active(
        SimpleNamespace(
            get_current_device=lambda: card, get_current_stream=lambda *_: 0,
            get_current_target=lambda: target,
        )
    )  # fmt: skip
    with contextlib.redirect_stdout(io.StringIO()) as said:
        made = kernel.run(*given, grid=(1,), warmup=True, **options)
    spills = re.findall(r"(\d+) bytes spill", said.getvalue())
    used = re.findall(r"for '(sm_\w+)'|Used (\d+) registers", said.getvalue())
    return {
        "kernel": kernel.fn.__name__, "arch": next(arch for arch, _ in used if arch),
        "registers": max(int(n) for _, n in used if n), "spilled": sum(map(int, spills)),
        "shared": made.metadata.shared, "warps": made.metadata.num_warps,
    }  # fmt: skip


def main() -> None:
    """Print a row per distinct launch and card, compiled on all cores."""
    from prismflow.models import bimamba, prism, together

    torch.cuda.amp.common.amp_definitely_not_available = lambda: False
    torch.cuda.is_bf16_supported = lambda *_, **__: True
    JITFunction.run = note
    given = ("prism:Prism", 3, 2000, 8)
    operations = {"together": take_step(*given, n_contexts=2)}
    launches = COUNT[0]
    take_step("caduceus:Caduceus", 0, 200_000, 4)
    signatures = list(LAUNCHED)
    for module in (bimamba, prism, together):
        vars(module)["launches_cost"] = lambda device: False
    operations["one by one"] = take_step(*given, n_contexts=2)
    JITFunction.run = run_of_triton
    CARDS.extend(sys.argv[1:])
    # The largest first, so that the last ones to be compiled are short.
    signatures.sort(key=lambda name: not name.startswith(("backward", "forward", "_conv")))
    jobs = [(name, card) for name in signatures for card in range(len(CARDS))]
    # Whatever was set up before is there in a forked process: only compiling is left to it.
    with multiprocessing.get_context("fork").Pool(len(os.sched_getaffinity(0))) as pool:
        rows = pool.map(compile_one, jobs, chunksize=1)
    counts = {"launches": launches, "signatures": len(signatures), "operations": operations}
    print(json.dumps(counts | {"same": len(LAUNCHED) == len(signatures), "rows": rows}))


if __name__ == "__main__":
    main()
