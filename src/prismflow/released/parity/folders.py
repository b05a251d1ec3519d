"""Which comparison a folder of reference data asks for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from prismflow.errors import InputError
from prismflow.released.parity import inputs, networks, operations, protocol, replay
from prismflow.released.parity.compare import Report

LAYOUTS: tuple[tuple[Callable[[Path], bool], Callable[[Path], Report]], ...] = (
    (networks.is_network, networks.check),
    (operations.is_scan, operations.check_scan),
    (operations.is_beta, operations.check_beta),
    (inputs.is_hic, inputs.check_hic),
    (inputs.is_loader, inputs.check_loader),
    (replay.is_replay, replay.check_replay),
    (protocol.is_schedule, protocol.check_schedule),
    (protocol.is_metrics, protocol.check_metrics),
)


def expand(path: Path) -> list[Path]:
    """The folder itself, or the folders of known layouts inside it if it is none."""
    if not path.is_dir() or _comparison(path) is not None:
        return [path]
    inside = [folder for folder in sorted(path.iterdir()) if folder.is_dir()]
    return [folder for folder in inside if _comparison(folder) is not None] or [path]


def _comparison(path: Path) -> Callable[[Path], Report] | None:
    return next((compare for recognises, compare in LAYOUTS if recognises(path)), None)


def check(path: Path) -> Report:
    """Compare one folder of reference data, whatever it holds.

    Raises:
        InputError: it is no folder of a known layout, or its files cannot be used.
    """
    if not path.is_dir():
        raise InputError("expected a folder of reference data, found none there.")
    compare = _comparison(path)
    if compare is None:
        raise InputError("the folder has none of the layouts of reference data.")
    return compare(path)
