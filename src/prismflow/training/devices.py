"""Which processor a run uses, and with how many threads."""

from __future__ import annotations

import ctypes
import logging
import os
import sys

import torch

from prismflow.errors import InputError

logger = logging.getLogger(__name__)


def choose_device(name: str = "auto") -> torch.device:
    """The device of a run; logs one line that says which and why.

    ``auto`` takes the first CUDA device where there is one, else the CPU. Apple's MPS is not
    used: it lacks operations that the models need and is not deterministic.

    Args:
        name: ``auto``, ``cpu``, ``cuda`` or ``cuda:<index>``.

    Raises:
        InputError: another name, or a CUDA device that is not there.
    """
    available = torch.cuda.is_available()
    if name == "auto":
        device = torch.device("cuda" if available else "cpu")
        reason = "auto: a CUDA device was found" if available else "auto: no CUDA device was found"
    elif name == "cpu":
        device, reason = torch.device("cpu"), "asked for"
    elif name == "cuda" or (name.startswith("cuda:") and name[5:].isdigit()):
        device, reason = torch.device(name), "asked for"
        count = torch.cuda.device_count() if available else 0
        if (device.index or 0) >= count:
            raise InputError(
                f"device: expected a CUDA device for {name!r}, found {count} "
                f"(this torch is {torch.__version__}); use device 'auto' or 'cpu'."
            )
    else:
        raise InputError(
            f"device: expected 'auto', 'cpu', 'cuda' or 'cuda:<index>', found {name!r}."
        )
    logger.info("device %s (%s)", describe_device(device), reason)
    return device


def describe_device(device: torch.device) -> str:
    """``cpu``, or the CUDA device with its name."""
    if device.type == "cuda":
        return f"{device} {torch.cuda.get_device_name(device)}"
    return str(device)


def set_threads(threads: int | None) -> None:
    """Use ``threads`` CPU threads in torch and in compiled numba kernels; None leaves both alone.

    Raises:
        InputError: fewer than one thread.
    """
    if threads is None:
        return
    if threads < 1:
        raise InputError(f"threads: expected at least 1, found {threads}.")
    # Numba counts its threads apart from torch, and cannot go beyond what it started with.
    numba = sys.modules.get("numba")
    if numba is None:
        os.environ["NUMBA_NUM_THREADS"] = str(threads)
    else:
        numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
    # Last, because numba's first call starts its threads, which sets OpenMP's number for all.
    torch.set_num_threads(threads)


def keep_freed_memory() -> None:
    """Let the C library keep what a training step frees instead of handing it back to the system.

    By default every tensor beyond 32 MiB is mapped anew and its pages cleared at the first touch:
    at 200 kb that is more than half of a step on a CPU. Does nothing without glibc.
    """
    if not sys.platform.startswith("linux"):
        return
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return
    m_trim_threshold, m_mmap_max = -1, -4  # names and numbers of malloc.h
    mallopt(m_trim_threshold, -1)
    mallopt(m_mmap_max, 0)


class MemoryAdvice:
    """A block in which a GPU's running out of memory becomes a sentence with what to lower.

    Can be entered again and again.

    Args:
        what: is done in the block.
        advice: which setting to change.

    Raises:
        InputError: the GPU's memory did not suffice.
    """

    def __init__(self, what: str, advice: str) -> None:
        self.what, self.advice = what, advice

    def __enter__(self) -> None:
        """Nothing is done."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, torch.OutOfMemoryError):
            said = str(error).partition("\n")[0]
            raise InputError(
                f"{self.what}: the GPU's memory is full; {self.advice} ({said})"
            ) from None
