"""The selective scan: every backend against the reference, and the choice between them."""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import shutil
import subprocess
import sys
import sysconfig
import threading
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from scan_cases import run_scan, scan_inputs, worst_deviation

from prismflow.errors import InputError
from prismflow.models import scan
from prismflow.models.scan import (
    BACKENDS,
    ENVIRONMENT_VARIABLE,
    choose_backend,
    selective_scan,
    selective_scan_bld,
)
from prismflow.models.scan.conv import causal_conv

CPU = torch.device("cpu")
FAST = ("chunked", "numba")
TOLERANCE = {torch.float64: 1e-12, torch.float32: 2e-5}
CASES = (
    (2, 1, 5, 3),
    (3, 7, 17, 16),
    (2, 64, 16, 5),
    (1, 300, 33, 16),
    (2, 300, 40, 1),
    (2, 2000, 18, 16),
)


@pytest.fixture(autouse=True)
def _no_forced_backend(monkeypatch):
    monkeypatch.delenv(ENVIRONMENT_VARIABLE, raising=False)


@pytest.mark.parametrize("backend", FAST)
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_backend_agrees_with_reference(backend, case, reverse):
    inputs = scan_inputs(*case)
    expected = run_scan(inputs, "reference", reverse=reverse)
    for dtype, tolerance in TOLERANCE.items():
        got = run_scan(inputs, backend, dtype, reverse=reverse)
        error, name = worst_deviation(got, expected)
        assert error < tolerance, (dtype, name, error)


@pytest.mark.parametrize("backend", FAST)
@pytest.mark.parametrize("regime", ["underflow", "long"])
def test_extreme_decays(backend, regime):
    inputs = scan_inputs(2, 400, 20, 16, regime)
    expected = run_scan(inputs, "reference")
    for dtype, tolerance in TOLERANCE.items():
        got = run_scan(inputs, backend, dtype)
        assert all(torch.isfinite(x).all() for x in got.values())
        error, name = worst_deviation(got, expected)
        assert error < tolerance, (dtype, name, error)


@pytest.fixture(scope="module")
def long_scan():
    """Inputs of 32,000 positions and what the slow reference makes of them."""
    inputs = scan_inputs(1, 32_000, 20, 16)
    return inputs, run_scan(inputs, "reference")


@pytest.mark.slow
@pytest.mark.parametrize("backend", FAST)
def test_long_sequence(long_scan, backend):
    inputs, expected = long_scan
    for dtype, tolerance in TOLERANCE.items():
        error, name = worst_deviation(run_scan(inputs, backend, dtype), expected)
        assert error < tolerance, (dtype, name, error)


@pytest.mark.parametrize("backend", FAST)
@pytest.mark.parametrize("absent", [("D",), ("delta_bias",), ("z",), ("D", "delta_bias", "z")])
def test_optional_inputs(backend, absent):
    inputs = {k: v for k, v in scan_inputs(2, 40, 19, 4).items() if k not in absent}
    inputs["delta"] = inputs["delta"].exp()
    expected = run_scan(inputs, "reference", delta_softplus=False)
    error, name = worst_deviation(run_scan(inputs, backend, delta_softplus=False), expected)
    assert error < 1e-12, name


