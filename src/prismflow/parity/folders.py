"""Which comparison a folder of reference data asks for."""

from __future__ import annotations

from pathlib import Path

from prismflow.errors import InputError
from prismflow.parity import networks
from prismflow.parity.compare import Report


def check(path: Path) -> Report:
    """Compare one folder of reference data, whatever it holds.

    Raises:
        InputError: it is no folder of a known layout, or its files cannot be used.
    """
    if not path.is_dir():
        raise InputError(f"expected a folder of reference data, found none at {path}.")
    if networks.is_network(path):
        return networks.check(path)
    raise InputError("the folder has none of the layouts of reference data.")
