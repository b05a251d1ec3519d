"""Building blocks of the compiled CPU kernels: lanes of channels, exp, softplus, threads.

Kernels work on LANES neighbouring channels at a time, in inner loops of constant length that the
compiler turns into vector instructions. Two things stand in its way and are removed here. Arrays
might overlap: :func:`lane_access` makes loads and stores that promise that they do not. And exp
is a library call: :func:`exp2` and its kin are polynomials. Kernels are serial and release the
interpreter lock; :func:`run_tasks` spreads them over threads of its own, so that a forked process
(which inherits none of them) starts new ones, where a compiled parallel loop would abort.

Compiled code is kept in a folder that is named by a digest of these files, because numba looks
at the kernel's own file alone and would go on with what it made of an older one of this.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import itertools
import math
import os
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numba
import torch
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from prismflow.jobs.patches.numba_cache import can_choose, given_folder, numba_caches_in

LANES = 16
LOG2E = 1.0 / math.log(2.0)
SOFTPLUS_IDENTITY = 20.0
# Contraction gives fused multiply-adds. Nothing allows sums to be reordered, or NaN and infinity
# to be assumed away.
_FASTMATH = {"contract", "nsz"}
_SCOPES = ("read", "write0", "write1", "write2", "write3", "write4", "write5")
_LN2 = math.log(2.0)
# 2**f for |f| <= 1/2 by number of bits, highest power first: a minimax fit to 5e-9, and a Taylor
# series. Both are exactly 1 at 0, since an error there would grow with the length of a memory.
_EXP2 = {
    32: [
        1.54614475e-04, 1.33908674e-03, 9.61805667e-03, 5.55035710e-02, 2.40226509e-01,
        6.93147188e-01, 1.0,
    ],
    64: [_LN2**k / math.factorial(k) for k in range(13, -1, -1)],
}  # fmt: skip
# log(1 + x) = s * sum 2 / (2 k + 1) s^(2k) with s = x / (2 + x) <= 1/3.
_LOG1P = {
    bits: [2.0 / (2 * k + 1) for k in range(terms, -1, -1)] for bits, terms in ((32, 7), (64, 17))
}
_pool: ThreadPoolExecutor | None = None


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a kernel, cached on disk where a folder for that can be written."""
    options: dict[str, Any] = {"nogil": True, "fastmath": _FASTMATH, "error_model": "numpy"}
    folder = cache_folder()
    if folder is None or not can_choose():
        return numba.njit(**options)(function)
    try:
        with numba_caches_in(folder):
            return numba.njit(cache=True, **options)(function)
    except RuntimeError:
        return numba.njit(**options)(function)


@functools.cache
def cache_folder() -> Path | None:
    """Where machine code of these very files is kept, or None where nothing can be written.

    In the folder that ``NUMBA_CACHE_DIR`` names, else beside the source, else in the user's cache.
    """
    here = Path(__file__).parent
    digest = hashlib.sha256()
    for path in sorted([Path(__file__), *here.glob("numba_*.py")]):
        digest.update(path.read_bytes())
    users = os.environ.get("XDG_CACHE_HOME") or Path("~", ".cache").expanduser()
    given = given_folder()
    for parent in [given] if given else [here / "__pycache__", Path(users, "prismflow")]:
        folder = Path(parent) / f"kernels-{digest.hexdigest()[:16]}"
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
            return folder
    return None


