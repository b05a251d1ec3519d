"""What a training step launches on a CUDA device, compiled without one.

LD_PRELOAD=fake_cuda.so python ahead_of_time.py FOLDER sm_90a    # prints JSON: a row per kernel

The training step runs on fake CUDA tensors (fake_cuda.cpp), with the launch of kernels replaced by
a note of what is launched; each distinct signature is then compiled with this Triton.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
import triton
from torch._subclasses.fake_tensor import FakeTensorMode
from triton.backends.compiler import GPUTarget
from triton.backends.nvidia.compiler import get_ptxas
from triton.runtime.jit import JITFunction

LAUNCHED: dict[str, tuple[JITFunction, tuple, dict[str, Any]]] = {}
COUNT = [0]
run_of_triton = JITFunction.run


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


def take_step(architecture: str, n_signals: int, length: int, batch: int, **hyper: Any) -> None:
    """One step of the training loop in bf16 on fake tensors."""
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
        accumulate_gradients(model, [given], "bf16")


def registers_and_spills(ptx: str, arch: str, folder: Path) -> tuple[int, int]:
    """Registers per thread, and bytes spilled (stores and loads), by Triton's own ptxas."""
    source = folder / "kernel.ptx"
    source.write_text(ptx)
    number = int(re.sub(r"\D", "", arch))
    tool = get_ptxas(number)
    path = tool[0] if isinstance(tool, tuple) else getattr(tool, "path", tool)
    said = subprocess.run(
        [str(path), "-v", f"--gpu-name={arch}", str(source), "-o", str(folder / "kernel.cubin")],
        capture_output=True, text=True, check=True,
    ).stderr  # fmt: skip
    spills = [int(n) for n in re.findall(r"(\d+) bytes spill", said)]
    return int(re.findall(r"Used (\d+) registers", said)[0]), sum(spills)


def main() -> None:
    """Print a row per distinct launch."""
    torch.cuda.amp.common.amp_definitely_not_available = lambda: False
    torch.cuda.is_bf16_supported = lambda *_, **__: True
    JITFunction.run = note
    take_step("prism:Prism", 3, 2000, 8, n_contexts=2)
    prism = COUNT[0]
    take_step("caduceus:Caduceus", 0, 200_000, 4)
    JITFunction.run = run_of_triton
    folder, arch = Path(sys.argv[1]), sys.argv[2]
    target = GPUTarget("cuda", int(re.sub(r"\D", "", arch)), 32)
    triton.runtime.driver.set_active(
        SimpleNamespace(
            get_current_device=lambda: 0, get_current_stream=lambda *_: 0,
            get_current_target=lambda: target,
        )
    )  # fmt: skip
    rows = []
    for kernel, given, options in LAUNCHED.values():
        made = kernel.run(*given, grid=(1,), warmup=True, **options)
        used, spilled = registers_and_spills(made.asm["ptx"], arch, folder)
        rows.append(
            {
                "kernel": kernel.fn.__name__, "arch": arch, "registers": used, "spilled": spilled,
                "shared": made.metadata.shared, "warps": made.metadata.num_warps,
            }
        )  # fmt: skip
    print(json.dumps({"launches": prism, "signatures": len(LAUNCHED), "rows": rows}))


if __name__ == "__main__":
    main()
