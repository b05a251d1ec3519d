"""The kernels that a real step launches, compiled for two cards without having one."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

HERE = Path(__file__).parent
TORCH = Path(torch.__file__).parent
CARDS = ("sm_80", "sm_90a")
#: Most registers of a thread: more, and fewer warps than planned share a processor.
REGISTERS = {"backward_kernel": 128, "forward_kernel": 96, "flow_kernel": 96, "_conv_inputs": 168}


@pytest.fixture(scope="module")
def compiled(tmp_path_factory) -> dict:
    """What ahead_of_time.py says of both cards."""
    lacking = [name for name in ("g++",) if shutil.which(name) is None]
    lacking += [name for name in ("triton",) if importlib.util.find_spec(name) is None]
    if lacking or torch.version.cuda is not None:
        pytest.skip(f"needs g++, triton and torch for CPUs; lacking: {', '.join(lacking) or '-'}")
    folder = tmp_path_factory.mktemp("ahead")
    library = folder / "fake_cuda.so"
    subprocess.run(
        ["g++", "-O0", "-std=c++20", "-shared", "-fPIC", f"-I{TORCH}/include",
         str(HERE / "fake_cuda.cpp"), "-o", str(library), f"-L{TORCH}/lib", "-lc10", "-ltorch_cpu"],
        check=True, capture_output=True,
    )  # fmt: skip
    environment = os.environ | {
        "LD_PRELOAD": str(library), "LD_LIBRARY_PATH": str(TORCH / "lib"),
        "TRITON_CACHE_DIR": str(folder / "cache"), "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    environment |= {"TRITON_DUMP_PTXAS_LOG": "1"}
    environment.pop("TRITON_INTERPRET", None)
    run = subprocess.run(
        [sys.executable, str(HERE / "ahead_of_time.py"), *CARDS],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr[-3000:]
    return json.loads(run.stdout)


@pytest.mark.slow
def test_a_step_launches_what_was_planned(compiled):
    # 58 launches of 14 kinds at 2 kb in bf16; 200 kb keeps states in bf16: three kinds more.
    assert compiled["launches"] == 58
    assert compiled["signatures"] == 17 and len(compiled["rows"]) == 34
    assert compiled["same"], "parameters made ready one by one launch other kernels"


@pytest.mark.slow
def test_parameters_are_made_ready_together(compiled):
    # Torch's own launches of a step's gradients, beside the 58; 434 before anything was joined.
    assert compiled["operations"] == {"together": 240, "one by one": 413}


@pytest.mark.slow
def test_every_kernel_compiles_for_both_cards_without_a_spill(compiled):
    assert {row["arch"] for row in compiled["rows"]} == set(CARDS)
    assert [row for row in compiled["rows"] if row["spilled"]] == []


@pytest.mark.slow
def test_registers_and_shared_memory_leave_room_for_many_warps(compiled):
    for row in compiled["rows"]:
        assert row["registers"] <= REGISTERS.get(row["kernel"], 96), row
        assert row["shared"] <= 2048, row
        assert row["warps"] == (4 if row["kernel"].startswith("_") else 1), row
