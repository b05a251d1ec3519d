"""Whether a job writes to the very console on which Snakemake's session shows its progress."""

from __future__ import annotations

import os

_VARIABLE = "PRISMFLOW_CONSOLE"


def _standard_error() -> str:
    """What standard error is: device and inode; empty where it is closed."""
    try:
        found = os.fstat(2)
    except OSError:
        return ""
    return f"{found.st_dev}:{found.st_ino}"


def announce() -> None:
    """Tell the jobs that this process starts that it shows their progress and failures."""
    os.environ[_VARIABLE] = _standard_error()


def is_watched() -> bool:
    """Whether a console shows progress and failures where this process would write them.

    A job on a cluster, whose standard error is a file of its own, is not watched.
    """
    here = _standard_error()
    return bool(here) and os.environ.get(_VARIABLE) == here