@pytest.mark.parametrize("backend", BACKENDS[:3])
def test_reverse_is_flipping(backend):
    inputs = scan_inputs(2, 45, 6, 4)
    flipped = {k: v.flip(1) if v.dim() == 3 else v for k, v in inputs.items()}
    forward = run_scan(flipped, backend)
    backward = run_scan(inputs, backend, reverse=True)
    assert torch.allclose(forward["out"].flip(1), backward["out"], rtol=1e-12, atol=1e-14)
    assert torch.allclose(forward["last"], backward["last"], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("backend", BACKENDS[:3])
def test_published_layout_and_strided_inputs(backend):
    inputs = scan_inputs(2, 30, 7, 3)
    dout = inputs.pop("dout")
    expected = selective_scan_bld(**inputs, delta_softplus=True, backend="reference")
    turned = {k: v.transpose(1, 2) if v.dim() == 3 else v for k, v in inputs.items()}
    every_second = {}
    for name, x in turned.items():
        wide = torch.zeros(*x.shape[:-1], 2 * x.shape[-1], dtype=x.dtype)
        wide[..., ::2] = x
        every_second[name] = wide[..., ::2].requires_grad_()
    out = selective_scan(**every_second, delta_softplus=True, backend=backend)
    out.backward(dout.transpose(1, 2))
    assert torch.allclose(out.transpose(1, 2), expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("backend", BACKENDS[:3])
@pytest.mark.parametrize("shape", [(0, 20, 5, 4), (2, 0, 5, 4)])
def test_nothing_to_scan(backend, shape):
    got = run_scan(scan_inputs(*shape), backend)
    assert got["out"].shape == shape[:3]
    assert not got["grad.A"].any()
    assert not got["last"].any()


@pytest.mark.parametrize("backend", FAST)
def test_nan_is_not_hidden(backend):
    inputs = scan_inputs(1, 50, 16, 4)
    inputs["delta"][0, 20, 3] = float("nan")
    out = run_scan(inputs, backend)["out"]
    assert torch.isnan(out[0, 20:, 3]).all()
    assert torch.isfinite(out[0, :20]).all()


def test_low_precision_is_computed_in_float32():
    inputs = {k: v.to(torch.bfloat16) for k, v in scan_inputs(1, 40, 8, 4).items()}
    inputs.pop("dout")
    out = selective_scan_bld(**inputs, delta_softplus=True, backend="numba")
    upcast = {k: v.double() for k, v in inputs.items()}
    expected = selective_scan_bld(**upcast, delta_softplus=True, backend="reference")
    assert out.dtype == torch.bfloat16
    assert torch.allclose(out.double(), expected, rtol=1e-2, atol=1e-2)


def test_sums_do_not_depend_on_threads():
    inputs = scan_inputs(1, 200, 100, 16)
    threads = torch.get_num_threads()
    try:
        results = []
        for count in (1, 2, 5):
            torch.set_num_threads(count)
            results.append(run_scan(inputs, "numba", torch.float32))
    finally:
        torch.set_num_threads(threads)
    for other in results[1:]:
        assert all(torch.equal(x, other[name]) for name, x in results[0].items())


def test_concurrent_scans():
    inputs = [scan_inputs(2, 150, 40, 8, seed=seed) for seed in range(3)]
    expected = [run_scan(given, "numba")["out"] for given in inputs]
    got: dict[int, torch.Tensor] = {}

    def work(i: int) -> None:
        for _ in range(5):
            got[i] = run_scan(inputs[i], "numba")["out"]

    workers = [threading.Thread(target=work, args=(i,)) for i in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert all(torch.equal(got[i], expected[i]) for i in range(3))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_forked_process_can_scan():
    inputs = scan_inputs(2, 100, 40, 8)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        expected = run_scan(inputs, "numba")["out"]
        child = os.fork()
        if child == 0:
            same = False
            try:
                same = torch.equal(run_scan(inputs, "numba")["out"], expected)
            finally:
                os._exit(0 if same else 1)
        deadline = time.monotonic() + 60
        done, status = 0, 0
        while done == 0 and time.monotonic() < deadline:
            done, status = os.waitpid(child, os.WNOHANG)
            time.sleep(0.01)
        if done == 0:
            os.kill(child, 9)
            os.waitpid(child, 0)
        assert (done, status) == (child, 0)
        assert torch.equal(run_scan(inputs, "numba")["out"], expected)
    finally:
        torch.set_num_threads(threads)


def test_choice_is_logged_once(caplog, monkeypatch):
    monkeypatch.setattr(scan, "_announced", set())
    with caplog.at_level(logging.INFO, logger="prismflow.models.scan"):
        assert choose_backend(CPU, torch.float32) == "numba"
        assert choose_backend(CPU, torch.float64) == "numba"
    assert [r.getMessage() for r in caplog.records] == [
        "selective scan on cpu: numba (the fastest for cpu)"
    ]


def test_fallback_says_why(caplog, monkeypatch):
    monkeypatch.setattr(scan, "_announced", set())
    monkeypatch.setattr(scan, "_is_installed", lambda package: False)
    with caplog.at_level(logging.INFO, logger="prismflow.models.scan"):
        assert choose_backend(CPU, torch.float32) == "chunked"
    assert "numba was passed over: the package numba is not installed" in caplog.text


def test_environment_variable_forces_a_backend(monkeypatch):
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, "chunked")
    assert choose_backend(CPU, torch.float32) == "chunked"
    assert choose_backend(CPU, torch.float32, "reference") == "reference"
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, "cuda")
    with pytest.raises(InputError, match=r"'cuda' \(environment variable .*reference, chunked"):
        choose_backend(CPU, torch.float32)


@pytest.mark.parametrize(
    ("backend", "device", "message"),
    [
        ("numba", "meta", "numba works on the CPU only, the tensors are on meta"),
        ("fast", "cpu", "'fast' .* is unknown: expected auto or one of"),
    ],
)
def test_backend_that_cannot_work_here(backend, device, message):
    with pytest.raises(InputError, match=message):
        choose_backend(torch.device(device), torch.float32, backend)


def test_forced_triton_without_a_device():
    with pytest.raises(InputError, match="triton"):
        choose_backend(CPU, torch.float64, "triton")


@pytest.mark.parametrize(
    ("name", "shape"),
    [("delta", (2, 9, 4)), ("A", (5, 3)), ("B", (2, 10, 2)), ("z", (1, 10, 4)), ("D", (5,))],
)
def test_shapes_are_checked(name, shape):
    inputs = scan_inputs(2, 10, 4, 3)
    inputs.pop("dout")
    inputs[name] = torch.zeros(shape)
    with pytest.raises(InputError, match="does not fit u"):
        selective_scan_bld(**inputs)


@pytest.mark.parametrize("backend", BACKENDS[:3])
def test_released_scans(golden_dir: Path, backend):
    files = sorted((golden_dir / "scan").glob("scan_*.safetensors"))
    assert files
    for path in files:
        data = load_file(path)
        inputs = {k[3:]: v.double() for k, v in data.items() if k.startswith("in.")}
        dout = inputs.pop("dout")
        for x in inputs.values():
            x.requires_grad_()
        softplus = bool(data["meta.delta_softplus"])
        out, last = selective_scan(
            **inputs, delta_softplus=softplus, backend=backend, return_last_state=True
        )
        out.backward(dout)
        got = {"out": out, "last_state": last, **{f"grad.{k}": x.grad for k, x in inputs.items()}}
        for name, value in got.items():
            torch.testing.assert_close(
                value.detach(), data[f"f64.{name}"], rtol=1e-9, atol=1e-12, msg=f"{path} {name}"
            )


def test_released_convolutions(golden_dir: Path):
    cases = json.loads((golden_dir / "scan" / "cases.json").read_text())
    for name, case in cases.items():
        if not name.startswith("conv_"):
            continue
        data = load_file(golden_dir / "scan" / f"{name}.safetensors")
        inputs = {k[3:]: v.double() for k, v in data.items() if k.startswith("in.")}
        dout = inputs.pop("dout")
        for x in inputs.values():
            x.requires_grad_()
        silu = case["activation"] == "silu"
        x = inputs["x"].transpose(1, 2)
        out = causal_conv(x, inputs["weight"], inputs.get("bias"), silu).transpose(1, 2)
        out.backward(dout)
        got = {"out": out, **{f"grad.{k}": x.grad for k, x in inputs.items()}}
        for key, value in got.items():
            torch.testing.assert_close(
                value.detach(), data[f"f64.{key}"], rtol=1e-9, atol=1e-12, msg=f"{name} {key}"
            )


def test_triton_by_its_interpreter():
    if importlib.util.find_spec("triton") is None:
        pytest.skip("triton is not installed")
    script = Path(__file__).with_name("scan_cases.py")
    environment = {**os.environ, "TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"}
    run = subprocess.run(
        [sys.executable, str(script)], env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr[-3000:]


@pytest.mark.parametrize("lacks", ["a C compiler", "Python.h"])
def test_a_machine_that_can_not_start_kernels_says_what_it_lacks(lacks, monkeypatch, tmp_path):
    backend = pytest.importorskip("prismflow.models.scan.triton_backend")
    cuda = torch.device("cuda")
    for name in ("CC", "CPATH", "C_INCLUDE_PATH", "TRITON_INTERPRET"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/gcc")
    monkeypatch.setattr(sysconfig, "get_paths", lambda scheme: {"include": str(tmp_path)})
    (tmp_path / "Python.h").touch()
    backend.missing_tools.cache_clear()
    assert choose_backend(cuda, torch.float32) == "triton"
    if lacks == "Python.h":
        (tmp_path / "Python.h").unlink()
    else:
        monkeypatch.setattr(shutil, "which", lambda name: None)
    backend.missing_tools.cache_clear()
    said = rf"on cuda: triton needs a C compiler and Python.h .* lacks {lacks} .*=chunked goes on"
    with pytest.raises(InputError, match=said):
        choose_backend(cuda, torch.float32)
    backend.missing_tools.cache_clear()


@pytest.mark.gpu
@pytest.mark.parametrize("case", [*CASES, (2, 32_000, 64, 16)], ids=str)
@pytest.mark.parametrize("reverse", [False, True])
def test_triton_on_a_device(case, reverse):
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device was found")
    inputs = scan_inputs(*case)
    slow = "reference" if case[1] < 10_000 else "chunked"
    expected = run_scan(inputs, slow, device="cuda", reverse=reverse)
    got = run_scan(inputs, "triton", torch.float32, device="cuda", reverse=reverse)
    error, name = worst_deviation(got, expected)
    assert error < 1e-4, name
