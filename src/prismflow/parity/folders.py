"""Which comparison a folder of reference data asks for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from prismflow.errors import InputError
from prismflow.parity import networks, operations, protocol, replay
from prismflow.parity.compare import Report

LAYOUTS: tuple[tuple[Callable[[Path], bool], Callable[[Path], Report]], ...] = (
    (networks.is_network, networks.check),
    (operations.is_scan, operations.check_scan),
    (operations.is_beta, operations.check_beta),
    (replay.is_replay, replay.check_replay),
    (protocol.is_schedule, protocol.check_schedule),
    (protocol.is_metrics, protocol.check_metrics),
)


def check(path: Path) -> Report:
    """Compare one folder of reference data, whatever it holds.

    Raises:
        InputError: it is no folder of a known layout, or its files cannot be used.
    """
    if not path.is_dir():
        raise InputError(f"expected a folder of reference data, found none at {path}.")
    for recognises, compare in LAYOUTS:
        if recognises(path):
            return compare(path)
    raise InputError("the folder has none of the layouts of reference data.")