def inlined(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a part of a kernel."""
    return numba.njit(forceinline=True, fastmath=_FASTMATH, error_model="numpy")(function)


def run_tasks(task: Callable[..., None], n_tasks: int, *args: Any) -> None:
    """Call task(i, *args) for i in range(n_tasks), on as many threads as torch uses.

    Tasks must not depend on each other; which thread runs which is left to chance.
    """
    threads = min(torch.get_num_threads(), n_tasks)
    if threads <= 1:
        for i in range(n_tasks):
            task(i, *args)
        return
    counter = itertools.count()

    def work() -> None:
        while (i := next(counter)) < n_tasks:
            task(i, *args)

    pool = _threads()
    futures = [pool.submit(work) for _ in range(threads - 1)]
    work()
    for future in futures:
        future.result()


def flat(x: torch.Tensor) -> Any:
    """The numbers of a contiguous tensor as a flat array, without a copy."""
    return x.detach().view(-1).numpy()


def _threads() -> ThreadPoolExecutor:
    global _pool
    if _pool is None:
        _pool = ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="prismflow-scan")
    return _pool


def _forget_threads() -> None:
    global _pool
    _pool = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads)


def lane_access(scope: str) -> tuple[Any, Any]:
    """load(array, i) and store(array, i, value) on flat arrays that overlap no other scope's.

    The promise covers the compiled function that uses them, and all of its calls: there, what is
    accessed in one scope must never be accessed in another.
    """

    def promise(builder: ir.IRBuilder, instruction: ir.Instruction) -> None:
        module = builder.module
        domain = module.add_metadata([ir.MetaDataString(module, builder.function.name)])
        nodes = {
            name: module.add_metadata([ir.MetaDataString(module, name), domain]) for name in _SCOPES
        }
        others = [node for name, node in nodes.items() if name != scope]
        instruction.set_metadata("alias.scope", module.add_metadata([nodes[scope]]))
        instruction.set_metadata("noalias", module.add_metadata(others))

    def pointer(context: Any, builder: Any, kind: Any, array: Any, index: Any) -> Any:
        return builder.gep(context.make_array(kind)(context, builder, array).data, [index])

    @intrinsic
    def load(typing_context, array, index):
        def generate(context, builder, signature, args):
            value = builder.load(pointer(context, builder, signature.args[0], *args))
            promise(builder, value)
            return value

        return array.dtype(array, types.intp), generate

    @intrinsic
    def store(typing_context, array, index, value):
        def generate(context, builder, signature, args):
            where = pointer(context, builder, signature.args[0], *args[:2])
            promise(builder, builder.store(args[2], where))
            return context.get_dummy_value()

        return types.void(array, types.intp, array.dtype), generate

    return load, store


def _elementary(build: Callable[[Any, Any], Any]) -> Any:
    """A function of one float in compiled code, from a builder of its instructions."""

    @intrinsic
    def function(typing_context, x):
        def generate(context, builder, signature, args):
            return build(builder, args[0])

        return x(x), generate

    return function


def _number(x: Any, value: float) -> Any:
    return ir.Constant(x.type, value)


def _bits(x: Any) -> int:
    return 32 if isinstance(x.type, ir.FloatType) else 64


def _call(builder: Any, name: str, x: Any) -> Any:
    return builder.call(builder.module.declare_intrinsic(name, [x.type]), [x])


def _polynomial(builder: Any, x: Any, coefficients: list[float]) -> Any:
    value = _number(x, coefficients[0])
    for coefficient in coefficients[1:]:
        product = builder.fmul(value, x, flags=("contract",))
        value = builder.fadd(product, _number(x, coefficient), flags=("contract",))
    return value


def _clip(builder: Any, x: Any, low: float, high: float) -> Any:
    # Ordered comparisons are false for NaN, which so passes through.
    x = builder.select(builder.fcmp_ordered("<", x, _number(x, low)), _number(x, low), x)
    return builder.select(builder.fcmp_ordered(">", x, _number(x, high)), _number(x, high), x)


def _build_exp2(builder: Any, x: Any) -> Any:
    """2**x as 2**f times a power of two made of exponent bits: 0 at the low end, then infinity."""
    bits = _bits(x)
    bias, shift = (127, 23) if bits == 32 else (1023, 52)
    x = _clip(builder, x, -float(bias), float(bias + 1))
    whole = _call(builder, "llvm.rint", x)
    fraction = builder.fsub(x, whole)
    integer = ir.IntType(bits)
    exponent = builder.add(builder.fptosi(whole, integer), ir.Constant(integer, bias))
    power = builder.bitcast(builder.shl(exponent, ir.Constant(integer, shift)), x.type)
    return builder.fmul(_polynomial(builder, fraction, _EXP2[bits]), power)


def _exp_of_minus_abs(builder: Any, x: Any) -> Any:
    magnitude = _call(builder, "llvm.fabs", x)
    return _build_exp2(builder, builder.fmul(magnitude, _number(x, -LOG2E)))


def _build_softplus(builder: Any, x: Any) -> Any:
    e = _exp_of_minus_abs(builder, x)
    s = builder.fdiv(e, builder.fadd(_number(x, 2.0), e))
    log = builder.fmul(s, _polynomial(builder, builder.fmul(s, s), _LOG1P[_bits(x)]))
    positive = builder.select(builder.fcmp_ordered(">", x, _number(x, 0.0)), x, _number(x, 0.0))
    identity = builder.fcmp_ordered(">", x, _number(x, SOFTPLUS_IDENTITY))
    return builder.select(identity, x, builder.fadd(positive, log))


def _build_sigmoid(builder: Any, x: Any) -> Any:
    e = _exp_of_minus_abs(builder, x)
    r = builder.fdiv(_number(x, 1.0), builder.fadd(_number(x, 1.0), e))
    return builder.select(builder.fcmp_ordered("<", x, _number(x, 0.0)), builder.fmul(e, r), r)


def _build_softplus_slope(builder: Any, x: Any) -> Any:
    identity = builder.fcmp_ordered(">", x, _number(x, SOFTPLUS_IDENTITY))
    return builder.select(identity, _number(x, 1.0), _build_sigmoid(builder, x))


def _build_silu_slope(builder: Any, x: Any) -> Any:
    s = _build_sigmoid(builder, x)
    rest = builder.fmul(x, builder.fsub(_number(x, 1.0), s))
    return builder.fmul(s, builder.fadd(_number(x, 1.0), rest))


exp2 = _elementary(_build_exp2)
"""2**x in compiled code, within 2 units in the last place; 0 below -127 (float64: -1023)."""
softplus = _elementary(_build_softplus)
"""log(1 + exp(x)), and x itself above 20, as torch and the released kernels have it."""
softplus_slope = _elementary(_build_softplus_slope)
"""The derivative of :data:`softplus`."""
sigmoid = _elementary(_build_sigmoid)
"""1 / (1 + exp(-x))."""
silu_slope = _elementary(_build_silu_slope)
"""The derivative of x * sigmoid(x)."""
times_ln2 = _elementary(lambda builder, x: builder.fmul(x, _number(x, _LN2)))
"""x * ln(2) in the precision of x."""
